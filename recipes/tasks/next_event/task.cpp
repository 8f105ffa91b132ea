#include "recipes/tasks/next_event/task.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/shape_ops.h"
#include "data/output_file.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/initial_weights.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/next_event/update.h"
#include "recipes/tasks/recommendation/item_names.h"

namespace capstan::next_event {
namespace {

using engine::Purpose;

bool needs_data(Purpose purpose) { return purpose != Purpose::bench && purpose != Purpose::predict; }

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

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup) {
  require<ConfigError>(setup_.precision == DType::f32,
                       "next_event: train.precision must be f32: a step is bound by memory and has little to gain from bf16");
  const bool update = setup_.purpose == Purpose::train && !options_.update.from.empty();
  const engine::NamedTensors known = update ? engine::Checkpoint(options_.update.from).artifacts() : setup_.artifacts;
  item_names_ = recommendation::stored_items(known);
  support_ = stored_support(known);
  require<CheckpointError>(item_names_ != nullptr || (setup_.purpose != Purpose::predict && !update),
                           "next_event: the checkpoint does not name its items");
  if (needs_data(setup_.purpose)) {
    data_ = std::make_unique<Dataset>(options_.data, options_.synthetic, setup_, item_names_, update);
    if (const std::string& list = options_.evaluate.user_list; !list.empty())
      engine::named_by("evaluate.user_list", [&] { data_->evaluate_only(recommendation::read_names(setup_.data_path(list))); });
    item_names_ = data_->item_names();
    support_.resize(static_cast<std::size_t>(item_names_->size()));
    if (setup_.purpose != Purpose::evaluate)  // an update adds to what the checkpoint counted
      std::ranges::transform(support_, data_->support(), support_.begin(), std::plus<>());
  }
  if (setup_.purpose == Purpose::bench) support_ = bench_support(options_.bench.items);

  if (item_names_) titles_ = std::make_shared<recommendation::ItemTitles>(options_.data.titles, options_.data.table, setup_, *item_names_);
  network_ = make(scope, item_names_ ? item_names_->size() : options_.bench.items);
  if (setup_.purpose == Purpose::train || setup_.purpose == Purpose::bench)
    negatives_.emplace(support_, options_.negatives, options_.loss.kind == SessionLossKind::cross_entropy ? options_.loss.logq : 0,
                       setup_.seed);
  if (setup_.purpose == Purpose::train) {
    const data::Interactions& train = data_->train();
    batches_.emplace(train.offsets, train.items, setup_.batch_size, min_slots(options_.negatives));
    steps_per_epoch_ = count_steps(*batches_);
    require<DataError>(steps_per_epoch_ > 0, "next_event: the training sessions make no step: ", data_->summary());
  }
  if (setup_.purpose == Purpose::predict) {
    recommender_.emplace(network_, *item_names_, options_.predict, setup_.json_answers, options_.data.table);
    if (const std::string& path = options_.predict.candidates; !path.empty())
      engine::named_by("predict.candidates",
                       [&] { recommender_->recommend_only(recommendation::read_candidates(setup_.data_path(path), *item_names_)); });
    recommender_->show_titles(titles_);
  }
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "next_event: there is no data for this purpose");
  return *data_;
}

data::DataReport Task::data_report() const {
  data::DataReport report = data_ ? data_->report() : data::DataReport();
  titles_->add_to(report);
  if (data_ == nullptr) return report;
  if (setup_.purpose == Purpose::train && options_.negatives.count > data_->item_count())
    report.warn(join_text("negatives.count = ", options_.negatives.count, " is more than the ", data_->item_count(), " items there are"));
  return report;
}

// ---- training

void Task::begin_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  if (batches_) batches_->seek(0);
  hidden_.clear();
  part_hidden_.clear();
}

std::optional<Batch> Task::next_batch() {
  const std::int64_t position = batches_->position();
  data::SessionStep step;
  if (!batches_->next(step)) return std::nullopt;
  return make_batch(step, negatives_->candidates(step.targets, epoch_, position));
}

std::array<double, 1> Task::loss_counts(const Batch& batch) const {
  const auto up_to = [&](std::int64_t slot) { return setup_.batch_size * slot / batch.slots; };
  return {static_cast<double>(up_to(batch.first + batch.size()) - up_to(batch.first))};
}

