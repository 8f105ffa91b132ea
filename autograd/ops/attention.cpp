#include "autograd/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/attention.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

void check_query_and_key(std::string_view op, const Spec& query, const Spec& key, int rank, std::string_view axes) {
  require<DTypeError>(is_floating(query.dtype) && query.dtype == key.dtype, op, ": needs operands of one floating type: query ", query,
                      ", key ", key);
  require(query.shape.rank() == rank && key.shape.rank() == rank, op, ": query and key must be ", axes, ": query ", query, ", key ", key);
  require(query.shape[-1] == key.shape[-1], op, ": query and key must have one width D: query ", query, ", key ", key, ", ", query.shape[-1],
          " and ", key.shape[-1]);
  const std::int64_t heads = query.shape[-2], key_heads = key.shape[-2];
  require(key_heads > 0 && heads % key_heads == 0, op, ": the heads of query must be a multiple of those of key: query ", query, ", key ", key,
          ", ", heads, " and ", key_heads);
  require(rank != 4 || query.shape[0] == key.shape[0], op, ": query and key must have one batch size: query ", query, ", key ", key, ", ",
          query.shape[0], " and ", key.shape[0]);
}

void check_masks(std::string_view op, const Spec& query, const Spec& key, const Spec& mask, const Spec& key_padding) {
  if (mask.present) {
    require<DTypeError>(mask.dtype == DType::u8 || mask.dtype == query.dtype, op,
                        ": mask must be u8 (1 may attend) or of query's type (added): query ", query, ", mask ", mask);
    const Shape scores{query.shape[0], query.shape[2], query.shape[1], key.shape[1]};
    require(broadcasts_to(mask.shape, scores), op, ": mask must broadcast to [B, H, Tq, Tk]: mask ", mask, ", scores ", scores);
  }
  if (key_padding.present)
    require(key_padding == Spec{{key.shape[0], key.shape[1]}, DType::u8}, op, ": key_padding must be u8 [B, Tk]: key ", key, ", key_padding ",
            key_padding);
}

kernels::AttentionLayout layout_of(const Tensor& t) {
  const Layout& l = t.layout();
  return {.sequence = t.rank() == 4 ? l.stride(0) : 0, .token = l.stride(-3), .head = l.stride(-2), .width = l.stride(-1)};
}

std::array<std::int64_t, 4> mask_strides(const Tensor& mask, const Shape& scores) {
  const Layout l = mask.layout().expand(scores);
  return {l.stride(0), l.stride(1), l.stride(2), l.stride(3)};
}

// All of a problem but values and what only packed batches have.
kernels::AttentionProblem problem_of(double scale, bool causal, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& key_padding) {
  kernels::AttentionProblem p;
  p.heads = query.size(-2);
  p.key_heads = key.size(-2);
  p.width = query.size(-1);
  p.q = layout_of(query);
  p.k = layout_of(key);
  p.scale = scale != 0.0 ? scale : 1.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(p.width, 1)));
  p.causal = causal;
  if (query.rank() == 4) {
    p.sequences = query.size(0);
    p.queries = query.size(1);
    p.keys = key.size(1);
  }
  if (mask.defined()) {
    const Shape scores{p.sequences, p.heads, p.queries, p.keys};
    if (mask.dtype() == DType::u8) {
      p.keep = mask.data<const std::uint8_t>();
      p.keep_strides = mask_strides(mask, scores);
    } else {
      p.add = raw_pointer(mask);
      p.add_strides = mask_strides(mask, scores);
    }
  }
  if (key_padding.defined()) p.key_keep = key_padding.data<const std::uint8_t>();
  return p;
}

kernels::AttentionProblem problem_of(const ScaledDotProductAttention::Args& args, const ScaledDotProductAttention::Saved& in) {
  kernels::AttentionProblem p = problem_of(args.scale, args.causal, in.query, in.key, in.mask, in.key_padding);
  p.v = layout_of(in.value);
  p.key = args.key;
  p.dropout = kernels::DropoutRate(args.dropout);
  if (in.token_ids.defined()) p.ids = in.token_ids.data<const std::int64_t>();
  if (in.cu_seqlens.defined()) {
    p.offsets = in.cu_seqlens.data<const std::int64_t>();
    p.sequences = in.cu_seqlens.numel() - 1;
    for (std::int64_t s = 0; s < p.sequences; ++s) p.queries = p.keys = std::max(p.keys, p.offsets[s + 1] - p.offsets[s]);
  }
  return p;
}

// What a spec cannot see: the numbers in cu_seqlens and token_ids.
void check_values(std::string_view op, const Tensor& query, const Tensor& cu_seqlens, const Tensor& token_ids) {
  if (cu_seqlens.defined()) {
    const auto offsets = cu_seqlens.span<const std::int64_t>();
    const std::int64_t tokens = query.size(0);
    require(offsets.front() == 0 && offsets.back() == tokens, op, ": cu_seqlens must rise from 0 to the number of tokens: query ", query,
            ", first ", offsets.front(), ", last ", offsets.back());
    for (std::size_t s = 1; s < offsets.size(); ++s)
      require(offsets[s - 1] <= offsets[s], op, ": cu_seqlens must rise: position ", s - 1, " holds ", offsets[s - 1], ", position ", s,
              " holds ", offsets[s]);
  }
  if (token_ids.defined()) {
    const auto ids = token_ids.span<const std::int64_t>();
    for (std::size_t i = 0; i < ids.size(); ++i) require(ids[i] >= 0, op, ": token_ids must be >= 0: position ", i, " holds ", ids[i]);
  }
}

}  // namespace

