#pragma once
// Network: what the task asks of a model. Whatever encodes tokens in both directions and has the two heads of pretraining fits.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autograd/core/parameter.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/token_layout.h"

namespace capstan::masked_lm {

struct Network {
  bool packed = true;             ///< how sequences come, laid out with nn::Align::left
  std::int64_t max_length = 512;  ///< tokens of the longest one
  std::int64_t width = 0;         ///< H, of a token

  /// Token ids and segments (0 or 1), i64 [tokens] -> the last layer, [tokens, H].
  std::function<Tensor(const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout, const nn::Run& run)> encode;
  /// The same with the embeddings and every layer before it, the last one behind.
  std::function<std::vector<Tensor>(const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout, const nn::Run& run)>
      all_layers;

  /// Some tokens, i64 [N], of what encode() gives -> h [N, H], whose logits over the vocabulary are h . decoder_weight^T + decoder_bias.
  std::function<Tensor(const Tensor& encoded, const Tensor& tokens)> transformed;
  Parameter decoder_weight, decoder_bias;  // [V, H], [V]
  /// Paths of the parts that only some answers need: what `pooled`, `next_sentence_logits` and `transformed` add to `encode`.
  std::string pooler, next_sentence_head, masked_lm_head;
  /// All parameters with a row for each token of the vocabulary, these two among them.
  std::vector<Parameter> token_parameters = {};
  /// What stands for a sequence as a whole: [sequences, H].
  std::function<Tensor(const Tensor& encoded, const nn::TokenLayout& layout)> pooled;
  /// Logits of "B follows A" and "B is random": [sequences, 2].
  std::function<Tensor(const Tensor& encoded, const nn::TokenLayout& layout)> next_sentence_logits;
};

/// Builds the network for a vocabulary below a scope.
using MakeNetwork = std::function<Network(const nn::Scope& scope, std::int64_t vocab_size)>;

}  // namespace capstan::masked_lm
