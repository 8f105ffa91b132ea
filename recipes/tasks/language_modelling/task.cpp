#include "recipes/tasks/language_modelling/task.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/tape/tape.h"
#include "nn/weight.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/text/decode_bench.h"

namespace capstan::language_modelling {
namespace {

using engine::Purpose;
using engine::Split;

constexpr std::int64_t kExamplePrompt = 32;  // tokens of the part that an example goes on with

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup) {
  if (setup_.purpose == Purpose::bench) {
    network_ = make(scope, options_.bench.vocab_size);
    return;
  }
  if (setup_.purpose == Purpose::predict) {
    vocabulary_ = of_artifacts(setup_.artifacts);
    require<CheckpointError>(vocabulary_ != nullptr, "language_modelling: the checkpoint lacks the vocabulary");
  } else {
    data_ = std::make_unique<Dataset>(options_, setup_);
    vocabulary_ = data_->vocabulary();
    for (const Split split : {Split::validation, Split::test})
      if (const Dataset::Part* const part = data_->part(split))
        evaluation_windows_[static_cast<std::size_t>(split)].emplace(std::ssize(part->tokens), options_.evaluation_length(),
                                                                     options_.evaluation_stride());
    if (setup_.purpose == Purpose::train)
      windows_.emplace(std::ssize(data_->part(Split::train)->tokens), options_.data.length, setup_.seed);
  }
  network_ = make(scope, vocabulary_->size());
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "language_modelling: there is no data for this purpose");
  return *data_;
}

// ---- data

std::int64_t Task::size(Split split) const {
  if (split == Split::train) return windows_ ? windows_->count() : 0;
  const auto& windows = evaluation_windows_[static_cast<std::size_t>(split)];
  return windows ? windows->count() : 0;
}

Batch Task::batch(const engine::Samples& samples) const {
  std::vector<Window> windows;
  for (const std::int64_t i : samples.indices)
    windows.push_back(samples.split == Split::train ? windows_->at(samples.epoch, i)
                                                    : evaluation_windows_[static_cast<std::size_t>(samples.split)]->at(i));
  return make_batch(dataset().part(samples.split)->tokens, windows, samples.indices);
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  if (vocabulary_) store(*vocabulary_, out);
  return out;
}

std::vector<engine::NamedRows> Task::named_rows() const {
  return {{.what = "tokens", .names = token_names, .parameters = network_.token_parameters}};
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  const TrainingText text = read_training_text(options.data, setup);
  const ChosenVocabulary v = prepared_vocabulary(options.data, text.kept.text, text.vocabulary_key);
  report << "vocabulary: " << v.vocabulary->description() << ", " << v.origin << "\n";
}

Batch Task::bench_batch(std::int64_t index) const {
  Rng rng(random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
  const std::int64_t length = options_.data.length;
  std::vector<std::int32_t> text;
  for (std::int64_t i = 0; i <= setup_.batch_size * length; ++i)
    text.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(options_.bench.vocab_size))));
  std::vector<Window> windows;
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < setup_.batch_size; ++i) {
    windows.push_back({.begin = i * length, .length = length});
    numbers.push_back(i);
  }
  return make_batch(text, windows, numbers);
}

// ---- training

Tensor Task::loss(const Batch& batch, const nn::Run& run) const {
  const Tensor h = network_.hidden(batch, run);  // [N, H]
  return linear_cross_entropy(h, nn::weight_for(network_.output_weight, h), Tensor(), batch.labels, {.reduction = Reduction::sum()}).value;
}

// ---- use

Evaluation Task::evaluation(Split split) const {
  Evaluation out;
  out.part = data_ ? data_->part(split) : nullptr;
  if (out.part != nullptr) out.text = TextLoss(out.part->bytes, out.part->words);
  out.network = &network_;
  out.length = options_.evaluation_length();
  return out;
}

