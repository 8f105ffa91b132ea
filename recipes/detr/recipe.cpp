#include "recipes/detr/recipe.h"

#include <memory>
#include <vector>

#include "nn/models/detr.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/detr.h"
#include "recipes/tasks/detection/preview.h"
#include "recipes/tasks/detection/score_files.h"
#include "recipes/tasks/detection/task.h"

namespace capstan::detr {
namespace {

namespace task = detection;

/// A ResNet without classifier.
struct BackboneOptions {
  nn::ResNetOptions resnet{.classes = 0, .norm = nn::ResNetNorm::frozen};

  template <class V>
  void visit(V& v) {
    v("channels", resnet.channels, "channels of the images: 1 grey, 3 colour", V::between(1, 64));
    resnet.visit_body(v);
  }
};

struct ModelOptions : nn::DetrOptions {
  BackboneOptions backbone;

  template <class V>
  void visit(V& v) {
    nn::DetrOptions::visit(v);
    v.section("backbone", backbone);
  }
};

struct Config : task::Options {
  ModelOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    task::Options::visit(v);
  }
  const nn::ResNetOptions& backbone() const { return model.backbone.resnet; }
  void validate() const {
    nn::check(backbone());
    task::Options::validate(backbone().channels);
  }
};

task::Network network(nn::DetrOptions options, const nn::ResNetOptions& backbone, const nn::Scope& scope, std::int64_t classes) {
  options.classes = classes;
  const auto model = std::make_shared<const nn::Detr>(scope, options, backbone);
  return {.answers =
              [model](const Tensor& images, const Tensor& real, const nn::Run& run) {
                nn::Detr::Result r = (*model)(images, real, run);
                return task::Answers{.logits = r.logits, .boxes = r.boxes};
              },
          .attended =
              [model](const Tensor& images, const Tensor& real, const nn::Run& run) {
                nn::Detr::Observed o = model->observed(images, real, run);
                return task::Attended{.answers = {.logits = o.result.logits, .boxes = o.result.boxes}, .attention = o.attention};
              },
          .queries = options.queries,
          .class_parameters = model->class_parameters()};
}

class Detr : public task::Task {
 public:
  static constexpr std::string_view name = "detr";
  using Config = detr::Config;

  Detr(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, config.backbone().channels, config.model.classes, setup, scope,
             [&](const nn::Scope& below, std::int64_t classes) { return network(config.model, config.backbone(), below, classes); }) {}

  static engine::Preview preview(const Config& config, const engine::Setup& setup) {
    return detection::preview(config, config.backbone().channels, setup);
  }
  static std::vector<engine::ForeignForm> foreign_forms(const Config& c) {
    return formats::detr_forms(c.model, c.backbone(),
                               {.mean = c.data.mean,
                                .deviation = c.data.deviation,
                                .side = c.evaluate.side,
                                .longest = c.evaluate.longest,
                                .filter = c.evaluate.filter});
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adamw);
    o.optimizer.learning_rate = 1e-4;
    o.optimizer.weight_decay = 1e-4;
    o.schedule.kind = engine::ScheduleKind::step;
    o.train.batch_size = 2;
    o.train.clip_norm = 0.1;
    o.evaluate.batch_size = 2;
    o.predict.batch_size = 2;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<Detr>(); }

engine::FileScorer file_scorer() { return {.recipe = "detr", .score = detection::score_files}; }

}  // namespace capstan::detr
