#include "recipes/tasks/next_item/task.h"

#include <algorithm>
#include <ostream>
#include <type_traits>

#include "autograd/core/error.h"
#include "autograd/ops/shape_ops.h"
#include "data/output_file.h"
#include "data/sampler.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/next_item/losses.h"
#include "recipes/tasks/recommendation/item_names.h"
#include "recipes/tasks/recommendation/score_rows.h"

namespace capstan::next_item {
namespace {

bool needs_data(const Options& options, engine::Purpose purpose) {
  if (purpose == engine::Purpose::bench) return false;
  return purpose != engine::Purpose::predict || options.predict.input == PredictInput::users;
}

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup), item_names_(recommendation::stored_items(setup.artifacts)) {
  using engine::Purpose;
  if (needs_data(options_, setup_.purpose)) data_ = std::make_unique<Dataset>(options_.data, options_.synthetic, setup_);
  if (item_names_ || data_)
    titles_ = std::make_shared<recommendation::ItemTitles>(options_.data.titles, options_.data.table, setup_,
                                                           item_names_ ? *item_names_ : data_->item_names());
  if (setup_.purpose == Purpose::train) {
    require<DataError>(!data_->trainable_users().empty(), "next_item: no user has two training items: ", data_->summary());
    if (options_.loss.kind != LossKind::ce) data_->check_negatives();
  }
  if (setup_.purpose == Purpose::train || setup_.purpose == Purpose::evaluate) {
    const std::string& list = options_.evaluate.user_list;
    const data::IdMap only = engine::named_by(
        "evaluate.user_list", [&] { return list.empty() ? data::IdMap() : recommendation::read_names(setup_.data_path(list)); });
    protocols_.emplace(*data_, options_.evaluate, setup_.seed, only);
    listed_users_ = only.size();
  }
  if (setup_.purpose == Purpose::predict) {
    require<CheckpointError>(item_names_ != nullptr, "next_item: the checkpoint does not name its items");
    recommender_.emplace(options_.predict, options_.data.table, setup_.json_answers, *item_names_, data_.get());
    if (const std::string& path = options_.predict.candidates; !path.empty())
      engine::named_by("predict.candidates",
                       [&] { recommender_->recommend_only(recommendation::read_candidates(setup_.data_path(path), *item_names_)); });
    recommender_->show_titles(titles_);
  }
  network_ = make(scope, item_names_ ? item_names_->size() : data_ ? data_->item_count() : options_.bench.items);
  if (setup_.purpose == Purpose::train) windows_ = training_windows(*data_, options_.data.windows, network_.form.max_length);
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "next_item: there is no data for this purpose");
  return *data_;
}

const Protocols& Task::protocols() const {
  require<InternalError>(protocols_.has_value(), "next_item: there is nothing to evaluate for this purpose");
  return *protocols_;
}

// ---- data

std::int64_t Task::size(engine::Split split) const {
  const std::size_t samples = split == engine::Split::train ? windows_.size() : protocols().cases(split).size();
  return static_cast<std::int64_t>(samples);
}

std::int64_t Task::samples_per_epoch() const {
  if (options_.data.sampling == Sampling::shuffled) return size(engine::Split::train);
  const std::int64_t step = setup_.batch_size * setup_.batches_per_step;
  const std::int64_t drawn_from = options_.data.windows == Windows::all ? size(engine::Split::train) : dataset().training_users();
  return std::max<std::int64_t>(1, drawn_from / step) * step;
}

std::optional<std::vector<std::int64_t>> Task::order(std::int64_t epoch, std::int64_t first, std::int64_t count) const {
  if (options_.data.sampling == Sampling::shuffled) return std::nullopt;  // the engine's
  std::vector<std::int64_t> drawn;
  for (std::int64_t place = first; place < first + count; ++place)
    drawn.push_back(
        data::drawn(size(engine::Split::train), setup_.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(place)));
  return drawn;
}

Batch Task::batch(const engine::Samples& samples) const {
  const auto of = [&](const auto& all) {
    std::vector<std::decay_t<decltype(all[0])>> out;
    for (const auto i : samples.indices) out.push_back(all[static_cast<std::size_t>(i)]);
    return out;
  };
  return samples.split == engine::Split::train
             ? training_batch(dataset(), network_.form, options_.loss, samples.epoch, samples.first, of(windows_), samples.offset)
             : evaluation_batch(dataset(), network_.form, of(protocols().cases(samples.split)));
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  require<ConfigError>(options.data.source == Source::file && !options.data.prepared.empty(),
                       "next_item: prepare needs data.path and the file to write, data.prepared");
  std::string why;
  const Dataset d(options.data, options.synthetic, setup, &why);
  for (const std::string& line : data::lines_of(d.report())) report << line << '\n';
  report << options.data.prepared << ": " << d.summary() << (why.empty() ? " (was up to date)" : " (written: " + why + ")") << '\n';
}

std::vector<engine::NamedRows> Task::named_rows() const {
  return {{.what = "items", .names = recommendation::item_names_of, .parameters = {network_.item_table}, .first = 1}};
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  recommendation::store_items(out, item_names_ ? *item_names_ : dataset().item_names());
  return out;
}

