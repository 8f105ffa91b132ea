#include "recipes/tasks/image_classification/task.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/shape_ops.h"
#include "data/output_file.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/image_classification/pictures.h"

namespace capstan::image_classification {
namespace {

using engine::Purpose;
using engine::Split;

constexpr std::string_view kClassNames = "class_names";  // artifact of a checkpoint
constexpr std::int64_t kBenchClasses = 1000;             // where the model leaves it to the data

bool needs_data(const Options& options, Purpose purpose) {
  if (purpose == Purpose::bench) return false;
  return purpose != Purpose::predict || options.predict.input == PredictInput::indices;
}

std::string broken_text(const std::map<std::string, std::string>& broken) {
  std::string text;
  for (const auto& [path, fault] : broken) text += fault + "\n";  // a fault begins with the path
  return text;
}

void write_broken_list(const Options& options, const std::map<std::string, std::string>& broken) {
  if (!options.data.broken_list.empty()) data::write_output(engine::expand_home(options.data.broken_list), broken_text(broken));
}

/// Images in the element type that the network is to compute in.
Tensor in_precision(DType precision, const Tensor& images) { return precision == DType::bf16 ? cast(images, DType::bf16) : images; }

}  // namespace

Task::Task(const Options& options, const ImageForm& form, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make)
    : options_(options),
      setup_(setup),
      pipeline_(options.pipeline(form)),
      class_names_(engine::stored_lines(setup.artifacts, kClassNames)) {
  if (needs_data(options_, setup_.purpose)) {
    data_ = std::make_unique<Dataset>(options_.data, options_.shapes, setup_, class_names_);
    if (class_names_.empty()) class_names_ = data_->class_names();
  }
  classes_ = classes_for(form);
  network_ = make(scope, classes_);
  require<ConfigError>(options_.predict.pictures.empty() || network_.attention,
                       "image_classification: predict.pictures shows attention, which this model does not have");
  if (setup_.purpose == Purpose::train) check_batches();
  if (setup_.purpose == Purpose::predict) classifier_.emplace(options_, setup_.json_answers, class_names_, pipeline_, data_.get());
}

void Task::check_batches() const {
  const std::int64_t images = size(Split::train), size = pipeline_.options().size, least = network_.smallest_batch(size, size);
  const std::int64_t last = images % setup_.batch_size, whole = last > 0 ? last : std::min(images, setup_.batch_size);
  const std::int64_t smallest = std::max<std::int64_t>(1, whole / setup_.parts);  // each part is normalised by itself
  require<ConfigError>(smallest >= least, "image_classification: a batch of ", smallest, " image", smallest == 1 ? "" : "s",
                       " leaves batch normalisation one element a channel: ", images, " training images in batches of ", setup_.batch_size,
                       setup_.parts > 1 ? join_text(" in ", setup_.parts, " parts") : std::string(), "; take another train.batch_size");
}

std::int64_t Task::classes_for(const ImageForm& form) const {
  const auto known = static_cast<std::int64_t>(class_names_.size());
  if (setup_.purpose == Purpose::bench) return form.classes > 0 ? form.classes : kBenchClasses;
  require<CheckpointError>(known > 0, "image_classification: the checkpoint does not name its classes");
  require<ConfigError>(form.classes == 0 || form.classes == known, "image_classification: model.classes is ", form.classes,
                       ", but there are ", known, " classes; 0 takes as many as there are");
  return known;
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "image_classification: there is no data for this purpose");
  return *data_;
}

// ---- data

Batch Task::batch(const engine::Samples& samples) const {
  if (samples.split != Split::train) return evaluation_batch(dataset(), samples.split, pipeline_, samples.indices);
  return training_batch({.data = dataset(), .pipeline = pipeline_, .augment = options_.augment, .setup = setup_}, samples);
}

void Task::prepare(const Options& options, const engine::Setup& setup, std::ostream& report) {
  Options lenient = options;
  lenient.data.broken = data::Broken::skip;
  const Dataset d(lenient.data, lenient.shapes, setup);
  d.check_all();
  for (const std::string& line : data::lines_of(d.report())) report << line << '\n';
  report << d.summary() << "; validation: " << d.validation_source() << "; broken files: " << d.broken().size() << '\n'
         << broken_text(d.broken());
  write_broken_list(options, d.broken());
}

