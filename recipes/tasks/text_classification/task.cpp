#include "recipes/tasks/text_classification/task.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/softmax.h"
#include "data/output_file.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/text/vocabulary.h"

namespace capstan::text_classification {
namespace {

using engine::Purpose;
using engine::Split;

constexpr std::string_view kClassNames = "class_names";  // artifact of a checkpoint
constexpr std::int64_t kBenchClasses = 2;

void write(const std::string& path, std::string_view text) {
  if (!path.empty()) data::write_output(engine::expand_home(path), text);
}

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make, const Reading& reading)
    : options_(options), setup_(setup), class_names_(engine::stored_lines(setup.artifacts, kClassNames)) {
  if (setup_.purpose == Purpose::bench) {
    network_ = make(scope, {.count = options_.bench.vocab_size}, outputs());
    return;
  }
  std::function<data::Vocabulary()> learn;
  if (reading.words) {
    learn = [&] {
      learned_ = reading.words;
      return learned_words(options_, setup_, *reading.words);
    };
  }
  text::TextReader reader = text::text_reader(options_.data, setup_, learn);
  vocabulary_ = std::move(reader.vocabulary);
  tokenizer_ = reader.tokenizer;
  encoder_.emplace(vocabulary_, tokenizer_, options_.data.max_length, reading.frame);
  const bool trained = setup_.purpose != Purpose::train;
  require<CheckpointError>(!trained || options_.regression() || !class_names_.empty(),
                           "text_classification: the checkpoint does not name its classes");
  training_counts_ = LabelCounts::of(setup_.artifacts);
  if (setup_.purpose != Purpose::predict) {
    data_ = std::make_unique<Dataset>(options_, setup_, *encoder_, class_names_);
    class_names_ = data_->labels().names();
    training_counts_ = data_->training_counts();
  }
  network_ = make(scope, {.count = vocabulary_->size(), .unknown = encoder_->unknown_id()}, outputs());
  if (trained) return;
  class_weights_ = class_weights(options_.data.class_weights, data_->labels(), training_counts_.counts);
  if (!network_.packed) order_ = std::make_unique<LengthOrder>(data_->lengths(Split::train), setup_.batch_size, setup_.seed);
}

std::int64_t Task::outputs() const {
  if (options_.regression()) return 1;
  return setup_.purpose == Purpose::bench ? kBenchClasses : static_cast<std::int64_t>(class_names_.size());
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "text_classification: there is no data for this purpose");
  return *data_;
}

// ---- data

Batch Task::batch(const engine::Samples& samples) const {
  const std::int32_t pad = encoder_->pad_id();
  if (network_.packed || samples.split == Split::train) {
    // A part is padded to its own longest text, but what is dropped out of it goes by the longest of the batch.
    nn::KeysOfBatch keys{.first = samples.offset};
    for (const std::int64_t i : samples.whole) keys.length = std::max(keys.length, std::ssize(dataset().tokens(samples.split, i).ids));
    return make_batch(dataset(), samples.split, samples.indices, network_.packed, pad, keys);
  }
  const std::vector<std::int64_t>& short_first = dataset().short_first(samples.split);
  std::vector<std::int64_t> places;
  for (const std::int64_t i : samples.indices) places.push_back(short_first[static_cast<std::size_t>(i)]);
  return make_batch(dataset(), samples.split, places, /*packed=*/false, pad);
}

std::optional<std::vector<std::int64_t>> Task::order(std::int64_t epoch, std::int64_t first, std::int64_t count) const {
  if (!order_) return std::nullopt;
  return order_->samples(epoch, first, count);
}

data::DataReport Task::data_report() const {
  data::DataReport report = data_ ? data_->report() : data::DataReport{};
  if (learned_)
    report.fact("vocabulary", join_text(data::grouped(vocabulary_->size()), " tokens: the words that come ", learned_->min_count,
                                        learned_->min_count == 1 ? " time" : " times", " or more in the training texts",
                                        learned_->shapes ? ", and shapes of others" : "",
                                        learned_->vocab_size > 0 ? join_text(", at most ", data::grouped(learned_->vocab_size)) : ""));
  return report;
}

