#include "recipes/sasrec/recipe.h"

#include <algorithm>
#include <ostream>

#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "recipes/sasrec/losses.h"
#include "recipes/sasrec/recommend.h"

namespace capstan::sasrec {
namespace {

bool needs_data(const Config& config, engine::Purpose purpose) {
  if (purpose == engine::Purpose::bench) return false;
  return purpose != engine::Purpose::predict || config.predict.input == PredictInput::users;
}

optim::Schedule make_schedule(const OptimizerOptions& o, std::int64_t total) {
  const double peak = o.learning_rate, end = o.final_rate * peak;
  const std::int64_t rest = std::max<std::int64_t>(1, total - o.warmup_steps);
  optim::Schedule decay = optim::constant(peak);
  if (o.schedule == ScheduleKind::linear) decay = optim::linear_decay({.peak = peak, .end = end, .total = rest});
  if (o.schedule == ScheduleKind::cosine) decay = optim::cosine_decay({.peak = peak, .end = end, .total = rest});
  return o.warmup_steps > 0 ? optim::with_warmup({.steps = o.warmup_steps}, decay) : decay;
}

}  // namespace

Sasrec::Sasrec(const Config& config, const engine::Setup& setup) : config_(config), setup_(setup), store_(setup.seed) {
  if (needs_data(config_, setup_.purpose)) data_ = std::make_unique<Dataset>(config_.data, config_.synthetic, setup_);
  item_names_ = item_names_of(setup_.artifacts);
  require<CheckpointError>(setup_.purpose != engine::Purpose::predict || item_names_ != nullptr,
                           "sasrec: the checkpoint does not name its items");
  if (setup_.purpose == engine::Purpose::train) {
    require<DataError>(data_->trainable_users() > 0, "sasrec: no user has two training items: ", data_->summary());
    if (config_.loss.kind != LossKind::ce) data_->check_negatives();
    evaluator();  // what it refuses should not come after an epoch
  }
  model_.emplace(store_.root(), item_count(), config_.model);
  optimizer_.emplace(store_.parameters(), optim::AdamOptions{.beta1 = config_.optimizer.beta1,
                                                             .beta2 = config_.optimizer.beta2,
                                                             .epsilon = config_.optimizer.epsilon,
                                                             .placement = optim::AdamEpsilon::before_correction});
  // The course of the rate is laid over the epochs, not over train.max_steps: a run that is stopped early and resumed goes the same way.
  const std::int64_t steps = data_ ? setup_.epochs * std::max<std::int64_t>(1, batches_per_epoch() / setup_.batches_per_step) : 1;
  schedule_ = make_schedule(config_.optimizer, steps);
}

std::int64_t Sasrec::item_count() const {
  if (item_names_) return item_names_->size();
  return data_ ? data_->item_count() : config_.bench.items;
}

const Dataset& Sasrec::dataset() const {
  require<InternalError>(data_ != nullptr, "sasrec: there is no data for this purpose");
  return *data_;
}

const Evaluator& Sasrec::evaluator() {
  if (!evaluator_) evaluator_.emplace(dataset(), config_.evaluate, setup_.seed);
  return *evaluator_;
}

std::int64_t Sasrec::batches_per_epoch() const {
  const Dataset& d = dataset();
  if (config_.data.sampling == Sampling::shuffled) return (d.trainable_users() + setup_.batch_size - 1) / setup_.batch_size;
  const std::int64_t steps = d.user_count() / (setup_.batch_size * setup_.batches_per_step);
  return std::max<std::int64_t>(1, steps) * setup_.batches_per_step;
}

Batch Sasrec::make_batch(std::int64_t epoch, std::int64_t index) const {
  return training_batch(dataset(), config_.model, config_.loss, epoch, index * setup_.batch_size, setup_.batch_size);
}

engine::LossSums<Sasrec> Sasrec::loss(const Batch& batch, nn::Run run) {
  run.token_ids = batch.keys;
  return {loss_sum(*model_, batch, config_.loss, run)};
}

void Sasrec::score(std::span<const std::span<const std::int32_t>> sequences, std::span<float> scores) const {
  std::vector<Sequence> inputs;
  for (const auto s : sequences) inputs.push_back({s, {}});
  const Tensor h = model_->last_hidden(sasrec::make_batch(inputs, config_.model), nn::Run{});  // [sequences, d]
  const Tensor all = matmul(h, transpose(model_->item_table().value(), 0, 1));                 // [sequences, item_count + 1]
  std::ranges::copy(all.contiguous().span<const float>(), scores.begin());
}

engine::Metrics Sasrec::evaluate(engine::Split split) {
  const Evaluator& e = evaluator();
  engine::Metrics out = e.run(split, [&](std::span<const std::int64_t> users, std::span<float> scores) {
    std::vector<std::span<const std::int32_t>> histories;
    for (const auto u : users) histories.push_back(data_->history(u, split));
    score(histories, scores);
  });
  if (config_.evaluate.baselines) {
    auto& baselines = baselines_[split == engine::Split::validation ? 0 : 1];
    if (!baselines) baselines = e.baselines(split);
    out.insert(out.end(), baselines->begin(), baselines->end());
  }
  return out;
}

void Sasrec::predict(std::istream& in, std::ostream& out) {
  recommend(
      config_.predict, *item_names_, data_.get(), config_.evaluate.batch_size,
      [&](std::span<const std::span<const std::int32_t>> sequences, std::span<float> scores) { score(sequences, scores); }, in, out);
}

void Sasrec::prepare(const Config& config, const engine::Setup& setup, std::ostream& report) {
  require<ConfigError>(config.data.source == Source::file && !config.data.prepared.empty(),
                       "sasrec: prepare needs data.path and the file to write, data.prepared");
  std::string why;
  const Dataset d(config.data, config.synthetic, setup, &why);
  report << config.data.prepared << ": " << d.summary() << (why.empty() ? " (was up to date)" : " (written: " + why + ")") << '\n';
}

engine::NamedTensors Sasrec::artifacts() const { return item_artifacts(item_names_ ? *item_names_ : dataset().item_names()); }

std::string Sasrec::data_digest() const { return data_ ? data_->digest() : ""; }

Batch Sasrec::bench_batch(std::int64_t index) {
  return random_batch(setup_.batch_size, item_count(), config_.model, config_.loss,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

double Sasrec::flops_per_step() const {
  const std::int64_t sequences = setup_.batch_size * setup_.batches_per_step;
  // Backward takes two products for each of forward.
  return 3 * 2 *
         (forward_multiply_adds(config_.model, sequences) + loss_multiply_adds(config_.loss, config_.model, sequences, item_count()));
}

}  // namespace capstan::sasrec