data::DataReport Task::data_report() const {
  data::DataReport report = data_ ? data_->report() : data::DataReport();
  titles_->add_to(report);
  if (data_ == nullptr) return report;
  if (setup_.purpose == engine::Purpose::train && options_.loss.kind != LossKind::ce && options_.loss.negatives > data_->item_count())
    report.warn(join_text("loss.negatives = ", options_.loss.negatives, " is more than the ", data_->item_count(), " items there are"));
  if (setup_.purpose == engine::Purpose::train && options_.data.windows == Windows::all)
    report.fact("windows", join_text(data::grouped(std::ssize(windows_)), " sequences of at most ", network_.form.max_length,
                                     " items train, of ", data::grouped(std::ssize(data_->trainable_users())), " users"));
  if (protocols_ && listed_users_ > 0)
    report.fact("evaluated",
                join_text(std::ranges::count(protocols().cases(engine::Split::test), 0, &Case::index), " of the ",
                          data::grouped(listed_users_), " users of evaluate.user_list have an item to predict in the test part"));
  if (protocols_ && options_.evaluate.sampled_negatives > data_->item_count())
    report.warn(join_text("evaluate.sampled_negatives = ", options_.evaluate.sampled_negatives, " is more than the ", data_->item_count(),
                          " items there are: most are drawn several times"));
  return report;
}

// ---- training

Tensor Task::loss(const Batch& batch, nn::Run run) const {
  run.token_ids = batch.layout.keys;
  return loss_sum(network_, batch, options_.loss, run);
}

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(setup_.batch_size, network_.item_table.value().size(0) - 1, network_.form, options_.loss,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

// ---- use

Evaluation Task::evaluation(engine::Split split) const {
  Evaluation out = protocols().start();
  const std::vector<std::int64_t>& popularity = dataset().popularity();
  out.shown.emplace(
      recommendation::ShownSource{.who = "user",
                                  .among = protocols().shown_among(),
                                  .popularity = {popularity.begin() + 1, popularity.end()},
                                  .name = [this](std::int64_t item) { return titles_->shown(item, dataset().item_names()[item]); },
                                  .line_each = titles_->given(),
                                  .lists = [this, split] { return lists(split); }});
  return out;
}

void Task::score(const Batch& batch, const nn::Run& run, const std::function<void(const Case&, std::span<float>)>& f) const {
  const Tensor hidden = last_hidden(network_, batch, run);  // [cases, d]
  const std::int64_t cases = hidden.size(0), width = network_.item_table.value().size(0);
  const std::int64_t block = recommendation::score_rows(width);
  for (std::int64_t first = 0; first < cases; first += block) {
    const std::int64_t count = std::min(block, cases - first);
    const Tensor rows = scores(network_, slice(hidden, 0, first, count));  // [count, items + 1]
    const auto all = rows.span<float>();
    for (std::int64_t i = 0; i < count; ++i)
      f(batch.cases[static_cast<std::size_t>(first + i)],
        all.subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width)));
  }
}

void Task::evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const {
  score(batch, run, [&](const Case& c, std::span<float> scores) { protocols().add(to, c, scores); });
}

std::vector<recommendation::ShownList> Task::lists(engine::Split split) const {
  constexpr std::size_t kCases = 64;  // at a time
  const std::span<const Case> all = protocols().cases(split);
  const std::vector<std::int64_t> places = engine::spread_places(std::ssize(all), recommendation::kMeasuredLists);
  std::vector<recommendation::ShownList> out;
  for (std::size_t first = 0; first < places.size(); first += kCases) {
    std::vector<Case> some;
    for (std::size_t i = first; i < std::min(first + kCases, places.size()); ++i) some.push_back(all[static_cast<std::size_t>(places[i])]);
    score(evaluation_batch(dataset(), network_.form, std::move(some)), {},
          [&](const Case& c, std::span<float> scores) { out.push_back(protocols().list(c, scores)); });
  }
  return out;
}

void Task::evaluated(engine::Split, const Evaluation& evaluation) const {
  if (setup_.purpose == engine::Purpose::evaluate && !options_.evaluate.output.empty())
    data::write_output(engine::expand_home(options_.evaluate.output), protocols().table(evaluation.cases));
}

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run& run) const {
  const SequenceScorer scorer{.hidden =
                                  [&](std::span<const std::span<const std::int32_t>> sequences) {
                                    std::vector<Sequence> inputs;
                                    for (const auto s : sequences) inputs.push_back({s, {}});
                                    return last_hidden(network_, make_batch(inputs, network_.form), run);
                                  },
                              .scores = [&](const Tensor& hidden) { return scores(network_, hidden); },
                              .vector =
                                  [&](std::int64_t item) {
                                    const Tensor table = network_.item_table.value();
                                    const auto width = static_cast<std::size_t>(table.size(1));
                                    const auto row = table.span<const float>().subspan(static_cast<std::size_t>(item + 1) * width, width);
                                    return std::vector<float>(row.begin(), row.end());
                                  }};
  return recommender_->answer(queries, scorer);
}

}  // namespace capstan::next_item
