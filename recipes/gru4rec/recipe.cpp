#include "recipes/gru4rec/recipe.h"

#include <algorithm>
#include <cstring>
#include <ostream>

#include "data/synthetic/markov.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/gru4rec/recommend.h"

namespace capstan::gru4rec {
namespace {

bool needs_data(engine::Purpose purpose) { return purpose != engine::Purpose::bench && purpose != engine::Purpose::predict; }

// In-batch negatives alone leave a single slot without any: such a step is not run.
std::int64_t min_slots(const NegativeOptions& o) { return o.count == 0 ? 2 : 1; }

std::int64_t count_steps(data::SessionBatches batches) {
  data::SessionStep step;
  while (batches.next(step)) {
  }
  return batches.position();
}

// A popularity as catalogues have it: support falls with the rank.
std::vector<std::int64_t> bench_support(std::int64_t items) {
  std::vector<std::int64_t> support;
  for (std::int64_t i = 0; i < items; ++i) support.push_back(5 + items / (i + 1));
  return support;
}

// The first rows of `to` become those of `from`, which has fewer or as many and otherwise the same shape.
void copy_rows(const Tensor& from, const Tensor& to, std::string_view name) {
  const bool fits = from.rank() == to.rank() && from.dtype() == to.dtype() && from.rank() > 0 && from.size(0) <= to.size(0) &&
                    from.shape().without(0) == to.shape().without(0);
  require<CheckpointError>(fits, "update: ", name, " must keep its shape but for further rows: the checkpoint has ", from, ", the model ",
                           to);
  const Tensor values = from.contiguous();
  std::memcpy(to.storage().data() + to.layout().offset() * static_cast<std::int64_t>(size_of(to.dtype())),
              values.storage().data() + values.layout().offset() * static_cast<std::int64_t>(size_of(values.dtype())),
              static_cast<std::size_t>(values.numel()) * size_of(values.dtype()));
}

}  // namespace

Gru4Rec::Gru4Rec(const Config& config, const engine::Setup& setup) : config_(config), setup_(setup), store_(setup.seed) {
  require<ConfigError>(setup_.precision == DType::f32,
                       "gru4rec: train.precision must be f32: a step is bound by memory and has little to gain from bf16");
  engine::NamedTensors known = setup_.artifacts;
  const bool update = setup_.purpose == engine::Purpose::train && !config_.update.from.empty();
  if (update) {
    const engine::Checkpoint from(config_.update.from);
    from.require_recipe(name);
    known = from.artifacts();
  }
  item_names_ = item_names_of(known);
  support_ = support_of(known);
  require<CheckpointError>(item_names_ != nullptr || (setup_.purpose != engine::Purpose::predict && !update),
                           "gru4rec: the checkpoint does not name its items");
  if (needs_data(setup_.purpose)) {
    data_ = std::make_unique<Dataset>(config_.data, config_.synthetic, setup_, item_names_, update);
    item_names_ = data_->item_names();
    support_.resize(static_cast<std::size_t>(item_names_->size()));
    if (setup_.purpose != engine::Purpose::evaluate)  // an update adds to what the checkpoint counted
      std::ranges::transform(support_, data_->support(), support_.begin(), std::plus<>());
  }
  if (setup_.purpose == engine::Purpose::bench) support_ = bench_support(config_.bench.items);

  const std::int64_t items = item_names_ ? item_names_->size() : config_.bench.items;
  model_.emplace(store_.root(), items, config_.model);
  optimizer_.emplace(store_.parameters(),
                     optim::AdagradOptions{.momentum = config_.optimizer.momentum, .epsilon = config_.optimizer.epsilon});
  if (setup_.purpose == engine::Purpose::train || setup_.purpose == engine::Purpose::bench)
    negatives_.emplace(support_, config_.negatives, config_.loss.kind == SessionLossKind::cross_entropy ? config_.loss.logq : 0,
                       setup_.seed);
  if (setup_.purpose == engine::Purpose::train) {
    const data::Interactions& train = data_->train();
    batches_.emplace(train.offsets, train.items, setup_.batch_size, min_slots(config_.negatives));
    steps_per_epoch_ = count_steps(*batches_);
    require<DataError>(steps_per_epoch_ > 0, "gru4rec: the training sessions make no step: ", data_->summary());
  }
  if (update) take_over();
}

const Dataset& Gru4Rec::dataset() const {
  require<InternalError>(data_ != nullptr, "gru4rec: there is no data for this purpose");
  return *data_;
}

void Gru4Rec::take_over() {
  const engine::Checkpoint from(config_.update.from);
  const std::int64_t old_items = item_names_of(from.artifacts())->size();
  // The same model with the old catalogue takes the checkpoint; its values are then the first rows of ours.
  nn::ParameterStore old_store(setup_.seed);
  const Model old_model(old_store.root(), old_items, config_.model);
  optim::Adagrad old_optimizer(old_store.parameters(), {.momentum = config_.optimizer.momentum, .epsilon = config_.optimizer.epsilon});
  from.load(old_store, old_optimizer);
  for (std::size_t i = 0; i < store_.parameters().size(); ++i)
    copy_rows(old_store.parameters()[i].value(), store_.parameters()[i].write(), store_.parameters()[i].name());
  const std::vector<optim::OptimizerState> old_state = old_optimizer.state(), state = optimizer_->state();
  for (std::size_t i = 0; i < state.size(); ++i) copy_rows(old_state[i].value, state[i].value, state[i].slot + "/" + state[i].parameter);
}

// ---- training

void Gru4Rec::begin_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  batches_->seek(0);
  hidden_.clear();
}

