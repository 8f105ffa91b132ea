#include "recipes/swin/recipe.h"

#include <memory>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "nn/models/swin.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/swin.h"
#include "recipes/tasks/image_classification/task.h"

namespace capstan::swin {
namespace {

namespace task = image_classification;

struct Config : task::RecipeOptions<nn::SwinOptions> {
  void validate() const {
    nn::check(model, image_size(form()), image_size_key());
    task::Options::validate(form());
  }
};

task::Network network(nn::SwinOptions options, const nn::Scope& scope, std::int64_t classes) {
  options.classes = classes;
  const auto model = std::make_shared<const nn::Swin>(scope, options);
  return {
      .logits = [model](const Tensor& images, const nn::Run& run) { return model->logits(images, run); },
      .smallest_batch = [options](std::int64_t height, std::int64_t width) { return nn::smallest_training_batch(options, height, width); },
      .class_parameters = model->class_parameters(),
      .attention = [model](const Tensor& image) -> task::Attention {
        nn::Swin::WithAttention seen = model->with_attention(image, {});
        return {.probabilities = std::move(seen.probabilities), .grid = seen.grid, .class_token = false};
      }};
}

class Swin : public task::Task {
 public:
  static constexpr std::string_view name = "swin";
  using Config = swin::Config;

  Swin(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, config.form(), setup, scope,
             [&](const nn::Scope& below, std::int64_t classes) { return network(config.model, below, classes); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::swin_forms(config.model, formats::preparation_of(config));
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

engine::RecipeEntry recipe() { return engine::entry<Swin>(); }

}  // namespace capstan::swin
