#pragma once
// Attention by plain loops, a row of scores at a time: the specification.

#include <cmath>
#include <limits>
#include <vector>

#include "autograd/kernels/attention.h"

namespace capstan::kernels::reference {

/// Fills row[j] with the probability of key j for query i; returns the logarithm of the sum, +infinity for a row without keys.
template <class T>
Compute<T> attention_row(const AttentionProblem& p, const AttentionSpan& span, std::int64_t s, std::int64_t h, std::int64_t i, const T* q, const T* k,
                         std::vector<Compute<T>>& row) {
  using C = Compute<T>;
  constexpr C kNothing = -std::numeric_limits<C>::infinity();
  row.assign(static_cast<std::size_t>(span.keys), kNothing);
  C max = kNothing;
  for (std::int64_t j = 0; j < span.keys; ++j) {
    const bool allowed = (!p.causal || j <= i) && (p.key_keep == nullptr || p.key_keep[s * p.keys + j] != 0) &&
                         (p.keep == nullptr || p.keep[s * p.keep_strides[0] + h * p.keep_strides[1] + i * p.keep_strides[2] + j * p.keep_strides[3]] != 0);
    if (!allowed) continue;
    C score = 0;
    for (std::int64_t d = 0; d < p.width; ++d)
      score += static_cast<C>(q[span.q + i * p.q.token + h * p.q.head + d * p.q.width]) *
               static_cast<C>(k[span.k + j * p.k.token + h / p.group() * p.k.head + d * p.k.width]);
    score *= static_cast<C>(p.scale);
    if (p.add != nullptr)
      score += static_cast<C>(static_cast<const T*>(p.add)[s * p.add_strides[0] + h * p.add_strides[1] + i * p.add_strides[2] + j * p.add_strides[3]]);
    row[static_cast<std::size_t>(j)] = score;
    max = std::max(max, score);
  }
  C sum = 0;
  for (C& x : row) sum += x = max == kNothing ? C{0} : std::exp(x - max);
  if (max == kNothing) return -kNothing;
  for (C& x : row) x /= sum;
  return max + std::log(sum);
}

/// What dropout multiplies the probability of key j for query i by: 0 or 1 / P(keep).
template <class C>
C dropout_factor(const AttentionProblem& p, const AttentionSpan& span, std::int64_t h, std::int64_t i, std::int64_t j) {
  if (!p.drops()) return C{1};
  const bool kept = keep_mask_at(dropout_key(p, h), span.dropout_row(p, i), span.dropout_column(p, j), p.dropout);
  return kept ? static_cast<C>(p.dropout.scale) : C{0};
}

template <class T>
void attention(const AttentionProblem& p, const T* q, const T* k, const T* v, T* out, Compute<T>* lse) {
  using C = Compute<T>;
  std::vector<C> row, sum(static_cast<std::size_t>(p.width));
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t h = 0; h < p.heads; ++h) {
      for (std::int64_t i = 0; i < span.queries; ++i) {
        const std::int64_t token = (span.first_query + i) * p.heads + h;
        lse[token] = attention_row(p, span, s, h, i, q, k, row);
        sum.assign(sum.size(), C{0});
        for (std::int64_t j = 0; j < span.keys; ++j) {
          const C weight = row[static_cast<std::size_t>(j)] * dropout_factor<C>(p, span, h, i, j);
          for (std::int64_t d = 0; d < p.width; ++d)
            sum[static_cast<std::size_t>(d)] += weight * static_cast<C>(v[span.v + j * p.v.token + h / p.group() * p.v.head + d * p.v.width]);
        }
        for (std::int64_t d = 0; d < p.width; ++d) out[token * p.width + d] = convert<T>(sum[static_cast<std::size_t>(d)]);
      }
    }
  }
}

// With P the probabilities and K the dropout factors: dP = K (dy v^T), dS = P (dP - rowsum(P dP)), dq = scale dS k, dk = scale dS^T q,
// dv = (P K)^T dy.
template <class T>
void attention_backward(const AttentionProblem& p, const T* q, const T* k, const T* v, const T* dy, T* dq, T* dk, T* dv, T* dmask) {
  using C = Compute<T>;
  const auto width = static_cast<std::size_t>(p.width);
  if (dmask != nullptr) std::fill_n(dmask, p.sequences * p.heads * p.queries * p.keys, T{});
  std::vector<C> row, dp, dk_sum, dv_sum, dq_sum;
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t kh = 0; kh < p.key_heads; ++kh) {
      dk_sum.assign(static_cast<std::size_t>(span.keys) * width, C{0});
      dv_sum = dk_sum;
      for (std::int64_t h = kh * p.group(); h < (kh + 1) * p.group(); ++h) {
        for (std::int64_t i = 0; i < span.queries; ++i) {
          attention_row(p, span, s, h, i, q, k, row);
          const T* const g = dy + ((span.first_query + i) * p.heads + h) * p.width;
          dp.assign(row.size(), C{0});
          C mean = 0;
          for (std::int64_t j = 0; j < span.keys; ++j) {
            const auto n = static_cast<std::size_t>(j);
            const C factor = dropout_factor<C>(p, span, h, i, j);
            for (std::int64_t d = 0; d < p.width; ++d) {
              dp[n] += factor * static_cast<C>(g[d]) * static_cast<C>(v[span.v + j * p.v.token + kh * p.v.head + d * p.v.width]);
              dv_sum[n * width + static_cast<std::size_t>(d)] += factor * row[n] * static_cast<C>(g[d]);
            }
            mean += row[n] * dp[n];
          }
          dq_sum.assign(width, C{0});
          for (std::int64_t j = 0; j < span.keys; ++j) {
            const auto n = static_cast<std::size_t>(j);
            const C ds = row[n] * (dp[n] - mean), scaled = ds * static_cast<C>(p.scale);
            if (dmask != nullptr) dmask[((s * p.heads + h) * p.queries + i) * p.keys + j] = convert<T>(ds);
            for (std::int64_t d = 0; d < p.width; ++d) {
              dq_sum[static_cast<std::size_t>(d)] += scaled * static_cast<C>(k[span.k + j * p.k.token + kh * p.k.head + d * p.k.width]);
              dk_sum[n * width + static_cast<std::size_t>(d)] += scaled * static_cast<C>(q[span.q + i * p.q.token + h * p.q.head + d * p.q.width]);
            }
          }
          for (std::int64_t d = 0; d < p.width; ++d) dq[((span.first_query + i) * p.heads + h) * p.width + d] = convert<T>(dq_sum[static_cast<std::size_t>(d)]);
        }
      }
      for (std::int64_t j = 0; j < span.keys; ++j) {
        for (std::int64_t d = 0; d < p.width; ++d) {
          const auto from = static_cast<std::size_t>(j) * width + static_cast<std::size_t>(d);
          const std::int64_t to = ((span.first_key + j) * p.key_heads + kh) * p.width + d;
          dk[to] = convert<T>(dk_sum[from]);
          dv[to] = convert<T>(dv_sum[from]);
        }
      }
    }
  }
}

template <class T>
void attention_probabilities(const AttentionProblem& p, const T* q, const T* k, T* probabilities) {
  std::vector<Compute<T>> row;
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t h = 0; h < p.heads; ++h) {
      for (std::int64_t i = 0; i < span.queries; ++i) {
        attention_row(p, span, s, h, i, q, k, row);
        for (const Compute<T> x : row) *probabilities++ = convert<T>(x);
      }
    }
  }
}

}  // namespace capstan::kernels::reference
