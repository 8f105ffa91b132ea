#pragma once
// Network: what the task asks of a model. Whatever reads tokens of one language and writes those of another fits.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/generation/decoder.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/tasks/translation/batch.h"
#include "recipes/tasks/translation/options.h"

namespace capstan::translation {

/// What a decoder is to have room for.
struct DecoderSize {
  std::int64_t lines = 1, beams = 1;
  std::int64_t max_source = 1, max_length = 1;  ///< tokens of a source with [EOS], and of a line with [BOS]
  WeightStorage weights = WeightStorage::f32;
  DType cache = DType::f32;
};

struct Network {
  /// The decoder's result for every target token of the batch that is real, in the order of Batch::tokens: [N, H]. Its logits are
  /// h . output_weight^T + output_bias.
  std::function<Tensor(const Batch& batch, const nn::Run& run)> hidden;
  Parameter output_weight, output_bias = {};  // [V, H], [V] or undefined
  /// Parameters with a row for each token of the source's and of the target's vocabulary.
  std::vector<Parameter> source_parameters = {}, target_parameters = {};
  std::int64_t max_positions = 0;  ///< tokens of either side at most
  /// Writes translations with the weights as they are now.
  std::function<std::unique_ptr<nn::Decoder>(const DecoderSize& size)> decoder;
  /// Attention of the target tokens of a batch of one pair to its source's: f32 [T, S].
  std::function<Tensor(const Batch& batch)> attention = {};
};

/// Builds the network below a scope for so many tokens in either language.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t source_vocabulary, std::int64_t target_vocabulary)>;

}  // namespace capstan::translation
