#pragma once
// Network: what the task asks of a model. Whatever turns tokens into a score of each class, or into one number, fits.

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/tasks/text/token_batch.h"

namespace capstan::text_classification {

struct Network {
  bool packed = true;  ///< how sequences come, laid out with nn::Align::left

  /// Sequences in the frame that the recipe asked for (Reading, options.h) -> f32 [sequences, outputs].
  std::function<Tensor(const text::TokenBatch& batch, const nn::Run& run)> logits;
  /// How much the result looks at each token, f32 [sequences, tokens of the longest], a row sums to 1; may be missing.
  std::function<Tensor(const text::TokenBatch& batch, const nn::Run& run)> attention = {};
  /// Parameters with a row for each token of the vocabulary, and for each class.
  std::vector<Parameter> token_parameters = {}, class_parameters = {};
};

/// The tokens that a network has vectors for.
struct Tokens {
  std::int64_t count = 0;
  std::int64_t unknown = 0;  ///< the number of [UNK]
};

/// Builds the network below a scope for these tokens and so many outputs: the classes, or 1 for a number.
using MakeNetwork = std::function<Network(const nn::Scope& scope, const Tokens& tokens, std::int64_t outputs)>;

}  // namespace capstan::text_classification
