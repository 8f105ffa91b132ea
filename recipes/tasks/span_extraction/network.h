#pragma once
// Network: what the task asks of a model. Whatever encodes tokens in both directions and scores each one twice fits.

#include <cstdint>
#include <functional>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/token_layout.h"

namespace capstan::span_extraction {

struct Network {
  /// Token ids and segments (0 or 1), i64 [tokens], padded behind -> logits f32 [tokens, 2] of each token, padding too, to begin and to end
  /// the answer.
  std::function<Tensor(const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout, const nn::Run& run)> logits;
  /// All parameters with a row for each token of the vocabulary.
  std::vector<Parameter> token_parameters = {};
};

/// Builds the network for a vocabulary below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t vocab_size)>;

}  // namespace capstan::span_extraction
