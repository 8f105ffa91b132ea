#include "autograd/ops/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/kernels/attention.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

// ---- checks of specs ----

void check_query_and_key(std::string_view op, const Spec& query, const Spec& key, int rank, std::string_view axes) {
  require<DTypeError>(is_floating(query.dtype) && query.dtype == key.dtype, op, ": needs operands of one floating type: query ", query,
                      ", key ", key);
  require(query.shape.rank() == rank && key.shape.rank() == rank, op, ": query and key must be ", axes, ": query ", query, ", key ", key);
  require(query.shape[-1] == key.shape[-1], op, ": query and key must have one width D: query ", query, ", key ", key, ", ",
          query.shape[-1], " and ", key.shape[-1]);
  const std::int64_t heads = query.shape[-2], key_heads = key.shape[-2];
  require(key_heads > 0 && heads % key_heads == 0, op, ": the heads of query must be a multiple of those of key: query ", query, ", key ",
          key, ", ", heads, " and ", key_heads);
  require(rank != 4 || query.shape[0] == key.shape[0], op, ": query and key must have one batch size: query ", query, ", key ", key, ", ",
          query.shape[0], " and ", key.shape[0]);
}

void check_offset(std::string_view op, bool causal, std::int64_t query_offset) {
  require<ArgumentError>(query_offset >= 0 && (causal || query_offset == 0), op,
                         ": query_offset must be >= 0, and 0 without causal: query_offset ", query_offset);
}

Shape scores_of(const Spec& query, const Spec& key) { return {query.shape[0], query.shape[2], query.shape[1], key.shape[1]}; }

/// The part of [B, H, Tq, Tk] that a table is broadcast to before its leading axis repeats.
Shape period_of(const Shape& table, const Shape& scores) {
  const bool whole = table.rank() == 4 && table[0] > 0 && scores[0] % table[0] == 0;
  return {whole ? table[0] : table.rank() == 4 ? scores[0] : 1, scores[1], scores[2], scores[3]};
}

void check_table(std::string_view op, std::string_view what, const Spec& table, const Shape& scores) {
  require(table.shape.rank() <= 4 && broadcasts_to(table.shape, period_of(table.shape, scores)), op, ": ", what,
          " must broadcast to [B, H, Tq, Tk], its leading axis repeating if it divides B: ", what, " ", table, ", scores ", scores);
}

void check_masks(std::string_view op, const Spec& query, const Spec& key, const Spec& mask, const Spec& bias, const Spec& key_padding) {
  if (mask.present) {
    require<DTypeError>(mask.dtype == DType::u8, op, ": mask must be u8 (1 may attend; numbers to add are a bias): query ", query,
                        ", mask ", mask);
    check_table(op, "mask", mask, scores_of(query, key));
  }
  if (bias.present) {
    require<DTypeError>(bias.dtype == query.dtype, op, ": bias must be of query's type: query ", query, ", bias ", bias);
    check_table(op, "bias", bias, scores_of(query, key));
  }
  if (key_padding.present)
    require(key_padding == Spec{{key.shape[0], key.shape[1]}, DType::u8}, op, ": key_padding must be u8 [B, Tk]: key ", key,
            ", key_padding ", key_padding);
}

void check_ids(std::string_view op, std::string_view what, const Spec& tokens, const Spec& ids) {
  require(ids == Spec{tokens.shape.sub(0, tokens.shape.rank() - 2), DType::i64}, op, ": ", what, "_ids must be i64, one for each token of ",
          what, ": ", what, " ", tokens, ", ", what, "_ids ", ids);
}

// ---- checks of values ----

void check_cu_seqlens(std::string_view op, const Tensor& query, const Tensor& cu_seqlens) {
  if (!cu_seqlens.defined()) return;
  const auto offsets = cu_seqlens.span<const std::int64_t>();
  require(offsets.front() == 0 && offsets.back() == query.size(0), op, ": cu_seqlens must rise from 0 to the number of tokens: query ",
          query, ", first ", offsets.front(), ", last ", offsets.back());
  for (std::size_t s = 1; s < offsets.size(); ++s)
    require(offsets[s - 1] <= offsets[s], op, ": cu_seqlens must rise: position ", s - 1, " holds ", offsets[s - 1], ", position ", s,
            " holds ", offsets[s]);
}

void check_id_values(std::string_view op, std::string_view what, const Tensor& ids) {
  if (!ids.defined()) return;
  const auto values = ids.span<const std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] >= 0, op, ": ", what, "_ids must be >= 0: position ", i, " holds ", values[i]);
}

// ---- the kernel's problem ----

