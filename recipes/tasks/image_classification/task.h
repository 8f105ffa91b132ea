#pragma once
// The task: the class of an image, learned by a network that scores classes (network.h). What a recipe of a model needs beside it is the
// model's section of the configuration and a name:
//
//     class Mine : public image_classification::Task { ... : Task(config, form, setup, scope, [](const nn::Scope&, std::int64_t classes)
//     {...}) };
//
// dataset.h, batch.h, evaluation.h, findings.h, classify.h, pictures.h and preview.h say what is computed.

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/pipeline.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/image_classification/batch.h"
#include "recipes/tasks/image_classification/classify.h"
#include "recipes/tasks/image_classification/dataset.h"
#include "recipes/tasks/image_classification/evaluation.h"
#include "recipes/tasks/image_classification/network.h"
#include "recipes/tasks/image_classification/options.h"
#include "recipes/tasks/image_classification/preview.h"

namespace capstan::image_classification {

class Task {
 public:
  using Batch = image_classification::Batch;
  using Evaluation = image_classification::Evaluation;
  using Query = image_classification::Query;
  static constexpr std::string_view metric = "accuracy";

  Task(const Options& options, const ImageForm& form, const engine::Setup& setup, const nn::Scope& scope, const MakeNetwork& make);

  std::int64_t size(engine::Split split) const { return dataset().size(split); }
  Batch batch(const engine::Samples& samples) const;
  std::int64_t repeats() const { return options_.augment.repeats; }
  Tensor loss(const Batch& batch, nn::Run run) const;

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { to.add(batch, logits(batch.images, run)); }
  /// Writes evaluate.confusion and data.broken_list. Throws DataError if no image could be read.
  void evaluated(engine::Split split, const Evaluation& evaluation) const;
  std::string protocol(engine::Split split) const;

  Query query(std::string line, std::int64_t number) const;
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const;

  /// Reads every image file and reports the broken ones.
  static void prepare(const Options& options, const engine::Setup& setup, std::ostream& report);
  template <class Model>
  static engine::Preview preview(const RecipeOptions<Model>& options, const engine::Setup& setup) {
    return image_classification::preview(options, options.form(), setup);
  }
  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const;
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 private:
  const Dataset& dataset() const;
  /// How many the network is to tell apart. Throws ConfigError if the configuration wants another number than the data has.
  std::int64_t classes_for(const ImageForm& form) const;
  void check_batches() const;
  /// Of images f32 [B, C, H, W]; with evaluate.flip and out of training the mean with those of their mirror images.
  Tensor logits(const Tensor& images, const nn::Run& run) const;
  /// What the model says of an image, and what it looks at.
  ShownImages::Looked look(const data::ImageView& image) const;

  Options options_;
  engine::Setup setup_;
  data::ImagePipeline pipeline_;
  std::unique_ptr<Dataset> data_;  // none for bench and for predict from paths
  std::vector<std::string> class_names_;
  std::int64_t classes_;
  Network network_;
  std::optional<Classifier> classifier_;
};

}  // namespace capstan::image_classification