std::vector<engine::NamedRows> Task::named_rows() const {
  const auto classes = [](const engine::NamedTensors& artifacts) { return engine::stored_lines(artifacts, kClassNames); };
  std::vector<engine::NamedRows> rows{{.what = "tokens", .names = text::tokens_of, .parameters = network_.token_parameters}};
  rows.push_back({.what = "classes", .names = classes, .parameters = network_.class_parameters});  // of a number: one without a name
  return rows;
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  if (vocabulary_) out = text::vocabulary_artifacts(*vocabulary_, tokenizer_);
  engine::store_lines(out, kClassNames, class_names_);
  training_counts_.store(out);
  return out;
}

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(setup_.batch_size, options_.data.max_length, options_.bench.vocab_size, outputs(), network_.packed,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

// ---- training

Tensor Task::loss(const Batch& batch, nn::Run run) const {
  run.token_ids = batch.tokens.layout.keys;
  const Tensor y = network_.logits(batch.tokens, run);  // [B, outputs]
  if (options_.regression()) return sum(square(sub(y, batch.numbers)), {0, 1});
  const Tensor weights = class_weights_.empty() ? Tensor{} : Tensor::from(class_weights_, {outputs()});
  return cross_entropy(y, batch.labels, {.label_smoothing = options_.loss.label_smoothing, .reduction = Reduction::sum()}, weights).value;
}

std::array<double, 1> Task::loss_counts(const Batch& batch) const {
  if (class_weights_.empty()) return {static_cast<double>(batch.size())};
  double all = 0;
  for (const std::int64_t label : batch.labels.span<const std::int64_t>())
    all += static_cast<double>(class_weights_[static_cast<std::size_t>(label)]);
  return {all};
}

// ---- use

Evaluation Task::evaluation(Split split) const {
  if (setup_.purpose == Purpose::evaluate) {
    const bool labelled = dataset().labelled(split);
    require<ConfigError>(labelled || (options_.evaluate.results.empty() && options_.evaluate.confusion.empty()),
                         "text_classification: evaluate.results and evaluate.confusion need labels, which ", dataset().source(split),
                         " does not have");
    require<ConfigError>(!options_.regression() || options_.evaluate.confusion.empty(),
                         "text_classification: evaluate.confusion is of classes, but data.target is number");
  }
  ShownTexts::Look look;
  if (network_.attention) look = [this, split](std::int64_t place) { return this->look(split, place); };
  return {dataset(), split, !options_.evaluate.output.empty(), std::move(look)};
}

ShownTexts::Looked Task::look(Split split, std::int64_t place) const {
  const text::TokenBatch batch = make_batch(dataset(), split, std::span(&place, 1), network_.packed, encoder_->pad_id()).tokens;
  const Tensor y = network_.logits(batch, {}).contiguous();  // [1, outputs]
  const auto row = y.span<const float>();
  std::string said = engine::decimals(static_cast<double>(row[0]), 3);
  if (!options_.regression()) {
    const auto [best, probability] = engine::said_class(row);
    said = join_text(class_names_[static_cast<std::size_t>(best)], " ", engine::decimals(probability, 3));
  }
  return {.said = std::move(said), .weights = network_.attention(batch, {}).to_vector()};
}

void Task::evaluated(Split split, Evaluation& evaluation) const {
  if (setup_.purpose != Purpose::evaluate) return;
  write(options_.evaluate.output, probabilities_text(evaluation, options_.regression()));
  if (dataset().labelled(split)) write(options_.evaluate.results, results_text(evaluation, setup_.checkpoint_step));
  if (evaluation.classes) write(options_.evaluate.confusion, evaluation.classes->confusion.to_tsv());
}

std::string Task::protocol(Split split) const {
  std::string text = join_text(engine::name_of(split), ": ", dataset().size(split), options_.pairs() ? " pairs" : " texts", " of ",
                               dataset().source(split));
  if (!dataset().labelled(split)) return text + ", without labels: no metric can be taken\n";
  if (class_names_.size() == 2) text += join_text("; f1 is that of the label '", class_names_[1], "'");
  return text + "\n";
}

text::TokenBatch Task::token_batch(std::span<const Query> queries) const {
  std::vector<text::TokenSequence> sequences;
  for (const Query& q : queries) sequences.push_back(q.tokens[0]);
  return unlabelled_batch(sequences, network_.packed, encoder_->pad_id()).tokens;
}

Tensor Task::logits(std::span<const Query> queries, const nn::Run& run) const { return network_.logits(token_batch(queries), run); }

Tensor Task::answer_rows(std::span<const Query> queries, const nn::Run& run) const {
  const Tensor y = logits(queries, run);
  return options_.regression() ? y : softmax(y, 1);
}

}  // namespace capstan::text_classification
