#pragma once
// Multi-head attention (Vaswani et al. 2017): softmax(Q K^T / sqrt(head width) + mask) V in several heads between linear projections.
//
// Parameters: query, key, value [width, width of what each reads] and output [width, width], each a Linear; head h owns the columns
// [h * width / heads, (h + 1) * width / heads) of a projection.
// With relative positions also distance_embedding [2 * max_length - 1, width / heads].
// Masks say what may be attended to (PyTorch's boolean masks say what may not). A query that may attend to nothing gets zeros.

#include <cstdint>

#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/relative_position.h"
#include "nn/run.h"

namespace capstan::nn {

struct AttentionOptions {
  std::int64_t width = 0, heads = 1;
  std::int64_t key_width = 0, value_width = 0;  ///< of the keys' and values' input; 0: width
  bool bias = true;                             ///< of all four projections
  double dropout = 0;                           ///< of the probabilities
  RelativePositions relative = RelativePositions::none;  ///< self-attention over padded batches only
  std::int64_t max_length = 0;                           ///< longest sequence, for relative positions
  Initializer init = glorot_uniform();
};

/// B batch, H heads, T queries, S keys; N tokens of all sequences in a packed batch.
struct AttentionMask {
  Tensor mask = {};     ///< u8 (1: may be attended to) or of the inputs' element type (added to the scores), broadcasting to [B, H, T, S]
  Tensor keys = {};     ///< u8 [B, S], 1 for a real key, 0 for padding
  bool causal = false;  ///< query t may attend to keys 0 ... t
  /// i64 [sequences + 1], rising from 0 to N: the batch is packed, sequence s is the tokens [cu_seqlens[s], cu_seqlens[s + 1]) and
  /// attends to itself only. Neither mask nor keys then.
  Tensor cu_seqlens = {};
};

class MultiHeadAttention {
 public:
  /// Throws ConfigError if the heads do not divide the width.
  MultiHeadAttention(const Scope& scope, const AttentionOptions& options);

  /// query [B, T, width], key [B, S, key_width], value [B, S, value_width] -> [B, T, width], or packed [N, ...] -> [N, width].
  /// Self-attention passes the same tensor thrice.
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run) const;
  /// Without the output bias, for callers that fuse it into what comes next.
  Tensor without_bias(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run) const;
  const Parameter& bias() const { return output_.bias(); }

  struct WithWeights {
    Tensor output;   // [B, T, width]
    Tensor weights;  // [B, T, S], the mean over heads, or [B, H, T, S]: the probabilities before dropout
  };
  /// Also the probabilities, constants to look at. Padded batches only.
  WithWeights with_weights(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run,
                           bool average = true) const;

 private:
  struct Heads {
    Tensor query, key, value;  // [B, T or S, H, D] or [N, H, D]
  };
  Heads project(const Tensor& query, const Tensor& key, const Tensor& value) const;
  Tensor split_heads(const Tensor& x) const;
  /// mask.mask, or with relative positions the sum of their scores and it.
  Tensor added_scores(const Heads& heads, const AttentionMask& mask) const;
  /// The context, heads side by side: [B, T, width] or [N, width].
  Tensor attend(const Heads& heads, const AttentionMask& mask, const Tensor& token_ids, const Run& run) const;

  std::int64_t heads_, head_width_;
  Linear query_, key_, value_, output_;
  Dropout dropout_;
  RelativePositions relative_;
  Parameter distances_;  // [2 * max_length - 1, head width], or undefined
};

}  // namespace capstan::nn