Spec ScaledDotProductAttention::spec(const Args& args, const Spec& query, const Spec& key, const Spec& value, const Spec& mask,
                                     const Spec& key_padding, const Spec& cu_seqlens, const Spec& token_ids) {
  const bool packed = cu_seqlens.present;
  check_query_and_key(name, query, key, packed ? 3 : 4, packed ? "[N, H, D] beside cu_seqlens" : "[B, T, H, D]");
  require(value == key, name, ": value must have key's shape and type: key ", key, ", value ", value);
  require<ArgumentError>(args.dropout >= 0.0 && args.dropout <= 1.0, name, ": the dropout rate must lie in [0, 1]: dropout ", args.dropout);
  if (packed) {
    require(cu_seqlens.dtype == DType::i64 && cu_seqlens.shape.rank() == 1 && cu_seqlens.shape[0] >= 1, name,
            ": cu_seqlens must be i64 [S + 1]: cu_seqlens ", cu_seqlens);
    require(query.shape[0] == key.shape[0], name, ": packed query and key must have the same tokens: query ", query, ", key ", key);
    require(!mask.present && !key_padding.present, name, ": a packed batch takes no mask and no key_padding: mask ", mask, ", key_padding ",
            key_padding);
  } else {
    check_masks(name, query, key, mask, key_padding);
  }
  if (token_ids.present) {
    const Shape tokens = query.shape.sub(0, query.shape.rank() - 2);
    require(token_ids == Spec{tokens, DType::i64} && query.shape[-3] == key.shape[-3], name,
            ": token_ids must be i64, one for each token of query and key: query ", query, ", key ", key, ", token_ids ", token_ids);
  }
  return query;
}

Tensor ScaledDotProductAttention::forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                                          const Tensor& key_padding, const Tensor& cu_seqlens, const Tensor& token_ids, const Call<7>&,
                                          Saved& saved) {
  saved = {query, key, value, mask, dense(key_padding), dense(cu_seqlens), dense(token_ids),
           Tensor(query.shape().without(-1), kernels::compute_dtype(query.dtype()))};
  check_values(name, query, saved.cu_seqlens, saved.token_ids);
  const Tensor y(query.spec());
  if (query.numel() == 0) return y;
  const kernels::AttentionProblem p = problem_of(args, saved);
  dispatch_floating(name, query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::attention(p, query.data<const T>(), key.data<const T>(), value.data<const T>(), y.data<T>(),
                       saved.lse.template data<kernels::Compute<T>>());
  });
  return y;
}

// With S = scale q k^T + mask, P = softmax(S), K the dropout factors (0 or 1 / P(keep)) and y = (P K) v:
//   dv = (P K)^T dy,  dP = K (dy v^T),  dS = P (dP - rowsum(P dP)),
//   dq = scale dS k,  dk = scale dS^T q,  dmask = dS.
Grads<7> ScaledDotProductAttention::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<7> needs) {
  const Tensor dq(saved.query.spec()), g = dense(dy);
  Tensor dk(saved.key.spec()), dv(saved.value.spec()), dmask;
  if (dq.numel() == 0) dk = dv = Tensor::zeros(saved.key.shape(), saved.key.dtype());
  const kernels::AttentionProblem p = problem_of(args, saved);
  if (needs[3]) dmask = Tensor::zeros(Shape{p.sequences, p.heads, p.queries, p.keys}, dq.dtype());
  if (dq.numel() != 0)
    dispatch_floating(name, dq.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::attention_backward(p, saved.query.data<const T>(), saved.key.data<const T>(), saved.value.data<const T>(),
                                  saved.lse.template data<const kernels::Compute<T>>(), g.data<const T>(),
                                  dq.data<T>(), dk.data<T>(), dv.data<T>(), dmask.defined() ? dmask.data<T>() : nullptr);
    });
  Grads<7> grads;
  if (needs[0]) grads[0] = dq;
  if (needs[1]) grads[1] = dk;
  if (needs[2]) grads[2] = dv;
  if (needs[3]) grads[3] = dmask;
  return grads;
}

Spec AttentionProbabilities::spec(const Args&, const Spec& query, const Spec& key, const Spec& mask, const Spec& key_padding) {
  check_query_and_key(name, query, key, 4, "[B, T, H, D]");
  check_masks(name, query, key, mask, key_padding);
  return {{query.shape[0], query.shape[2], query.shape[1], key.shape[1]}, query.dtype};
}

Tensor AttentionProbabilities::forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& key_padding,
                                       const Spec& spec) {
  const Tensor out(spec), real = dense(key_padding);
  if (out.numel() == 0) return out;
  const kernels::AttentionProblem p = problem_of(args.scale, args.causal, query, key, mask, real);
  dispatch_floating(name, query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::attention_probabilities(p, query.data<const T>(), key.data<const T>(), out.data<T>());
  });
  return out;
}

}  // namespace ops

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value, const ops::ScaledDotProductAttention::Args& args,
                                    const AttentionInputs& in) {
  return apply<ops::ScaledDotProductAttention>(args, query, key, value, in.mask, in.key_padding, in.cu_seqlens, in.token_ids);
}

Tensor attention_probabilities(const Tensor& query, const Tensor& key, const ops::AttentionProbabilities::Args& args, const Tensor& mask,
                               const Tensor& key_padding) {
  return apply<ops::AttentionProbabilities>(args, query, key, mask, key_padding);
}

}  // namespace capstan
