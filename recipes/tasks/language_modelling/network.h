#pragma once
// Network: what the task asks of a model. Whatever predicts the next token from those before it fits.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/generation/decoder.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/tasks/language_modelling/batch.h"
#include "recipes/tasks/text/generation.h"

namespace capstan::language_modelling {

/// What a decoder is to have room for.
struct DecoderSize {
  std::int64_t lines = 1, beams = 1;
  std::int64_t max_length = 1;  ///< tokens of a line, its prompt among them
  WeightStorage weights = WeightStorage::f32;
  DType cache = DType::f32;
};

struct Network {
  /// The model's result for every token of the batch that predicts, in the order of Batch::labels: [N, H]. Its logits are
  /// h . output_weight^T.
  std::function<Tensor(const Batch& batch, const nn::Run& run)> hidden = {};
  Parameter output_weight = {};                  // [V, H]
  std::vector<Parameter> token_parameters = {};  ///< with a row for each token
  std::int64_t max_positions = 0;                ///< the window: tokens that it sees at most
  std::int64_t cache_numbers = 0;                ///< keys and values of a token, while text is written
  /// Writes with the weights as they are now.
  std::function<std::unique_ptr<nn::Decoder>(const DecoderSize& size)> decoder = {};
};

/// Builds the network below a scope for so many tokens.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t vocabulary)>;

}  // namespace capstan::language_modelling
