#include "recipes/tasks/detection/task.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "data/output_file.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/detection/curves.h"

namespace capstan::detection {
namespace {

using engine::Purpose;
using engine::Split;

constexpr std::string_view kClassNames = "class_names";  // artifact of a checkpoint
constexpr std::string_view kTypicalBoxesName = "typical_boxes";
constexpr std::int64_t kBenchClasses = 91;  // COCO's, where the model leaves it to the data

}  // namespace

Task::Task(const Options& options, std::int64_t channels, std::int64_t classes, const engine::Setup& setup, const nn::Scope& scope,
           const MakeNetwork& make)
    : options_(options),
      setup_(setup),
      form_(form_of(options, channels)),
      augmentation_(options.augmentation()),
      class_names_(engine::stored_lines(setup.artifacts, kClassNames)) {
  const bool by_number = setup_.purpose == Purpose::predict && options_.predict.input == PredictInput::indices;
  if (setup_.purpose != Purpose::bench && (setup_.purpose != Purpose::predict || by_number)) {
    data_ = std::make_unique<Dataset>(options_, setup_, class_names_);
    class_names_ = data_->class_names();
    const auto kept = setup_.artifacts.find(kTypicalBoxesName);
    typical_boxes_ = data_->size(Split::train) > 0 ? typical_boxes(*data_) : kept != setup_.artifacts.end() ? kept->second : Tensor{};
  }
  classes_ = classes_for(classes);
  network_ = make(scope, classes_);
  if (setup_.purpose == Purpose::train) check_queries();
  require<ConfigError>(options_.predict.pictures.empty() || network_.attended,
                       "detection: predict.pictures shows attention, which this model does not have");
  if (setup_.purpose == Purpose::predict) detector_.emplace(options_, setup_.json_answers, class_names_, form_, data_.get());
}

void Task::check_queries() const {
  for (std::int64_t i = 0; i < dataset().size(Split::train); ++i) {
    const data::AnnotatedImage& image = dataset().annotated(Split::train, i);
    const auto objects = std::ranges::count_if(image.boxes, [](const data::AnnotatedBox& b) { return !b.crowd; });
    require<DataError>(objects <= network_.queries, image.file.empty() ? join_text("image ", image.id) : image.file, ": ", objects,
                       " objects, but the model has ", network_.queries, " queries (model.queries)");
  }
}

std::int64_t Task::classes_for(std::int64_t configured) const {
  const auto known = std::ssize(class_names_);
  if (setup_.purpose == Purpose::bench) return configured > 0 ? configured : kBenchClasses;
  require<CheckpointError>(known > 0, "detection: the checkpoint does not name its classes");
  require<ConfigError>(configured == 0 || configured == known, "detection: model.classes is ", configured, ", but there are ", known,
                       " classes (the highest category number + 1); 0 takes as many as there are");
  return known;
}

const Dataset& Task::dataset() const {
  require<InternalError>(data_ != nullptr, "detection: there is no data for this purpose");
  return *data_;
}

Batch Task::batch(const engine::Samples& samples) const {
  if (samples.split != Split::train) return evaluation_batch(dataset(), samples.split, form_, network_.queries, samples.indices);
  return training_batch(dataset(), augmentation_, form_, network_.queries, setup_.seed, samples);
}

Batch Task::bench_batch(std::int64_t index) const {
  return random_batch(form_, classes_, network_.queries, setup_.batch_size,
                      random_key(setup_.seed, "bench", {static_cast<std::uint64_t>(index)}));
}

Tensor Task::in_precision(const Tensor& images) const { return setup_.precision == DType::bf16 ? cast(images, DType::bf16) : images; }

Answers Task::answers(const Tensor& images, const Tensor& real, const nn::Run& run) const {
  return network_.answers(in_precision(images), real, run);
}

std::array<Tensor, 6> Task::loss(const Batch& batch, nn::Run run) const {
  run.token_ids = batch.numbers();
  const Answers said = answers(batch.images, batch.real, run);
  return set_loss(said, batch, matches_of(said, batch, options_.loss.cost), options_.loss);
}

Evaluation Task::evaluation(Split split) const {
  return {dataset(), split, options_, [this, split](std::int64_t index) {
            const Batch batch = evaluation_batch(dataset(), split, form_, network_.queries, std::span(&index, 1));
            std::vector<data::DetectedBox> out;
            for (const Detection& d : detections_of(answers(batch.images, batch.real, {}), 0, batch.parts[0].height, batch.parts[0].width))
              out.push_back(d.found);
            return out;
          }};
}

void Task::evaluated(Split, const Evaluation& evaluation) const {
  if (setup_.purpose != Purpose::evaluate) return;
  const EvaluateOptions& o = options_.evaluate;
  if (!o.results.empty()) data::write_output(engine::expand_home(o.results), evaluation.results().text());
  if (!o.curves.empty()) data::write_output(engine::expand_home(o.curves), curves_svg(evaluation.coco().result(), evaluation.names()));
}

std::string Task::protocol(Split split) const {
  return join_text(engine::name_of(split), ": ", dataset().size(split), " images (", dataset().source_of(split), "), shorter side ",
                   form_.side, form_.longest > 0 ? join_text(", at most ", form_.longest) : "",
                   " pixels; COCO's box metric with one detection a query\n");
}

std::vector<std::string> Task::answer(std::span<const Query> queries, const nn::Run& run) const {
  return detector_->answer(queries, [&](const Tensor& images, const Tensor& real) {
    if (!detector_->draws()) return Attended{.answers = answers(images, real, run), .attention = {}};
    return network_.attended(in_precision(images), real, run);
  });
}

engine::NamedTensors Task::artifacts() const {
  engine::NamedTensors out;
  engine::store_lines(out, kClassNames, class_names_);
  if (typical_boxes_.defined()) out.emplace(kTypicalBoxesName, typical_boxes_);
  return out;
}

std::vector<engine::NamedRows> Task::named_rows() const {
  const auto names = [](const engine::NamedTensors& artifacts) {
    std::vector<std::string> rows = engine::stored_lines(artifacts, kClassNames);
    if (!rows.empty()) rows.emplace_back();  // "no object"
    return rows;
  };
  return {{.what = "classes", .names = names, .parameters = network_.class_parameters}};
}

}  // namespace capstan::detection
