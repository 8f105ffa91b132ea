#include "recipes/tasks/span_extraction/task.h"

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/span_extraction/predictions.h"

namespace capstan::span_extraction {
namespace {

using engine::Purpose;

constexpr std::string_view kUnanswerable = "unanswerable";  // artifact of a checkpoint

std::optional<bool> stored_unanswerable(const engine::NamedTensors& artifacts) {
  const auto stored = artifacts.find(kUnanswerable);
  if (stored == artifacts.end()) return std::nullopt;
  return engine::tensor_text(stored->second) == "yes";
}

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup) {
  if (writes_predictions()) make_directory(engine::expand_home(options_.evaluate.output));  // that it cannot be is known before the work
  const std::optional<bool> stored = stored_unanswerable(setup_.artifacts);
  if (setup_.purpose != Purpose::bench) set_tokenizer();
  if (setup_.purpose == Purpose::train || setup_.purpose == Purpose::evaluate) {
    data_ = std::make_unique<const Dataset>(options_.data, options_.spans, setup_, *tokenizer_, stored);
    unanswerable_ = data_->unanswerable();
  } else {
    unanswerable_ = may_be_unanswerable(options_.spans.unanswerable, stored.value_or(false));
  }
  network_ = make(scope, vocab_size());
  if (setup_.purpose == Purpose::predict)
    predictor_.emplace(network_, *tokenizer_, decoder(),
                       Predictor::Form{.windows = options_.spans.windows,
                                       .top = options_.predict.top,
                                       .batch_size = setup_.evaluation_size,
                                       .json = setup_.json_answers});
}

void Task::set_tokenizer() {
  text::TextReader reader = text::text_reader(options_.data, setup_);
  vocabulary_ = std::move(reader.vocabulary);
  tokenizer_options_ = std::move(reader.tokenizer);
  tokenizer_ = std::make_unique<const data::Tokenizer>(*vocabulary_, tokenizer_options_);
  basic_ = std::make_unique<const data::BasicTokenizer>(tokenizer_options_);
  for (const std::string_view token : {"[CLS]", "[SEP]", "[PAD]"}) vocabulary_->id(token);
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "span_extraction: there is no data for this purpose");
  return *data_;
}

Batch Task::batch(const engine::Samples& samples) const {
  const Questions& part = dataset().part(samples.split);
  std::vector<Window> windows;
  for (const std::int64_t i : samples.indices) windows.push_back(part.window(i, *vocabulary_));
  Batch out = make_batch(windows, options_.spans.windows.length, vocabulary_->id("[PAD]"), samples.offset);
  out.indices.assign(samples.indices.begin(), samples.indices.end());
  return out;
}

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(setup_.batch_size, options_.spans.windows.length, vocab_size(),
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

Evaluation Task::evaluation(engine::Split split) const {
  return {dataset().part(split), decoder(), writes_predictions(), /*begins=*/setup_.rank == 0};
}

void Task::evaluated(engine::Split, const Evaluation& evaluation) const {
  if (writes_predictions()) write_predictions(engine::expand_home(options_.evaluate.output), evaluation.predictions(), unanswerable_);
}

std::string Task::protocol(engine::Split split) const {
  const Questions& part = dataset().part(split);
  return join_text(engine::name_of(split), ": ", part.questions(), " questions in ", part.size(), " windows of ",
                   options_.spans.windows.length, " tokens; exact and f1 in hundredths, as the official scorer of SQuAD takes them\n");
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out = text::vocabulary_artifacts(*vocabulary_, tokenizer_options_);
  out.emplace(kUnanswerable, engine::text_tensor(unanswerable_ ? "yes" : "no"));
  return out;
}

}  // namespace capstan::span_extraction