data::DataReport Task::data_report() const {
  data::DataReport report;
  if (data_) report = data_->report();
  const auto scaled = [](double v) { return v >= 0 && v <= 1; };
  if (!std::ranges::all_of(options_.data.mean, scaled) || !std::ranges::all_of(options_.data.deviation, scaled))
    report.warnings.emplace_back("data.mean and data.deviation are for pixels in 0 .. 1, not 0 .. 255, but one is outside");
  return report;
}

std::vector<engine::NamedRows> Task::named_rows() const {
  const auto names = [](const engine::NamedTensors& artifacts) { return engine::stored_lines(artifacts, kClassNames); };
  return {{.what = "classes", .names = names, .parameters = network_.class_parameters}};
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  engine::store_lines(out, kClassNames, class_names_);
  return out;
}

// ---- training

Tensor Task::loss(const Batch& batch, nn::Run run) const {
  run.token_ids = batch.samples;
  const Tensor y = network_.logits(in_precision(setup_.precision, batch.images), run);  // [B, classes]
  if (batch.targets.defined()) return soft_cross_entropy(y, batch.targets, {.reduction = Reduction::sum()}).value;
  return cross_entropy(y, batch.labels, {.label_smoothing = options_.augment.label_smoothing, .reduction = Reduction::sum()}).value;
}

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(pipeline_.options(), options_.augment, classes_, setup_.batch_size,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

// ---- use

Tensor Task::logits(const Tensor& images, const nn::Run& run) const {
  const Tensor y = network_.logits(in_precision(setup_.precision, images), run);
  if (!options_.evaluate.flip) return y;
  return affine(add(y, network_.logits(in_precision(setup_.precision, flip(images, 3)), run)), 0.5);
}

Evaluation Task::evaluation(Split split) const {
  ShownImages::Look look;
  if (network_.attention) look = [this](const data::ImageView& image) { return this->look(image); };
  return {dataset(), split, class_names_, options_, std::move(look)};
}

ShownImages::Looked Task::look(const data::ImageView& image) const {
  constexpr std::int64_t kSide = 128;
  const data::PipelineOptions& form = pipeline_.options();
  const data::Image shown = pipeline_.shown(image);
  const Tensor one(Shape{1, form.channels, form.size, form.size});
  data::normalize(shown, form.normalization, one.span<float>());
  const Tensor scores = logits(one, {}).contiguous();
  const auto [said, probability] = engine::said_class(scores.span<const float>());
  const Attention attention = network_.attention(in_precision(setup_.precision, one));
  return {.said = join_text(class_names_[static_cast<std::size_t>(said)], " ", engine::decimals(probability, 3)),
          .page = attention_pictures(shown, attention.probabilities, attention.grid, attention.class_token, kSide).rollout};
}

void Task::evaluated(Split split, const Evaluation& evaluation) const {
  require<DataError>(evaluation.confusion.total() > 0, "image_classification: no image of the ", engine::name_of(split),
                     " part could be read");
  if (setup_.purpose == Purpose::evaluate && !options_.evaluate.confusion.empty())
    data::write_output(engine::expand_home(options_.evaluate.confusion), evaluation.confusion.to_tsv());
  // An evaluation alone meets fewer broken files than training, and must not replace its list.
  if (setup_.purpose == Purpose::train) write_broken_list(options_, evaluation.broken());
}

std::string Task::protocol(Split split) const {
  const auto& o = pipeline_.options();
  return join_text(engine::name_of(split), ": ", dataset().size(split), " images of ", class_names_.size(), " classes",
                   split == Split::validation ? " (" + dataset().validation_source() + ")" : "", ", the middle ", o.size, " x ", o.size,
                   " pixels of each at the scale of evaluate.crop_share ", o.crop_share,
                   options_.evaluate.flip ? ", and its mirror image" : "", "\n");
}

Query Task::query(std::string line, std::int64_t number) const { return classifier_->read(std::move(line), number); }

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run& run) const {
  return classifier_->answer(
      queries, [&](const Tensor& images) { return logits(images, run); },
      [&](const Tensor& image) { return network_.attention(in_precision(setup_.precision, image)); });
}

}  // namespace capstan::image_classification
