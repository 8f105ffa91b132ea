#pragma once
// Multi-head attention (Vaswani et al. 2017): softmax(Q K^T / sqrt(head width) + bias) V in several heads between linear projections.
//
// Parameters, with D the head width: query [heads * D, width], key and value [key_value_heads * D, width of what each reads] and output
// [width, heads * D], each a Linear; head h owns the columns [h * D, (h + 1) * D) of a projection. With fewer heads of keys and values
// (grouped-query attention: Ainslie et al. 2023; one: Shazeer 2019), each of them serves heads / key_value_heads neighbouring query heads.
// With relative positions also distance_embedding [2 * max_length - 1, D]; with extra_key also extra_key and extra_value
// [key_value_heads * D].
// Masks say what may be attended to (PyTorch's boolean masks say what may not). A query that may attend to nothing gets zeros.
//
// Decoding keeps keys and values in a KeyValueCache: step() for self-attention, extend() once and attend() for cross-attention.

#include <cstdint>
#include <optional>

#include "autograd/ops/attention.h"
#include "nn/dropout.h"
#include "nn/key_value_cache.h"
#include "nn/linear.h"
#include "nn/relative_position.h"
#include "nn/run.h"

namespace capstan::nn {

struct AttentionOptions {
  std::int64_t width = 0, heads = 1;
  std::int64_t key_value_heads = 0;                      ///< a divisor of heads; 0: as many
  std::int64_t head_width = 0;                           ///< 0: width / heads
  std::int64_t key_width = 0, value_width = 0;           ///< of the keys' and values' input; 0: width
  bool bias = true;                                      ///< of all four projections
  double dropout = 0;                                    ///< of the probabilities
  RelativePositions relative = RelativePositions::none;  ///< self-attention over padded batches only
  std::int64_t max_length = 0;                           ///< longest sequence, for relative positions
  /// Rotary positions (autograd/ops/rotary.h) of this base: queries and keys are turned by their places. Self-attention over padded batches
  /// only. 0: none
  double rotary_base = 0;
  /// A learned key and value that every query may attend to beside the others, and one of zeros (PyTorch's add_bias_kv and
  /// add_zero_attn). Padded batches only, and not with relative positions or a cache.
  bool extra_key = false, zero_key = false;
  Initializer init = glorot_uniform();
  std::optional<Initializer> projection_init = {};  ///< of the weights of query, key and value; none: init
};

/// B batch, H heads, T queries, S keys; N tokens of all sequences in a packed batch. Mask and bias broadcast to [B, H, T, S]; a leading
/// axis that divides B repeats (windows: autograd/ops/attention.h).
struct AttentionMask {
  Tensor mask = {};     ///< u8, 1: may be attended to
  Tensor bias = {};     ///< added to the scores, differentiable: of the inputs' element type, or f32 beside bf16
  Tensor keys = {};     ///< u8 [B, S], 1 for a real key, 0 for padding
  bool causal = false;  ///< query t may attend to keys 0 ... t; of a cache's tokens, queries are the last
  /// i64 [sequences + 1], rising from 0 to N: the batch is packed, sequence s is the tokens [cu_seqlens[s], cu_seqlens[s + 1]) and
  /// attends to itself only. No mask, bias or keys then.
  Tensor cu_seqlens = {};
  /// i64, one for each key: names it for dropout, as Run::token_ids names the query. Absent: key is the same tensor as query.
  Tensor key_ids = {};
  /// Added to what queries and keys are made of, not to what values are, [B, T, width] and [B, S, key_width] (DETR). Not with a cache.
  Tensor query_positions = {}, key_positions = {};
};

class MultiHeadAttention {
 public:
  /// Throws ConfigError if the heads do not divide the width (without head_width), or key_value_heads the heads.
  MultiHeadAttention(const Scope& scope, const AttentionOptions& options);

  /// query [B, T, width], key [B, S, key_width], value [B, S, value_width] -> [B, T, width], or packed [N, ...] -> [N, width].
  /// Self-attention passes the same tensor thrice. Where probabilities are dropped out and run.token_ids is there, it must have one number
  /// for each query, and mask.key_ids one for each key; only where query and key are the same tensor they may be absent. ShapeError else.
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run) const;
  /// Without the output bias, for callers that fuse it into what comes next.
  Tensor without_bias(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run) const;
  const Parameter& bias() const { return output_.bias(); }