Tensor Task::loss(const Batch& batch, nn::Run run) {
  nn::Hidden hidden = nn::continued(hidden_, network_.start, batch.kept, batch.reset);
  run.token_ids = Tensor(Shape{batch.size()}, DType::i64);  // a row is dropped out by its slot
  std::iota(run.token_ids.data<std::int64_t>(), run.token_ids.data<std::int64_t>() + batch.size(), batch.first);
  const Tensor output = network_.step(batch.inputs, hidden, run);
  if (batch.is_part) {
    part_hidden_.push_back(std::move(hidden));
  } else {
    hidden_ = std::move(hidden);
  }
  const ops::SampledSessionLoss::Args args{.rule = {.kind = options_.loss.kind, .elu = options_.loss.elu, .bpreg = options_.loss.bpreg},
                                           .mask_collisions = options_.loss.mask_collisions};
  return sampled_session_loss(output, network_.table.value(), network_.bias.value(), batch.candidates.items, batch.candidates.correction,
                              args);
}

void Task::share_rows(const std::function<Tensor(const Tensor& mine)>& all) {
  nn::Hidden whole;
  for (const Tensor& none : network_.start(0)) {
    std::vector<Tensor> own{none};
    for (const nn::Hidden& part : part_hidden_) own.push_back(part[whole.size()]);
    whole.push_back(all(concat(own, 0)));
  }
  hidden_ = std::move(whole);
  part_hidden_.clear();
}

engine::NamedTensors Task::state() const {
  engine::NamedTensors out{{"position", Tensor::from<std::int64_t>({batches_->position()}, Shape{1})}};
  for (std::size_t i = 0; i < hidden_.size(); ++i) out.emplace(join_text("hidden/", i), hidden_[i]);
  return out;
}

void Task::set_state(const engine::NamedTensors& state) {
  const auto get = [&](const std::string& key) -> const Tensor& {
    const auto found = state.find(key);
    require<CheckpointError>(found != state.end(), "next_event: the state of the recipe lacks ", key);
    return found->second;
  };
  batches_->seek(static_cast<std::int64_t>(get("position").item()));
  hidden_.clear();
  part_hidden_.clear();
  if (!state.contains("hidden/0")) return;  // saved at the start of an epoch
  for (const Tensor& zero : network_.start(1)) {
    const std::string key = join_text("hidden/", hidden_.size());
    const Tensor& rows = get(key);
    require<CheckpointError>(rows.rank() == 2 && rows.size(1) == zero.size(1) && rows.dtype() == zero.dtype(), "next_event: ", key,
                             " must be ", to_text(zero.dtype()), " [slots, ", zero.size(1), "], is ", rows);
    hidden_.push_back(rows);
  }
}

void Task::initialize(nn::ParameterStore& parameters, optim::Optimizer& optimizer) const {
  if (options_.update.from.empty()) return;
  const engine::Checkpoint from(options_.update.from, engine::Checkpoint::Reading::in_parts);
  take_over(from, engine::row_maps(named_rows(), artifacts(), from.artifacts()), parameters, optimizer);
}

// ---- use

std::function<std::optional<Batch>()> Task::evaluation_batches(engine::Split split) const {
  const Sessions* const sessions = dataset().split(split);
  if (sessions == nullptr || sessions->cases() == 0) return {};
  return evaluation_steps(sessions->events, setup_.evaluation_size, {.index = setup_.rank, .count = setup_.ranks});
}

Evaluation Task::evaluation(engine::Split split) const {
  Evaluation out(options_.evaluate);
  const Sessions* const sessions = dataset().split(split);
  if (sessions != nullptr && setup_.rank == 0) out.unknown_events.add(static_cast<double>(sessions->unknown_events));
  if (sessions == nullptr) return out;
  out.met.resize(static_cast<std::size_t>(sessions->events.sequences()));
  out.shown.emplace(recommendation::ShownSource{.who = "session",
                                                .among = "all items",
                                                .popularity = support_,
                                                .name = [this](std::int64_t item) { return titles_->shown(item, (*item_names_)[item]); },
                                                .line_each = titles_->given(),
                                                .lists = [this, sessions] { return lists(*sessions); }});
  return out;
}

