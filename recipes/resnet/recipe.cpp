#include "recipes/resnet/recipe.h"

#include <memory>
#include <utility>
#include <vector>

#include "nn/models/resnet.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/resnet.h"
#include "recipes/tasks/image_classification/task.h"

namespace capstan::resnet {
namespace {

namespace task = image_classification;

struct Config : task::RecipeOptions<nn::ResNetOptions> {
  void validate() const {
    nn::check(model);
    task::Options::validate(form());
  }
};

task::Network network(nn::ResNetOptions options, const nn::Scope& scope, std::int64_t classes) {
  options.classes = classes;
  const auto model = std::make_shared<const nn::ResNet>(scope, options);
  return {
      .logits = [model](const Tensor& images, const nn::Run& run) { return model->logits(images, run); },
      .smallest_batch = [options](std::int64_t height, std::int64_t width) { return nn::smallest_training_batch(options, height, width); },
      .class_parameters = model->class_parameters()};
}

class ResNet : public task::Task {
 public:
  static constexpr std::string_view name = "resnet";
  using Config = resnet::Config;

  ResNet(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, config.form(), setup, scope,
             [&](const nn::Scope& below, std::int64_t classes) { return network(config.model, below, classes); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::resnet_forms(config.model, formats::preparation_of(config));
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::sgd);
    o.optimizer.learning_rate = 0.1;
    o.optimizer.momentum = 0.9;
    o.optimizer.weight_decay = 1e-4;
    o.schedule.kind = engine::ScheduleKind::cosine;
    o.evaluate.batch_size = 128;
    o.predict.batch_size = 128;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<ResNet>(); }

}  // namespace capstan::resnet
