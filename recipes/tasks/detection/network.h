#pragma once
// Network: what the task asks of a model. Whatever turns images into a fixed number of predictions, each a score of every class and of
// "no object" and a box, fits.

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::detection {

/// f32, of one or more layers that answer each for itself; the last one is the model's word.
struct Answers {
  Tensor logits;  ///< [L, B, queries, classes + 1], the last class being "no object"
  Tensor boxes;   ///< [L, B, queries, 4]: cx, cy, w, h as shares of each image, without its padding
};

/// Answers of the last layer, and where it looked.
struct Attended {
  Answers answers;   ///< L = 1
  Tensor attention;  ///< f32 [B, queries, h, w] over the padded images, adding up to 1 for each query
};

struct Network {
  /// images [B, C, H, W], f32 or bf16, each in the upper left corner; real u8 [B, H, W], 0 for padding, or undefined: there is none.
  /// In training all layers answer that are to learn, and run.token_ids numbers the images, i64 [B].
  std::function<Answers(const Tensor& images, const Tensor& real, const nn::Run& run)> answers;
  /// The same for pictures. Empty where a model has no attention to show.
  std::function<Attended(const Tensor& images, const Tensor& real, const nn::Run& run)> attended = {};
  std::int64_t queries = 0;
  /// Parameters with a row for each class and one more, the last, for "no object".
  std::vector<Parameter> class_parameters = {};
};

/// Builds the network for this number of classes below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t classes)>;

}  // namespace capstan::detection
