#pragma once
// Scaled dot-product attention, fused: softmax(scale * query key^T + bias) value, with dropout of the probabilities.
//
// Padded batches are [B, T, H, D], read as they lie: slices and permuted views of a common projection are not copied. Packed batches
// are [N, H, D], the tokens of all sequences one after another, with `cu_seqlens` telling where each begins. Key and value may have
// fewer heads, of which each serves H / H_k neighbouring query heads (grouped-query attention). It is *not* a layer: nn projects.
//
// What a query may attend to is said by mask, key_padding and causality together; a bias is added to what remains. A query that may attend
// to nothing (all keys masked) has output 0 and passes no gradient. Scores are never stored: backward computes them again, so memory is
// proportional to T, not to its square.

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// What may accompany query, key and value; an undefined tensor is absent. Mask and bias broadcast to [B, H, Tq, Tk]; a leading axis that
/// divides B repeats: entry b % n of [n, H or 1, Tq, Tk] is for row b, as windows want it that are the rows of B = images * windows.
struct AttentionInputs {
  Tensor mask = {};         ///< u8: 1 = may attend
  Tensor bias = {};         ///< of query's type, added to the scaled scores; -inf removes. Its gradient has its own shape
  Tensor key_padding = {};  ///< u8 [B, Tk]: 1 = a real key, 0 = padding
  /// i64 [S + 1], rising from 0 to N: the batch is packed, sequence s is tokens [cu_seqlens[s], cu_seqlens[s + 1]).
  Tensor cu_seqlens = {};
  /// i64 [B, Tq] and [B, Tk], or [N], all >= 0, both or neither: the numbers that name queries and keys for dropout. Self-attention passes
  /// the same ones twice. Consecutive numbers of keys are fast.
  Tensor query_ids = {}, key_ids = {};
};

namespace ops {

struct ScaledDotProductAttention {
  static constexpr std::string_view name = "scaled_dot_product_attention";
  struct Args {
    double scale = 0.0;             ///< 0: 1 / sqrt(D)
    bool causal = false;            ///< query i attends to keys 0 ... query_offset + i, also for Tq != Tk
    std::int64_t query_offset = 0;  ///< with causal, padded batches: the position of the first query among the keys (decoding with a cache)
    double dropout = 0.0;           ///< rate, rounded to a multiple of 2^-16
    std::uint64_t key = 0;          ///< of the dropout mask, see random_key
  };
  struct Saved {
    Tensor query, key, value, mask, bias, key_padding, cu_seqlens, query_ids, key_ids, lse;
  };
  static Spec spec(const Args& args, const Spec& query, const Spec& key, const Spec& value, const Spec& mask, const Spec& bias,
                   const Spec& key_padding, const Spec& cu_seqlens, const Spec& query_ids, const Spec& key_ids);
  static Tensor forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                        const Tensor& bias, const Tensor& key_padding, const Tensor& cu_seqlens, const Tensor& query_ids,
                        const Tensor& key_ids, const Call<9>& call, Saved& saved);
  static Grads<9> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<9> needs);
};

struct AttentionProbabilities {
  static constexpr std::string_view name = "attention_probabilities";
  static constexpr bool differentiable = false;
  struct Args {
    double scale = 0.0;
    bool causal = false;
    std::int64_t query_offset = 0;
  };
  static Spec spec(const Args& args, const Spec& query, const Spec& key, const Spec& mask, const Spec& bias, const Spec& key_padding);
  static Tensor forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& bias,
                        const Tensor& key_padding, const Spec& out);
};

using AttentionOps = TypeList<ScaledDotProductAttention, AttentionProbabilities>;

}  // namespace ops

/// Query [B, Tq, H, D], key and value [B, Tk, H_k, D]: contiguous [B, Tq, H, D]; or packed, all [N, H or H_k, D]: [N, H, D].
/// With dropout, the decision about (query, key, head) depends on args.key and the ids of the two tokens alone: a padded and a packed batch
/// with the same ids drop the same. Without ids it depends on the query's place in the batch and the key's in its sequence.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const ops::ScaledDotProductAttention::Args& args = {}, const AttentionInputs& inputs = {});

/// The probabilities [B, H, Tq, Tk] that attention uses before dropout, to look at: query [B, Tq, H, D], key [B, Tk, H_k, D]. A constant.
/// Of the inputs, mask, bias and key_padding count.
Tensor attention_probabilities(const Tensor& query, const Tensor& key, const ops::AttentionProbabilities::Args& args = {},
                               const AttentionInputs& inputs = {});

}  // namespace capstan