void Task::evaluated(Split, Evaluation& evaluation) const {
  const std::vector<std::int32_t>& tokens = evaluation.part->tokens;
  const std::int64_t count = setup_.purpose == Purpose::evaluate ? 0 : options_.evaluate.examples;
  if (count == 0) return;
  const std::int64_t size = std::ssize(tokens), length = std::min({kExamplePrompt, size, network_.max_positions});
  std::vector<Prompt> prompts;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto begin = tokens.begin() + i * (size - length) / count;  // spread over the part
    prompts.push_back({.tokens = {begin, begin + length}, .number = i});
  }
  Writer writer(network_, vocabulary_, options_.generation, std::min(count, options_.generation.lines));
  const auto written = writer(prompts);
  for (std::size_t i = 0; i < written.size(); ++i) {
    const std::vector<std::int32_t> before(prompts[i].tokens.begin(), prompts[i].tokens.end());
    evaluation.continuations.push_back({.prompt = vocabulary_->decode(before), .written = written[i].front().text});
  }
}

std::string Task::protocol(Split split) const {
  return join_text(engine::name_of(split), ": ", dataset().part(split)->tokens.size(), " tokens; windows of ", options_.evaluation_length(),
                   " begin every ", options_.evaluation_stride(), ", and each scores the tokens that none before it has\n",
                   "  bits_per_byte: of ", dataset().part(split)->bytes, " bytes; word_perplexity: of ", dataset().part(split)->words,
                   " words between blanks and line ends; keys and values of a token while writing: ", cache_bytes(), " bytes\n");
}

Writer& Task::writer() {
  if (!writer_) writer_ = std::make_unique<Writer>(network_, vocabulary_, options_.generation, options_.generation.lines);
  return *writer_;
}

Task::Query Task::query(const std::string& line, std::int64_t number) {
  const std::string text = engine::not_blank(line, number);
  return engine::named_by(join_text("line ", number), [&] { return Query{.tokens = writer().prompt(text), .number = number}; });
}

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run&) {
  std::vector<std::string> answers;
  for (const std::vector<text::Written>& best : writer()(queries))
    answers.push_back(text::answer(best, "text", setup_.json_answers, options_.generation.hypotheses > 1));
  return answers;
}

void Task::generate(const std::string& prompt, const std::function<bool(std::string_view text)>& write) const {
  Writer writer(network_, vocabulary_, options_.generation, 1);
  const Prompt given{.tokens = writer.prompt(prompt), .number = 1};
  // As the tokens spell it: blanks that they have lost must not stand beside those that follow.
  const std::vector<std::int32_t> spelled(given.tokens.begin(), given.tokens.end());
  if (options_.generation.echo && !prompt.empty() && !write(vocabulary_->decode(spelled))) return;
  const bool streams = options_.generation.beams == 1;
  const Writer::OnText on_text = [&](std::size_t, std::string_view text) { return write(text); };
  const auto written = writer(std::span(&given, 1), streams ? on_text : Writer::OnText());
  if (!streams) write(written.front().front().text);
}

std::string Task::bench_of(std::string_view what) const {
  if (what != "decode") return "";
  require<ConfigError>(setup_.purpose == Purpose::bench, "language_modelling: decoding is timed on random prompts");
  const NoGrad paused;
  const BenchOptions& b = options_.bench;
  engine::JsonRow rates;
  std::string weights;
  for (const std::int64_t lines : {std::int64_t{1}, std::int64_t{32}}) {
    const auto decoder = network_.decoder({.lines = lines,
                                           .max_length = b.prompt + b.written - 1,
                                           .weights = options_.generation.weights,
                                           .cache = options_.generation.cache});
    Rng rng(random_key(setup_.seed, "decode"));
    const auto request = [&] {
      nn::GenerationRequest out{.options = {.max_length = b.written}};
      for (std::int64_t i = 0; i < b.prompt; ++i)
        out.prompt.push_back(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(b.vocab_size))));
      return out;
    };
    rates.emplace_back(join_text("greedy_", lines), text::tokens_per_second(*decoder, lines, b.written, request));
    weights = text::weights_json(*decoder, options_.generation.weights);
  }
  return join_text(R"({"tokens_per_s":)", engine::to_json(rates), ",", weights, R"(,"prompt":)", b.prompt, R"(,"written":)", b.written,
                   R"(,"cache_bytes_per_token":)", cache_bytes(), R"(,"threads":)", setup_.threads, "}");
}

}  // namespace capstan::language_modelling