kernels::AttentionLayout layout_of(const Tensor& t) {
  const Layout& l = t.layout();
  return {.sequence = t.rank() == 4 ? l.stride(0) : 0, .token = l.stride(-3), .head = l.stride(-2), .width = l.stride(-1)};
}

kernels::AttentionTable table_of(const Tensor& t, const Shape& scores) {
  const Layout l = t.layout().expand(period_of(t.shape(), scores));
  return {.period = std::max<std::int64_t>(l.shape()[0], 1),
          .sequence = l.stride(0),
          .head = l.stride(1),
          .query = l.stride(2),
          .key = l.stride(3)};
}

/// All of a problem but values and what only packed batches and dropout have.
template <class T, class Args>
kernels::AttentionProblem<T> problem_of(const Args& args, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& bias,
                                        const Tensor& key_padding) {
  kernels::AttentionProblem<T> p;
  p.q = query.data<const T>();
  p.k = key.data<const T>();
  p.q_layout = layout_of(query);
  p.k_layout = layout_of(key);
  p.heads = query.size(-2);
  p.key_heads = key.size(-2);
  p.width = query.size(-1);
  p.scale = args.scale != 0.0 ? args.scale : 1.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(p.width, 1)));
  p.causal = args.causal;
  p.query_offset = args.query_offset;
  if (query.rank() == 4) {
    p.sequences = query.size(0);
    p.queries = query.size(1);
    p.keys = key.size(1);
  }
  const Shape scores{p.sequences, p.heads, p.queries, p.keys};
  if (mask.defined()) {
    p.mask = mask.data<const std::uint8_t>();
    p.mask_table = table_of(mask, scores);
  }
  if (bias.defined()) {
    p.bias = bias.data<const T>();
    p.bias_table = table_of(bias, scores);
  }
  if (key_padding.defined()) p.key_padding = key_padding.data<const std::uint8_t>();
  return p;
}

template <class T>
kernels::AttentionProblem<T> problem_of(const ScaledDotProductAttention::Args& args, const ScaledDotProductAttention::Saved& in) {
  auto p = problem_of<T>(args, in.query, in.key, in.mask, in.bias, in.key_padding);
  p.v = in.value.data<const T>();
  p.v_layout = layout_of(in.value);
  p.key = args.key;
  p.dropout = kernels::DropoutRate(args.dropout);
  if (in.query_ids.defined()) {
    p.query_ids = in.query_ids.data<const std::int64_t>();
    p.key_ids = in.key_ids.data<const std::int64_t>();
  }
  if (in.cu_seqlens.defined()) {
    p.offsets = in.cu_seqlens.data<const std::int64_t>();
    p.sequences = in.cu_seqlens.numel() - 1;
    for (std::int64_t s = 0; s < p.sequences; ++s) p.queries = p.keys = std::max(p.keys, p.offsets[s + 1] - p.offsets[s]);
  }
  return p;
}

/// A bias's sizes as those of [period, H or 1, Tq or 1, Tk or 1].
std::array<std::int64_t, 4> bias_size(const Shape& bias) {
  std::array<std::int64_t, 4> size{1, 1, 1, 1};
  for (int axis = 1; axis <= bias.rank(); ++axis) size[static_cast<std::size_t>(4 - axis)] = bias[-axis];
  return size;
}

}  // namespace

Spec ScaledDotProductAttention::spec(const Args& args, const Spec& query, const Spec& key, const Spec& value, const Spec& mask,
                                     const Spec& bias, const Spec& key_padding, const Spec& cu_seqlens, const Spec& query_ids,
                                     const Spec& key_ids) {
  const bool packed = cu_seqlens.present;
  check_query_and_key(name, query, key, packed ? 3 : 4, packed ? "[N, H, D] beside cu_seqlens" : "[B, T, H, D]");
  require(value == key, name, ": value must have key's shape and type: key ", key, ", value ", value);
  require<ArgumentError>(args.dropout >= 0.0 && args.dropout <= 1.0, name, ": the dropout rate must lie in [0, 1]: dropout ", args.dropout);
  check_offset(name, args.causal, args.query_offset);
  if (packed) {
    require(cu_seqlens.dtype == DType::i64 && cu_seqlens.shape.rank() == 1 && cu_seqlens.shape[0] >= 1, name,
            ": cu_seqlens must be i64 [S + 1]: cu_seqlens ", cu_seqlens);
    require(query.shape[0] == key.shape[0], name, ": packed query and key must have the same tokens: query ", query, ", key ", key);
    require(!mask.present && !bias.present && !key_padding.present, name,
            ": a packed batch takes no mask, no bias and no key_padding: mask ", mask, ", bias ", bias, ", key_padding ", key_padding);
    require<ArgumentError>(args.query_offset == 0, name, ": a packed batch takes no query_offset: query_offset ", args.query_offset);
  } else {
    check_masks(name, query, key, mask, bias, key_padding);
  }
  require(query_ids.present == key_ids.present, name, ": query_ids and key_ids come together: query_ids ", query_ids, ", key_ids ",
          key_ids);
  if (query_ids.present) {
    check_ids(name, "query", query, query_ids);
    check_ids(name, "key", key, key_ids);
  }
  return query;
}

