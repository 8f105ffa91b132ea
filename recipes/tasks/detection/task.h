#pragma once
// The task: the objects of an image and their boxes, learned by a network that predicts a set (network.h). What a recipe of a model needs
// beside it is the model's sections of the configuration and a name:
//
//     class Mine : public detection::Task { ... : Task(config, channels, classes, setup, scope, [](const nn::Scope&, std::int64_t classes)
//     {...}) };
//
// dataset.h, batch.h, set_loss.h, evaluation.h, findings.h, detect.h, pictures.h and preview.h say what is computed.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_report.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/detection/batch.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/detect.h"
#include "recipes/tasks/detection/evaluation.h"
#include "recipes/tasks/detection/network.h"
#include "recipes/tasks/detection/options.h"
#include "recipes/tasks/detection/set_loss.h"

namespace capstan::detection {

class Task {
 public:
  using Batch = detection::Batch;
  using Evaluation = detection::Evaluation;
  using Query = detection::Query;
  static constexpr std::string_view metric = "ap";
  static constexpr std::array<std::string_view, 6> loss_terms = kLossTerms;

  /// Images of `channels` channels; `classes` 0: as many as the data has.
  Task(const Options& options, std::int64_t channels, std::int64_t classes, const engine::Setup& setup, const nn::Scope& scope,
       const MakeNetwork& make);

  std::int64_t size(engine::Split split) const { return dataset().size(split); }
  Batch batch(const engine::Samples& samples) const;
  std::array<Tensor, 6> loss(const Batch& batch, nn::Run run) const;
  std::array<double, 6> loss_counts(const Batch& batch) const { return detection::loss_counts(batch, network_.queries, options_.loss); }

  Evaluation evaluation(engine::Split split) const;
  void evaluate(const Batch& batch, Evaluation& to, const nn::Run& run) const { to.add(batch, answers(batch.images, batch.real, run)); }
  /// Writes evaluate.results and evaluate.curves.
  void evaluated(engine::Split split, const Evaluation& evaluation) const;
  engine::Metrics baselines(engine::Split split) const { return detection::baselines(typical_boxes_, dataset(), split); }
  std::string protocol(engine::Split split) const;

  Query query(std::string line, std::int64_t number) const { return detector_->read(std::move(line), number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const;

  engine::NamedTensors artifacts() const;
  std::vector<engine::NamedRows> named_rows() const;
  data::DataReport data_report() const { return data_ ? data_->report() : data::DataReport{}; }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index) const;

 private:
  const Dataset& dataset() const;
  std::int64_t classes_for(std::int64_t configured) const;
  /// Throws DataError naming a training image that has more objects than there are queries.
  void check_queries() const;
  /// In the element type that the network is to compute in.
  Tensor in_precision(const Tensor& images) const;
  Answers answers(const Tensor& images, const Tensor& real, const nn::Run& run) const;

  Options options_;
  engine::Setup setup_;
  ImageForm form_;
  data::BoxAugmentation augmentation_;
  std::unique_ptr<Dataset> data_;  // none for bench and for predict from paths
  std::vector<std::string> class_names_;
  Tensor typical_boxes_;  // of the training part, for the baseline; undefined where nobody evaluates
  std::int64_t classes_;
  Network network_;
  std::optional<Detector> detector_;
};

}  // namespace capstan::detection