  const Linear& query() const { return query_; }
  const Linear& key() const { return key_; }
  const Linear& value() const { return value_; }
  const Linear& output() const { return output_; }
  std::int64_t heads() const { return heads_; }
  std::int64_t key_value_heads() const { return key_value_heads_; }
  std::int64_t head_width() const { return head_width_; }
  RelativePositions relative() const { return relative_; }
  double rotary_base() const { return rotary_base_; }  ///< 0: no rotary positions

  struct WithWeights {
    Tensor output;   // [B, T, width]
    Tensor weights;  // [B, T, S], the mean over heads, or [B, H, T, S]: the probabilities before dropout. Extra keys stand last
  };
  /// Also the probabilities, constants to look at. Padded batches only.
  WithWeights with_weights(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run,
                           bool average = true) const;

  /// Causal self-attention of the next tokens of each sequence, x [B, T, width] -> [B, T, width]: appends their keys and values to the
  /// cache and attends to everything in it. mask.keys, if any, is [B, T], of these tokens: the cache remembers it; mask and bias are of
  /// these queries and all keys. The results are those of the whole sequences at once, up to rounding.
  Tensor step(const Tensor& x, KeyValueCache& cache, const AttentionMask& mask, const Run& run) const;
  /// Appends the keys and values of key [B, S, key_width] and value [B, S, value_width], and which of them are real, u8 [B, S]: for
  /// cross-attention, once. Under NoGrad.
  void extend(KeyValueCache& cache, const Tensor& key, const Tensor& value, const Tensor& real = {}) const;
  /// Attention of queries to what a cache holds, query [B, T, width] -> [B, T, width]. mask.keys, if any, [B, tokens in the cache], stands
  /// for what the cache knows of padding. Causal or with relative positions the queries are the last of the cache's tokens.
  Tensor attend(const Tensor& query, const KeyValueCache& cache, const AttentionMask& mask, const Run& run) const;
  /// Both without the output bias.
  Tensor step_without_bias(const Tensor& x, KeyValueCache& cache, const AttentionMask& mask, const Run& run) const;
  Tensor attend_without_bias(const Tensor& query, const KeyValueCache& cache, const AttentionMask& mask, const Run& run) const;

 private:
  struct Completed {};  // options in which nothing is left to a default
  MultiHeadAttention(const Scope& scope, const AttentionOptions& options, Completed);
  struct Heads {
    Tensor query, key, value;  // [B, T or S, H, D] or [N, H, D]; key and value may have fewer heads
  };
  Heads project(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask) const;
  /// Heads [B, T, H, D] turned by the places from `first` on, where positions are rotary.
  Tensor turned(const Tensor& heads, std::int64_t first) const;
  std::int64_t extra_keys() const { return (extra_key_.defined() ? 1 : 0) + (zero_key_ ? 1 : 0); }
  /// Puts the extra keys and values before the others, and what stands for them into the inputs. There, causality leaves them to every
  /// query.
  void add_extra_keys(Heads& heads, AttentionInputs& inputs) const;
  Tensor split_heads(const Tensor& x, std::int64_t heads) const;
  /// What accompanies the heads into the op; `self`: query and key are the same tokens.
  AttentionInputs inputs_of(const Heads& heads, bool self, const AttentionMask& mask, const Run& run) const;
  /// The context, heads side by side: [B, T, H * D] or [N, H * D].
  Tensor context_of(const Heads& heads, const AttentionInputs& inputs, bool causal, std::int64_t query_offset, const Run& run) const;
  Tensor context_of(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask, const Run& run) const;
  Tensor context_of(const Tensor& query, const KeyValueCache& cache, AttentionMask mask, const Run& run) const;
  /// Appends x to the cache; what x may then attend to.
  AttentionMask extended(const Tensor& x, KeyValueCache& cache, AttentionMask mask) const;

  std::int64_t heads_, key_value_heads_, head_width_;
  Linear query_, key_, value_, output_;
  Dropout dropout_;
  RelativePositions relative_;
  double rotary_base_;
  Parameter distances_;                // [2 * max_length - 1, head width], or undefined
  Parameter extra_key_, extra_value_;  // [key_value_heads * head width], or undefined
  bool zero_key_;
};

}  // namespace capstan::nn
