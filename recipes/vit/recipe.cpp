#include "recipes/vit/recipe.h"

#include <memory>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "nn/models/vit.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/vit.h"
#include "recipes/tasks/image_classification/task.h"

namespace capstan::vit {
namespace {

namespace task = image_classification;

struct Config : task::RecipeOptions<nn::VitOptions> {
  void validate() const {
    require<ConfigError>(predict.pictures.empty() || model.layers > 0,
                         "vit: predict.pictures shows the attention of layers, but model.layers is ", model.layers);
    nn::check(model, image_size(form()), image_size_key());
    task::Options::validate(form());
  }
};

task::Network network(nn::VitOptions options, const nn::Scope& scope, std::int64_t classes) {
  options.classes = classes;
  const auto model = std::make_shared<const nn::Vit>(scope, options);
  task::Network out{
      .logits = [model](const Tensor& images, const nn::Run& run) { return model->logits(images, run); },
      .smallest_batch = [options](std::int64_t height, std::int64_t width) { return nn::smallest_training_batch(options, height, width); },
      .class_parameters = model->class_parameters(),
      .attention = [model](const Tensor& image) -> task::Attention {
        return {.probabilities = model->with_attention(image, {}).probabilities,
                .grid = model->grid(image.size(2), image.size(3)),
                .class_token = model->has_class_token()};
      }};
  if (options.layers == 0) out.attention = {};
  return out;
}

class Vit : public task::Task {
 public:
  static constexpr std::string_view name = "vit";
  using Config = vit::Config;

  Vit(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, config.form(), setup, scope,
             [&](const nn::Scope& below, std::int64_t classes) { return network(config.model, below, classes); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::vit_forms(config.model, formats::preparation_of(config));
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adamw);
    o.optimizer.weight_decay = 0.05;
    o.schedule.kind = engine::ScheduleKind::cosine;
    o.evaluate.batch_size = 256;
    o.predict.batch_size = 256;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<Vit>(); }

}  // namespace capstan::vit
