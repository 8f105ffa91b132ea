#pragma once
// A small task of generated shapes, with a network that is as simple as one can be.

#include <string_view>

#include "autograd/ops/shape_ops.h"
#include "nn/linear.h"
#include "recipes/tasks/image_classification/task.h"

namespace capstan::image_classification {

/// Images of 16 x 16 pixels: 50 to train, 12 to validate, 18 to test.
inline Options shapes() {
  Options o;
  o.data.source = Source::shapes;
  o.shapes = {.train = 50, .validation = 12, .test = 18, .size = 16};
  return o;
}
inline constexpr ImageForm kForm{.size = 16};

/// The scores of classes are a linear map of the pixels.
struct LinearTask : Task {
  static constexpr std::string_view name = "linear_images";
  using Config = Options;

  LinearTask(const Options& options, const engine::Setup& setup, const nn::Scope& scope)
      : Task(options, kForm, setup, scope, [](const nn::Scope& below, std::int64_t classes) -> Network {
          const std::int64_t pixels = kForm.channels * kForm.size * kForm.size;
          const nn::Linear map(below / "map", {.in = pixels, .out = classes});
          return {.logits = [=](const Tensor& images, const nn::Run&) { return map(reshape(images, {images.size(0), pixels})); }};
        }) {}
};

}  // namespace capstan::image_classification
