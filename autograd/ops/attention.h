#pragma once
// Scaled dot-product attention, fused: softmax(scale * query key^T + mask) value, with dropout of the probabilities.
//
// Padded batches are [B, T, H, D], read as they lie: slices and permuted views of a common projection are not copied. Packed batches
// are [N, H, D], the tokens of all sequences one after another, with `cu_seqlens` telling where each begins. Key and value may have
// fewer heads, of which each serves H / H_k neighbouring query heads. It is *not* a layer: projections live in nn.
//
// A query that may attend to nothing (all keys masked) has output 0 and passes no gradient. Scores are never stored: backward
// computes them again, so memory is proportional to T, not to its square.

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// What may accompany query, key and value; an undefined tensor is absent.
struct AttentionInputs {
  Tensor mask = {};         ///< broadcastable to [B, H, Tq, Tk]: u8, 1 = may attend; or of query's type, added to the scaled scores
  Tensor key_padding = {};  ///< u8 [B, Tk]: 1 = a real key, 0 = padding
  Tensor cu_seqlens = {};   ///< i64 [S + 1], rising from 0 to N: sequence s is tokens [cu_seqlens[s], cu_seqlens[s + 1]). Makes the batch packed
  Tensor token_ids = {};    ///< i64 [B, T] or [N], >= 0: names a token for dropout, as query and as key; consecutive numbers are fast
};

namespace ops {

struct ScaledDotProductAttention {
  static constexpr std::string_view name = "scaled_dot_product_attention";
  struct Args {
    double scale = 0.0;     ///< 0: 1 / sqrt(D)
    bool causal = false;    ///< query i attends to keys 0 ... i (aligned at the first token, also for Tq != Tk)
    double dropout = 0.0;   ///< rate, rounded to a multiple of 2^-16
    std::uint64_t key = 0;  ///< of the dropout mask, see random_key
  };
  struct Saved { Tensor query, key, value, mask, key_padding, cu_seqlens, token_ids, lse; };
  static Spec spec(const Args& args, const Spec& query, const Spec& key, const Spec& value, const Spec& mask, const Spec& key_padding,
                   const Spec& cu_seqlens, const Spec& token_ids);
  static Tensor forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                        const Tensor& key_padding, const Tensor& cu_seqlens, const Tensor& token_ids, const Call<7>& call,
                        Saved& saved);
  static Grads<7> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<7> needs);
};

struct AttentionProbabilities {
  static constexpr std::string_view name = "attention_probabilities";
  static constexpr bool differentiable = false;
  struct Args {
    double scale = 0.0;
    bool causal = false;
  };
  static Spec spec(const Args& args, const Spec& query, const Spec& key, const Spec& mask, const Spec& key_padding);
  static Tensor forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& key_padding,
                        const Spec& out);
};

using AttentionOps = TypeList<ScaledDotProductAttention, AttentionProbabilities>;

}  // namespace ops

/// Query [B, Tq, H, D], key and value [B, Tk, H_k, D]: contiguous [B, Tq, H, D]; or packed, all [N, H or H_k, D]: [N, H, D].
/// With dropout, the decision about (query, key, head) depends on args.key and the ids of the two tokens alone: a padded and a packed batch
/// with the same token_ids drop the same. Without token_ids it depends on the query's place in the batch and the key's in its sequence.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const ops::ScaledDotProductAttention::Args& args = {},
                                    const AttentionInputs& inputs = {});

/// The probabilities [B, H, Tq, Tk] that attention uses before dropout, to look at: query [B, Tq, H, D], key [B, Tk, H_k, D]. A constant.
Tensor attention_probabilities(const Tensor& query, const Tensor& key, const ops::AttentionProbabilities::Args& args = {}, const Tensor& mask = {},
                               const Tensor& key_padding = {});

}  // namespace capstan
