#include "recipes/tasks/masked_lm/task.h"

#include <ostream>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/softmax.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/masked_lm/losses.h"
#include "recipes/tasks/masked_lm/prepare.h"

namespace capstan::masked_lm {
namespace {

/// What the original adds to the number of predictions before it divides by it.
constexpr double kWeightEpsilon = 1e-5;

std::string_view yes_no(bool b) { return b ? "yes" : "no"; }

bool strips(const data::TokenizerOptions& o) { return o.strip_accents.value_or(o.lower_case); }

}  // namespace

Task::Task(const Options& options, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options), setup_(setup), vocabulary_(text::vocabulary_of(setup.artifacts)), tokenizer_(text::tokenizer_of(setup.artifacts)) {
  using engine::Purpose;
  require<CheckpointError>(setup_.purpose != Purpose::predict || vocabulary_ != nullptr, "masked_lm: the checkpoint has no vocabulary");
  if (setup_.purpose == Purpose::train || setup_.purpose == Purpose::evaluate) open_data();
  network_ = make(scope, vocab_size());
  if (setup_.purpose == Purpose::predict) predictor_.emplace(network_, *vocabulary_, tokenizer_, options_.predict, setup_.json_answers);
}

void Task::open_data() {
  data_ = std::make_unique<Dataset>(options_.data, options_.instances, options_.evaluate.instances, setup_);
  require<DataError>(vocabulary_ == nullptr || vocabulary_->checksum() == data_->vocabulary().checksum(),
                     "masked_lm: the data is prepared with another vocabulary than the checkpoint's: ", data_->vocabulary().size(), " and ",
                     vocabulary_ ? vocabulary_->size() : 0, " tokens; name the vocabulary of the training run in data.vocabulary");
  const data::TokenizerOptions& prepared = data_->tokenizer();
  require<ConfigError>(vocabulary_ == nullptr || (prepared.lower_case == tokenizer_.lower_case && strips(prepared) == strips(tokenizer_) &&
                                                  prepared.variant == tokenizer_.variant),
                       "masked_lm: the data is prepared in another way than the checkpoint's: data.lower_case ",
                       yes_no(prepared.lower_case), " and ", yes_no(tokenizer_.lower_case), ", data.tokenizer ", name_of(prepared.variant),
                       " and ", name_of(tokenizer_.variant), ", data.strip_accents ", yes_no(strips(prepared)), " and ",
                       yes_no(strips(tokenizer_)));
  vocabulary_ = data_->shared_vocabulary();
  tokenizer_ = prepared;
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "masked_lm: there is no data for this purpose");
  return *data_;
}

// ---- data

std::int64_t Task::samples_per_epoch() const {
  const std::int64_t all = size(engine::Split::train), step = setup_.batch_size * setup_.batches_per_step;
  return all < step ? all : all / step * step;
}

Batch Task::batch(const engine::Samples& samples) const {
  std::vector<data::Instance> instances;
  for (const std::int64_t i : samples.indices) instances.push_back(dataset().instance(samples.split, samples.epoch, i));
  return make_batch(instances, options_.instances.max_length, network_.packed, vocabulary_->id("[PAD]"), samples.offset);
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  prepare_data(options.data, options.instances, setup, &report);
  const Dataset made(options.data, options.instances, options.evaluate.instances, setup);
  for (const std::string& line : data::lines_of(made.report(options.data, options.instances))) report << line << '\n';
  report << options.data.prepared << ": " << made.summary() << '\n';
}

// ---- training

std::array<double, 2> Task::loss_counts(const Batch& batch) const {
  return {static_cast<double>(batch.predictions()) + (batch.begins ? kWeightEpsilon : 0), static_cast<double>(batch.layout.sequences)};
}

std::array<Tensor, 2> Task::loss(const Batch& batch, nn::Run run) const {
  run.token_ids = batch.layout.keys;
  return loss_sums(network_, batch, run, options_.instances.next_sentence);
}

std::int64_t Task::most_predictions() const { return data::most_predictions(pretraining_options(options_.instances)); }

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(setup_.batch_size, options_.instances.max_length, most_predictions(), vocab_size(), network_.packed,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

// ---- evaluation

Evaluation Task::evaluation(engine::Split split) const {
  Evaluation out;
  out.next_sentence = options_.instances.next_sentence;
  out.shown.emplace(ShownSource{.vocabulary = vocabulary_.get(),
                                .size = size(split),
                                .instance = [this, split](std::int64_t index) { return dataset().instance(split, 0, index); },
                                .probabilities = [this](const data::Instance& instance) { return probabilities(instance); },
                                .token_counts = [this]() -> const std::vector<std::int64_t>& { return token_counts(); }});
  return out;
}

const std::vector<std::int64_t>& Task::token_counts() const {
  if (token_counts_.empty()) token_counts_ = dataset().token_counts();
  return token_counts_;
}

Tensor Task::probabilities(const data::Instance& instance) const {
  const Batch batch = make_batch(std::span(&instance, 1), options_.instances.max_length, network_.packed, vocabulary_->id("[PAD]"));
  const Tensor x = network_.encode(batch.ids, batch.segments, batch.layout, {});
  return softmax(cast(vocabulary_logits(network_, network_.transformed(x, batch.masked)), DType::f32), 1);
}

engine::Metrics Task::baselines(engine::Split split) const {
  FrequencyBaselines frequencies(token_counts());
  for (std::int64_t i = 0; i < size(split); ++i) {
    engine::throw_if_stopped();
    frequencies.add(dataset().instance(split, 0, i));
  }
  return frequencies.metrics(options_.instances.next_sentence);
}

std::vector<std::string> Task::unread_by_answers() const {
  switch (options_.predict.task) {
    case PredictTask::fill: return {network_.pooler, network_.next_sentence_head};
    case PredictTask::next_sentence: return {network_.masked_lm_head};
    case PredictTask::features: return {network_.pooler, network_.next_sentence_head, network_.masked_lm_head};
    case PredictTask::vectors:
      if (options_.predict.vector == SentenceVector::pooled) return {network_.next_sentence_head, network_.masked_lm_head};
      return {network_.pooler, network_.next_sentence_head, network_.masked_lm_head};
    case PredictTask::automatic: break;  // the lines decide
  }
  return {};
}

std::string Task::protocol(engine::Split split) const {
  std::size_t masked = 0;
  for (std::int64_t i = 0; i < size(split); ++i) masked += dataset().instance(split, 0, i).labels.size();
  return join_text("masked_lm: ", masked, " masked tokens of held-out text, 80 % of them shown as [MASK], ranked among all ", vocab_size(),
                   " tokens",
                   options_.instances.next_sentence ? join_text("; next_sentence: ", size(split), " pairs, half of them random\n") : "\n");
}

}  // namespace capstan::masked_lm