Tensor ScaledDotProductAttention::forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                                          const Tensor& bias, const Tensor& key_padding, const Tensor& cu_seqlens, const Tensor& query_ids,
                                          const Tensor& key_ids, const Call<9>& call, Saved& saved) {
  saved = {query,
           key,
           value,
           mask,
           bias,
           dense(key_padding),
           dense(cu_seqlens),
           dense(query_ids),
           dense(key_ids),
           Tensor(query.shape().without(-1), compute_type(query.dtype()))};
  check_cu_seqlens(name, query, saved.cu_seqlens);
  check_id_values(name, "query", saved.query_ids);
  check_id_values(name, "key", saved.key_ids);
  const Tensor y(call.out);
  if (query.numel() == 0) return y;
  dispatch_floating(name, query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::attention(problem_of<T>(args, saved), y.data<T>(), saved.lse.template data<kernels::Compute<T>>());
  });
  return y;
}

// With S = scale q k^T + bias, P = softmax(S), K the dropout factors (0 or 1 / P(keep)) and y = (P K) v:
//   dv = (P K)^T dy,  dP = K (dy v^T),  dS = P (dP - rowsum(P dP)),
//   dq = scale dS k,  dk = scale dS^T q,  dbias = dS, summed over what the bias repeats for.
Grads<9> ScaledDotProductAttention::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<9> needs) {
  const bool empty = saved.query.numel() == 0;
  const auto gradient_of = [empty](const Tensor& x) { return empty ? Tensor::zeros(x.shape(), x.dtype()) : Tensor(x.spec()); };
  const Tensor dq(saved.query.spec()), dk = gradient_of(saved.key), dv = gradient_of(saved.value),
                                       dbias = needs[4] ? gradient_of(saved.bias) : Tensor(), g = dense(dy);
  if (!empty)
    dispatch_floating(name, dq.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::AttentionGradients<T> to{.dq = dq.data<T>(), .dk = dk.data<T>(), .dv = dv.data<T>()};
      if (dbias.defined()) {
        to.dbias = dbias.data<T>();
        to.bias_size = bias_size(dbias.shape());
      }
      kernels::attention_backward(problem_of<T>(args, saved), saved.lse.template data<const kernels::Compute<T>>(), g.data<const T>(), to);
    });
  Grads<9> grads;
  if (needs[0]) grads[0] = dq;
  if (needs[1]) grads[1] = dk;
  if (needs[2]) grads[2] = dv;
  if (needs[4]) grads[4] = dbias;
  return grads;
}

Spec AttentionProbabilities::spec(const Args& args, const Spec& query, const Spec& key, const Spec& mask, const Spec& bias,
                                  const Spec& key_padding) {
  check_query_and_key(name, query, key, 4, "[B, T, H, D]");
  check_offset(name, args.causal, args.query_offset);
  check_masks(name, query, key, mask, bias, key_padding);
  return {scores_of(query, key), query.dtype};
}

Tensor AttentionProbabilities::forward(const Args& args, const Tensor& query, const Tensor& key, const Tensor& mask, const Tensor& bias,
                                       const Tensor& key_padding, const Spec& out) {
  const Tensor y(out), real = dense(key_padding);
  if (y.numel() == 0) return y;
  dispatch_floating(name, query.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::attention_probabilities(problem_of<T>(args, query, key, mask, bias, real), y.data<T>());
  });
  return y;
}

}  // namespace ops

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const ops::ScaledDotProductAttention::Args& args, const AttentionInputs& in) {
  return apply<ops::ScaledDotProductAttention>(args, query, key, value, in.mask, in.bias, in.key_padding, in.cu_seqlens, in.query_ids,
                                               in.key_ids);
}

Tensor attention_probabilities(const Tensor& query, const Tensor& key, const ops::AttentionProbabilities::Args& args,
                               const AttentionInputs& in) {
  require(!in.cu_seqlens.defined(), ops::AttentionProbabilities::name, ": is for padded batches: query ", query, ", cu_seqlens ",
          in.cu_seqlens);
  return apply<ops::AttentionProbabilities>(args, query, key, in.mask, in.bias, in.key_padding);
}

}  // namespace capstan
