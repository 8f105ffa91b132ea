#include "recipes/vit/recipe.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/shape_ops.h"
#include "data/file.h"
#include "recipes/vit/classify.h"
#include "recipes/vit/evaluation.h"

namespace capstan::vit {
namespace {

constexpr std::int64_t kBenchClasses = 1000;  // where model.classes leaves it to the data

bool needs_data(const Config& config, engine::Purpose purpose) {
  if (purpose == engine::Purpose::bench) return false;
  return purpose != engine::Purpose::predict || config.predict.input == PredictInput::indices;
}

optim::Schedule make_schedule(const OptimizerOptions& o, std::int64_t steps_per_epoch, std::int64_t total) {
  const double peak = o.learning_rate, end = o.final_rate * peak;
  const std::int64_t warmup = std::min<std::int64_t>(total - 1, std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch)));
  const std::int64_t rest = total - warmup;
  optim::Schedule decay = optim::constant(peak);
  if (o.schedule == ScheduleKind::linear) decay = optim::linear_decay({.peak = peak, .end = end, .total = rest});
  if (o.schedule == ScheduleKind::cosine) decay = optim::cosine_decay({.peak = peak, .end = end, .total = rest});
  return warmup > 0 ? optim::with_warmup({.steps = warmup}, decay) : decay;
}

Part part_of(engine::Split split) { return split == engine::Split::validation ? Part::validation : Part::test; }

std::string broken_text(const Dataset& data) {
  std::string text;
  for (const auto& [path, fault] : data.broken()) text += fault + "\n";  // a fault begins with the path
  return text;
}

}  // namespace

Vit::Vit(const Config& config, const engine::Setup& setup)
    : config_(config), setup_(setup), pipeline_(config.pipeline()), class_names_(class_names_of(setup.artifacts)), store_(setup.seed) {
  if (needs_data(config_, setup_.purpose)) {
    data_ = std::make_unique<Dataset>(config_.data, config_.shapes, setup_, class_names_);
    if (class_names_.empty()) class_names_ = data_->class_names();
  }
  ModelOptions& model = config_.model;
  const auto classes = static_cast<std::int64_t>(class_names_.size());
  if (model.classes == 0) model.classes = setup_.purpose == engine::Purpose::bench ? kBenchClasses : classes;
  require<ConfigError>(setup_.purpose == engine::Purpose::bench || model.classes == classes, "vit: model.classes is ", model.classes,
                       ", but there are ", classes, " classes; 0 takes as many as there are");
  model_.emplace(store_.root(), model);
  optimizer_.emplace(store_.parameters(), optim::AdamWOptions{.beta1 = config_.optimizer.beta1,
                                                              .beta2 = config_.optimizer.beta2,
                                                              .epsilon = config_.optimizer.epsilon,
                                                              .weight_decay = config_.optimizer.weight_decay});
  // The course of the rate is laid over the epochs, not over train.max_steps: a run that is stopped early and resumed goes the same way.
  const std::int64_t steps = data_ ? (batches_per_epoch() + setup_.batches_per_step - 1) / setup_.batches_per_step : 1;
  schedule_ = make_schedule(config_.optimizer, steps, std::max<std::int64_t>(1, setup_.epochs * steps));
}

const Dataset& Vit::dataset() const {
  require<InternalError>(data_ != nullptr, "vit: there is no data for this purpose");
  return *data_;
}

std::int64_t Vit::batches_per_epoch() const { return (dataset().size(Part::train) + setup_.batch_size - 1) / setup_.batch_size; }

Batch Vit::make_batch(std::int64_t epoch, std::int64_t index) const {
  return training_batch(dataset(), pipeline_, config_.augment, setup_.seed, epoch, index, index * setup_.batch_size, setup_.batch_size);
}

Tensor Vit::as_input(const Tensor& images) const { return setup_.precision == DType::bf16 ? cast(images, DType::bf16) : images; }

engine::LossSums<Vit> Vit::loss(const Batch& batch, nn::Run run) {
  run.token_ids = batch.samples;
  const Tensor y = model_->logits(as_input(batch.images), run);  // [B, classes]
  if (batch.targets.defined()) return {soft_cross_entropy(y, batch.targets, {.reduction = Reduction::sum()}).value};
  return {cross_entropy(y, batch.labels, {.label_smoothing = config_.augment.label_smoothing, .reduction = Reduction::sum()}).value};
}

Tensor Vit::logits(const Tensor& images) const {
  const Tensor y = model_->logits(as_input(images), nn::Run{});
  if (!config_.evaluate.flip) return y;
  return affine(add(y, model_->logits(as_input(flip(images, 3)), nn::Run{})), 0.5);
}

engine::Metrics Vit::evaluate(engine::Split split) {
  const Evaluation result =
      vit::evaluate(dataset(), part_of(split), pipeline_, config_.evaluate, [&](const Tensor& images) { return logits(images); });
  if (setup_.purpose == engine::Purpose::evaluate && !config_.evaluate.confusion.empty())
    data::write_file_durably(config_.evaluate.confusion, std::string_view(result.confusion.to_tsv(class_names_)));
  if (setup_.purpose == engine::Purpose::train) write_broken_list();  // one that evaluation alone met would replace the longer one
  return result.metrics;
}

void Vit::write_broken_list() const {
  if (!config_.data.broken_list.empty()) data::write_file_durably(config_.data.broken_list, std::string_view(broken_text(dataset())));
}

std::string Vit::protocol(engine::Split split) const {
  const Part part = part_of(split);
  const auto& o = pipeline_.options();
  return join_text(split == engine::Split::validation ? "validation: " : "test: ", dataset().size(part), " images of ", class_names_.size(),
                   " classes", split == engine::Split::validation ? " (" + dataset().validation_source() + ")" : "", ", the middle ",
                   o.size, " x ", o.size, " pixels of each at the scale of evaluate.crop_share ", o.crop_share,
                   config_.evaluate.flip ? ", and its mirror image" : "", "\n");
}

void Vit::predict(std::istream& in, std::ostream& out) {
  const Predictor predictor{.logits = [&](const Tensor& images) { return logits(images); },
                            .with_attention = [&](const Tensor& images) { return model_->with_attention(as_input(images), nn::Run{}); },
                            .grid = [&](std::int64_t height, std::int64_t width) { return model_->grid(height, width); },
                            .class_token = model_->has_class_token()};
  classify(config_, class_names_, data_.get(), predictor, in, out);
}

void Vit::prepare(const Config& config, const engine::Setup& setup, std::ostream& report) {
  Config lenient = config;
  lenient.data.broken = data::Broken::skip;
  const Dataset d(lenient.data, lenient.shapes, setup);
  d.check_all();
  const auto broken = d.broken();
  report << d.summary() << "; validation: " << d.validation_source() << "; broken files: " << broken.size() << '\n' << broken_text(d);
  if (!config.data.broken_list.empty()) data::write_file_durably(config.data.broken_list, std::string_view(broken_text(d)));
}

Batch Vit::bench_batch(std::int64_t index) {
  return random_batch(pipeline_.options(), config_.augment, config_.model.classes, setup_.batch_size,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

double Vit::flops_per_step() const {
  // Backward takes two products for each of forward.
  return 3 * 2 * forward_multiply_adds(config_.model, setup_.batch_size * setup_.batches_per_step);
}

}  // namespace capstan::vit