std::optional<Batch> Gru4Rec::next_batch() {
  const std::int64_t position = batches_->position();
  data::SessionStep step;
  if (!batches_->next(step)) return std::nullopt;
  Tensor inputs(Shape{static_cast<std::int64_t>(step.inputs.size())}, DType::i64);
  std::ranges::copy(step.inputs, inputs.data<std::int64_t>());
  return Batch{std::move(inputs),
               negatives_->candidates(step.targets, epoch_, position),
               {step.kept.begin(), step.kept.end()},
               {step.reset.begin(), step.reset.end()}};
}

engine::LossSums<Gru4Rec> Gru4Rec::loss(const Batch& batch, const nn::Run& run) {
  Hidden hidden = continued(hidden_, *model_, batch.kept, batch.reset);
  const Tensor output = model_->step(batch.inputs, hidden, run);
  hidden_ = std::move(hidden);
  const ops::SampledSessionLoss::Args args{.rule = {.kind = config_.loss.kind, .elu = config_.loss.elu, .bpreg = config_.loss.bpreg},
                                           .mask_collisions = config_.loss.mask_collisions};
  return {sampled_session_loss(output, model_->table().value(), model_->bias().value(), batch.candidates.items, batch.candidates.correction,
                               args)};
}

engine::NamedTensors Gru4Rec::state() const {
  engine::NamedTensors out{{"position", Tensor::from<std::int64_t>({batches_->position()}, Shape{1})}};
  for (std::size_t i = 0; i < hidden_.size(); ++i) out.emplace(join_text("hidden/", i), hidden_[i]);
  return out;
}

void Gru4Rec::set_state(const engine::NamedTensors& state) {
  const auto get = [&](const std::string& key) -> const Tensor& {
    const auto found = state.find(key);
    require<CheckpointError>(found != state.end(), "gru4rec: the state of the recipe lacks ", key);
    return found->second;
  };
  batches_->seek(static_cast<std::int64_t>(get("position").item()));
  hidden_.clear();
  if (!state.contains("hidden/0")) return;  // saved at the start of an epoch
  for (std::size_t i = 0; i < config_.model.layers.size(); ++i) {
    const Tensor& rows = get(join_text("hidden/", i));
    require<CheckpointError>(rows.rank() == 2 && rows.size(1) == config_.model.layers[i] && rows.dtype() == DType::f32, "gru4rec: hidden/",
                             i, " must be f32 [slots, ", config_.model.layers[i], "], is ", rows);
    hidden_.push_back(rows);
  }
}

// ---- use

engine::Metrics Gru4Rec::evaluate(engine::Split split) {
  const Sessions* const sessions = dataset().split(split);
  if (sessions == nullptr || sessions->cases() == 0) return {};
  engine::Metrics out = evaluate_model(*model_, *sessions, config_.evaluate);
  if (config_.evaluate.baselines) {
    auto& known = baseline_metrics_[split == engine::Split::validation ? 0 : 1];
    if (!baselines_) baselines_.emplace(dataset().train());
    if (!known) known = baselines_->evaluate(sessions->events, config_.evaluate);
    out.insert(out.end(), known->begin(), known->end());
  }
  if (const auto& chain = dataset().chain()) {  // what no model can beat on average
    const auto states = chain->states(*dataset().item_names());
    data::NextItemCases cases = data::all_cases(sessions->events);
    for (auto& item : cases.last) item = states[static_cast<std::size_t>(item)];
    for (const std::int64_t k : config_.evaluate.k)
      out.push_back({join_text("optimum/recall@", k), chain->best_recall(cases.last, static_cast<int>(k))});
  }
  return out;
}

void Gru4Rec::predict(std::istream& in, std::ostream& out) { Recommender(*model_, *item_names_, config_.predict).run(in, out); }

void Gru4Rec::prepare(const Config& config, const engine::Setup& setup, std::ostream& report) {
  std::string why;
  const Dataset d(config.data, config.synthetic, setup, nullptr, false, &why);
  report << d.summary() << '\n';
  if (!config.data.prepared.empty()) report << config.data.prepared << (why.empty() ? ": was up to date" : ": written: " + why) << '\n';
}

engine::NamedTensors Gru4Rec::artifacts() const { return item_artifacts(*item_names_, support_); }

std::string Gru4Rec::data_digest() const { return data_ ? data_->digest() : ""; }

// ---- bench

Batch Gru4Rec::bench_batch(std::int64_t index) {
  Rng rng(random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
  const std::int64_t slots = setup_.batch_size;
  Tensor inputs(Shape{slots}, DType::i64);
  std::vector<std::int32_t> targets(static_cast<std::size_t>(slots));
  for (auto& item : inputs.span<std::int64_t>())
    item = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(model_->item_count())));
  for (auto& item : targets) item = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(model_->item_count())));
  return {inputs, negatives_->candidates(targets, 0, index), {}, std::vector<std::uint8_t>(static_cast<std::size_t>(slots))};
}

double Gru4Rec::flops_per_step() const {
  // Backward takes two products for each of forward.
  return 3 * 2 *
         forward_multiply_adds(config_.model, setup_.batch_size * setup_.batches_per_step, setup_.batch_size + config_.negatives.count);
}

}  // namespace capstan::gru4rec