std::vector<recommendation::ShownList> Task::lists(const Sessions& sessions) const {
  constexpr std::int64_t kSlots = 64;
  const data::Interactions& events = sessions.events;
  std::vector<std::int64_t> all;
  for (std::int64_t s = 0; s < events.sequences(); ++s)
    if (events.length(s) > 1) all.push_back(s);
  data::Interactions some;
  std::vector<recommendation::ShownList> out;
  for (const std::int64_t i : engine::spread_places(std::ssize(all), recommendation::kMeasuredLists)) {
    const std::int64_t s = all[static_cast<std::size_t>(i)];
    const auto items = events.sequence(s);
    some.items.insert(some.items.end(), items.begin(), items.end());
    some.offsets.push_back(std::ssize(some.items));
    some.users.push_back(0);
    out.push_back({.who = sessions.name(s), .history = {items.begin(), items.end() - 1}, .next = items.back()});
  }
  std::vector<std::size_t> met(out.size());
  const auto steps = evaluation_steps(some, kSlots);
  nn::Hidden hidden;
  while (const auto batch = steps())
    score_step(network_, *batch, hidden, {}, [&](std::int64_t slot, std::span<const float> scores) {
      const auto s = static_cast<std::size_t>(batch->sessions[static_cast<std::size_t>(slot)]);
      recommendation::ShownList& list = out[s];
      if (++met[s] < list.history.size()) return;
      list.rank = engine::rank_of(scores, list.next).at(options_.evaluate.ties);
      list.items = engine::top_k(scores, recommendation::kShownTop);
    });
  return out;
}

void Task::evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const {
  rank_step(network_, batch, to.hidden, run, [&](std::int64_t slot, const engine::Rank& rank) {
    to.ranks.add(rank);
    to.add(batch.sessions[static_cast<std::size_t>(slot)], batch.candidates.items.data<const std::int64_t>()[slot],
           rank.at(options_.evaluate.ties));
    if (!options_.evaluate.output.empty())
      to.cases.push_back({.session = batch.sessions[static_cast<std::size_t>(slot)],
                          .item = batch.candidates.items.data<const std::int64_t>()[slot],
                          .rank = rank.at(options_.evaluate.ties)});
  });
}

void Task::evaluated(engine::Split split, Evaluation evaluation) const {
  const Sessions* const sessions = dataset().split(split);
  if (setup_.purpose != Purpose::evaluate || options_.evaluate.output.empty() || sessions == nullptr) return;
  // Within a session cases came in order, but sessions ran side by side.
  std::ranges::stable_sort(evaluation.cases, {}, &CaseRank::session);
  std::string out = "session\titem\trank\n";
  for (const CaseRank& c : evaluation.cases)
    out += join_text(recommendation::as_field(sessions->name(c.session)), "\t",
                     recommendation::as_field((*sessions->events.item_ids)[c.item]), "\t", c.rank, "\n");
  data::write_output(engine::expand_home(options_.evaluate.output), out);
}

engine::Metrics Task::baselines(engine::Split split) const {
  const Sessions* const sessions = dataset().split(split);
  if (sessions == nullptr || sessions->cases() == 0 || dataset().train().sequences() == 0) return {};
  engine::Metrics out = Baselines(dataset().train()).evaluate(sessions->events, options_.evaluate);
  if (dataset().chain()) std::ranges::move(optimum(*dataset().chain(), sessions->events, options_.evaluate), std::back_inserter(out));
  return out;
}

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run& run) {
  std::vector<std::string> out;
  for (const Query& query : queries) out.push_back(recommender_->answer(query, run));
  return out;
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  std::string why;
  const Dataset d(options.data, options.synthetic, setup, nullptr, false, &why);
  for (const std::string& line : data::lines_of(d.report())) report << line << '\n';
  report << d.summary() << '\n';
  if (!options.data.prepared.empty()) report << options.data.prepared << (why.empty() ? ": was up to date" : ": written: " + why) << '\n';
}

std::vector<engine::NamedRows> Task::named_rows() const {
  return {{.what = "items", .names = recommendation::item_names_of, .parameters = network_.item_parameters}};
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  recommendation::store_items(out, *item_names_);
  store_support(out, support_);
  return out;
}

// ---- bench

Batch Task::bench_batch(std::int64_t index) const {
  Rng rng(random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
  const auto slots = static_cast<std::size_t>(setup_.batch_size);
  std::vector<std::int32_t> inputs(slots), targets(slots);
  const auto any_item = [&] { return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(network_.item_count()))); };
  std::ranges::generate(inputs, any_item);
  std::ranges::generate(targets, any_item);
  const std::vector<std::uint8_t> reset(slots);
  return make_batch({.inputs = inputs, .targets = targets, .reset = reset, .kept = {}, .sessions = {}},
                    negatives_->candidates(targets, 0, index));
}

}  // namespace capstan::next_event
