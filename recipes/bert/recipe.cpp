#include "recipes/bert/recipe.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "recipes/bert/evaluation.h"
#include "recipes/bert/predict.h"
#include "recipes/bert/prepare.h"

namespace capstan::bert {
namespace {

/// What the original adds to the number of predictions before it divides by it.
constexpr double kWeightEpsilon = 1e-5;

std::string_view yes_no(bool b) { return b ? "yes" : "no"; }

/// The options as they are used: relative positions need padding.
ModelOptions model_options(ModelOptions o) {
  o.packed = o.packed && o.positions == nn::RelativePositions::none;
  return o;
}

}  // namespace

optim::Schedule make_schedule(const OptimizerOptions& o, std::int64_t total) {
  const std::int64_t warmup = o.warmup_steps > 0 ? o.warmup_steps : static_cast<std::int64_t>(o.warmup_share * static_cast<double>(total));
  if (o.schedule == ScheduleKind::constant) {
    const optim::Schedule flat = optim::constant(o.learning_rate);
    return warmup > 0 ? optim::with_warmup({.steps = warmup}, flat) : flat;
  }
  require<ConfigError>(warmup < total, "bert: optimizer.warmup_steps must be below the steps of the run, got ", warmup, " of ", total);
  const optim::LinearWarmup options{.peak = o.learning_rate, .total = total, .warmup = warmup};
  return o.schedule == ScheduleKind::google ? optim::bert_linear(options) : optim::linear_with_warmup(options);
}

Bert::Bert(const Config& config, const engine::Setup& setup)
    : config_(config),
      setup_(setup),
      vocabulary_(vocabulary_of(setup.artifacts)),
      tokenizer_(tokenizer_of(setup.artifacts)),
      store_(setup.seed) {
  config_.model = model_options(config_.model);
  const bool needs_data = setup_.purpose == engine::Purpose::train || setup_.purpose == engine::Purpose::evaluate;
  require<CheckpointError>(setup_.purpose != engine::Purpose::predict || vocabulary_ != nullptr, "bert: the checkpoint has no vocabulary");
  if (needs_data) {
    data_ = std::make_unique<Dataset>(config_.data, config_.instances, setup_);
    require<DataError>(vocabulary_ == nullptr || vocabulary_->checksum() == data_->vocabulary().checksum(),
                       "bert: the data is prepared with another vocabulary than the checkpoint's: ", data_->vocabulary().size(), " and ",
                       vocabulary_ ? vocabulary_->size() : 0, " tokens; name the vocabulary of the training run in data.vocabulary");
    const data::TokenizerOptions& prepared = data_->tokenizer();
    require<ConfigError>(vocabulary_ == nullptr || (prepared.lower_case == tokenizer_.lower_case && prepared.variant == tokenizer_.variant),
                         "bert: the data is prepared in another way than the checkpoint's: data.lower_case ", yes_no(prepared.lower_case),
                         " and ", yes_no(tokenizer_.lower_case), ", data.tokenizer ", name_of(prepared.variant), " and ",
                         name_of(tokenizer_.variant));
    vocabulary_ = data_->shared_vocabulary();
    tokenizer_ = prepared;
  }
  if (vocabulary_) pad_id_ = vocabulary_->id("[PAD]");
  model_.emplace(store_.root(), vocab_size(), config_.model, setup_.precision);
  optimizer_.emplace(store_.parameters(), optim::BertAdamOptions{.beta1 = config_.optimizer.beta1,
                                                                 .beta2 = config_.optimizer.beta2,
                                                                 .epsilon = config_.optimizer.epsilon,
                                                                 .weight_decay = config_.optimizer.weight_decay});
  // The course spans the epochs, or a number of its own, but never train.max_steps: a run that is stopped early and resumed goes the same
  // way.
  schedule_ = optim::constant(config_.optimizer.learning_rate);
  if (setup_.purpose == engine::Purpose::train) {
    const std::int64_t steps_per_epoch = (batches_per_epoch() + setup_.batches_per_step - 1) / setup_.batches_per_step;
    schedule_ = make_schedule(config_.optimizer, config_.optimizer.steps > 0 ? config_.optimizer.steps : setup_.epochs * steps_per_epoch);
  }
}

const Dataset& Bert::dataset() const {
  require<InternalError>(data_ != nullptr, "bert: there is no data for this purpose");
  return *data_;
}

std::int64_t Bert::batches_per_epoch() const {
  const std::int64_t size = dataset().size(), step = setup_.batch_size * setup_.batches_per_step;
  if (size < step) return (size + setup_.batch_size - 1) / setup_.batch_size;
  return size / step * setup_.batches_per_step;  // a last step with few instances would weigh as much as the others
}

Batch Bert::make_batch(std::int64_t epoch, std::int64_t index) const {
  const auto instances = dataset().training(epoch, index * setup_.batch_size, setup_.batch_size);
  return bert::make_batch(instances, config_.instances.max_length, config_.model.packed, pad_id_);
}

engine::LossCounts<Bert> Bert::loss_counts(const Batch& batch) const {
  return {static_cast<double>(batch.predictions()) + kWeightEpsilon, static_cast<double>(batch.sequences)};
}

engine::LossSums<Bert> Bert::loss(const Batch& batch, nn::Run run) {
  run.token_ids = batch.keys;
  const Model::Losses losses = model_->losses(batch, run);
  return {losses.masked_lm, losses.next_sentence};
}

const std::vector<data::Instance>& Bert::held_out(engine::Split split) {
  auto& instances = held_out_[split == engine::Split::validation ? 0 : 1];
  if (!instances) instances = dataset().evaluation(split, config_.evaluate.instances);
  return *instances;
}

engine::Metrics Bert::evaluate(engine::Split split) {
  const auto& instances = held_out(split);
  require<DataError>(setup_.purpose == engine::Purpose::train || !instances.empty(), "bert: there is no ",
                     split == engine::Split::test ? "test" : "validation", " text to evaluate on: ", dataset().summary());
  if (instances.empty()) return {};  // training goes on without
  engine::Metrics out = evaluate_model(*model_, instances, config_.instances.max_length, pad_id_, config_.evaluate.batch_size);
  if (config_.evaluate.baselines)
    for (engine::Metric& m : frequency_baselines(dataset().token_counts(), instances)) out.push_back(std::move(m));
  return out;
}

std::string Bert::protocol(engine::Split split) {
  const auto& instances = held_out(split);
  std::int64_t masked = 0;
  for (const data::Instance& x : instances) masked += static_cast<std::int64_t>(x.labels.size());
  return join_text("masked_lm: ", masked, " masked tokens of held-out text, 80 % of them shown as [MASK], ranked among all ", vocab_size(),
                   " tokens; next_sentence: ", instances.size(), " pairs, half of them random\n");
}

void Bert::predict(std::istream& in, std::ostream& out) { Predictor(*model_, *vocabulary_, tokenizer_, config_.predict).run(in, out); }

void Bert::prepare(const Config& config, const engine::Setup& setup, std::ostream& report) {
  prepare_data(config.data, config.instances, setup, &report);
  const Dataset data(config.data, config.instances, setup);
  report << config.data.prepared << ": " << data.summary() << '\n';
}

engine::NamedTensors Bert::artifacts() const { return vocabulary_artifacts(*vocabulary_, tokenizer_); }

Batch Bert::bench_batch(std::int64_t index) {
  return random_batch(setup_.batch_size, config_.instances.max_length, config_.instances.max_predictions, vocab_size(),
                      config_.model.packed, random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

double Bert::flops_per_step() const {
  // Backward takes two products for each of forward.
  return 3 * 2 *
         forward_multiply_adds(config_.model, vocab_size(), setup_.batch_size * setup_.batches_per_step, config_.instances.max_length,
                               config_.instances.max_predictions);
}

}  // namespace capstan::bert
