#include "recipes/patch_mixer/recipe.h"

#include "autograd/capstan.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/patch_embedding.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/tasks/image_classification/task.h"

namespace capstan::patch_mixer {
namespace {

namespace task = image_classification;

struct Options {  // the section [model]
  std::int64_t image_size = 32, channels = 3, classes = 0, patch_size = 4, width = 64, layers = 3;

  template <class V>
  void visit(V& v) {
    v("image_size", image_size, "height and width of the images, in pixels", V::between(1, 16384));
    v("channels", channels, "channels of the images: 1 grey, 3 colour", V::between(1, 64));
    v("classes", classes, "number of classes; 0: as many as the data has", V::between(0, 1e6)).of_use();
    v("patch_size", patch_size, "height and width of a patch, a divisor of image_size", V::between(1, 16384));
    v("width", width, "numbers that stand for a patch", V::between(1, 65536));
    v("layers", layers, "layers", V::between(0, 1024));
  }
};

struct Layer {  // on N patches of C numbers: each number across the patches, then each patch across its numbers
  nn::LayerNorm norm;
  nn::Linear across, within;

  Layer(const nn::Scope& scope, std::int64_t n, std::int64_t c)
      : norm(scope / "norm", {.width = c}), across(scope / "across", {.in = n, .out = n}), within(scope / "within", {.in = c, .out = c}) {}
  Tensor operator()(const Tensor& x) const {  // [B, N, C] -> [B, N, C]
    const Tensor y = x + transpose(gelu(across(transpose(norm(x), 1, 2))), 1, 2);
    return y + gelu(within(norm(y)));
  }
};

struct Mixer {
  nn::PatchEmbedding patches;
  std::vector<Layer> layers;
  nn::Linear head;

  Mixer(const nn::Scope& scope, const Options& o, std::int64_t classes)
      : patches(scope / "patches", {.channels = o.channels, .patch = o.patch_size, .width = o.width}),
        head(scope / "head", {.in = o.width, .out = classes}) {
    const auto [rows, columns] = patches.grid(o.image_size, o.image_size);
    for (std::int64_t i = 0; i < o.layers; ++i) layers.emplace_back(scope / "layers" / i, rows * columns, o.width);
  }
  Tensor operator()(const Tensor& images) const {  // [B, channels, H, W] -> [B, classes]
    Tensor x = patches(images);
    for (const Layer& layer : layers) x = layer(x);
    return cast(head(mean(x, {1})), DType::f32);
  }
};

struct PatchMixer : task::Task {
  static constexpr std::string_view name = "patch_mixer";
  struct Config : task::RecipeOptions<Options> {
    void validate() const {
      const bool fits = image_size(form()) == model.image_size && model.image_size % model.patch_size == 0;
      require<ConfigError>(fits, "images of ", image_size(form()), " pixels: they must have model.image_size = ", model.image_size,
                           " pixels, a multiple of model.patch_size = ", model.patch_size);
      task::Options::validate(form());
    }
  };

  PatchMixer(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, config.form(), setup, scope, [&](const nn::Scope& below, std::int64_t classes) -> task::Network {
          const auto model = std::make_shared<const Mixer>(below, config.model, classes);
          return {.logits = [model](const Tensor& images, const nn::Run&) { return (*model)(images); }};
        }) {}
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<PatchMixer>(); }

}  // namespace capstan::patch_mixer
