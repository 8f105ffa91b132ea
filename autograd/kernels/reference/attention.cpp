// The specification of kernels/attention.h, a row of scores at a time.

#include "autograd/kernels/attention.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace capstan::kernels {
namespace {

/// Fills row[j] with the probability of key j for query i; returns the logarithm of the sum, +infinity for a row without keys.
template <class T>
Compute<T> fill_row(const AttentionProblem<T>& p, const AttentionSpan& span, std::int64_t s, std::int64_t h, std::int64_t i,
                    std::vector<Compute<T>>& row) {
  using C = Compute<T>;
  constexpr C kNothing = -std::numeric_limits<C>::infinity();
  const T* const query = p.q + span.q + i * p.q_layout.token + h * p.q_layout.head;
  const std::uint8_t* const mask = p.mask == nullptr ? nullptr : p.mask + p.mask_table.row(s, h, i);
  const T* const bias = p.bias == nullptr ? nullptr : p.bias + p.bias_table.row(s, h, i);
  row.assign(static_cast<std::size_t>(span.keys), kNothing);
  C max = kNothing;
  for (std::int64_t j = 0; j < p.visible(i, span.keys); ++j) {
    const bool real = p.key_padding == nullptr || p.key_padding[s * p.keys + j] != 0;
    if (!real || (mask != nullptr && mask[j * p.mask_table.key] == 0)) continue;
    const T* const key = p.k + span.k + j * p.k_layout.token + h / p.group() * p.k_layout.head;
    C score = 0;
    for (std::int64_t d = 0; d < p.width; ++d)
      score += static_cast<C>(query[d * p.q_layout.width]) * static_cast<C>(key[d * p.k_layout.width]);
    score *= static_cast<C>(p.scale);
    if (bias != nullptr) score += static_cast<C>(bias[j * p.bias_table.key]);
    row[static_cast<std::size_t>(j)] = score;
    max = std::max(max, score);
  }
  C sum = 0;
  for (C& x : row) sum += x = x == kNothing ? C{0} : std::exp(x - max);
  if (max == kNothing) return -kNothing;
  for (C& x : row) x /= sum;
  return max + std::log(sum);
}

/// What dropout multiplies the probability of key j for query i by: 0 or 1 / P(keep).
template <class T>
Compute<T> dropout_factor(const AttentionProblem<T>& p, const AttentionSpan& span, std::int64_t h, std::int64_t i, std::int64_t j) {
  using C = Compute<T>;
  if (!p.drops()) return C{1};
  const bool kept = keep_mask_at(p.dropout_key(h), span.dropout_row(p, i), span.dropout_column(p, j), p.dropout);
  return kept ? static_cast<C>(p.dropout.scale) : C{0};
}

/// The entry of the bias that was added to a score.
std::size_t bias_entry(const std::array<std::int64_t, 4>& size, std::int64_t s, std::int64_t h, std::int64_t i, std::int64_t j) {
  const auto at = [](std::int64_t index, std::int64_t n) { return n == 1 ? 0 : index; };
  return static_cast<std::size_t>(((s % size[0] * size[1] + at(h, size[1])) * size[2] + at(i, size[2])) * size[3] + at(j, size[3]));
}

}  // namespace

template <class T>
void AttentionForward<T>::reference(const AttentionProblem<T>& p, T* out, Compute<T>* lse) {
  using C = Compute<T>;
  std::vector<C> row, sum;
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t h = 0; h < p.heads; ++h) {
      for (std::int64_t i = 0; i < span.queries; ++i) {
        const std::int64_t token = (span.first_query + i) * p.heads + h;
        lse[token] = fill_row(p, span, s, h, i, row);
        sum.assign(static_cast<std::size_t>(p.width), C{0});
        for (std::int64_t j = 0; j < span.keys; ++j) {
          const C weight = row[static_cast<std::size_t>(j)] * dropout_factor(p, span, h, i, j);
          const T* const value = p.v + span.v + j * p.v_layout.token + h / p.group() * p.v_layout.head;
          for (std::int64_t d = 0; d < p.width; ++d)
            sum[static_cast<std::size_t>(d)] += weight * static_cast<C>(value[d * p.v_layout.width]);
        }
        for (std::int64_t d = 0; d < p.width; ++d) out[token * p.width + d] = convert<T>(sum[static_cast<std::size_t>(d)]);
      }
    }
  }
}

// With P the probabilities and K the dropout factors: dP = K (dy v^T), dS = P (dP - rowsum(P dP)), dq = scale dS k, dk = scale dS^T q,
// dv = (P K)^T dy; dbias is dS, summed over what the bias repeats for.
template <class T>
void AttentionBackward<T>::reference(const AttentionProblem<T>& p, const Compute<T>*, const T* dy, const AttentionGradients<T>& to) {
  using C = Compute<T>;
  const auto width = static_cast<std::size_t>(p.width);
  std::vector<C> row, dp, dk_sum, dv_sum, dq_sum, dbias_sum(static_cast<std::size_t>(to.dbias == nullptr ? 0 : to.bias_numel()));
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t kh = 0; kh < p.key_heads; ++kh) {
      dk_sum.assign(static_cast<std::size_t>(span.keys) * width, C{0});
      dv_sum = dk_sum;
      for (std::int64_t h = kh * p.group(); h < (kh + 1) * p.group(); ++h) {
        for (std::int64_t i = 0; i < span.queries; ++i) {
          fill_row(p, span, s, h, i, row);
          const T* const query = p.q + span.q + i * p.q_layout.token + h * p.q_layout.head;
          const T* const g = dy + ((span.first_query + i) * p.heads + h) * p.width;
          dp.assign(row.size(), C{0});
          C mean = 0;
          for (std::int64_t j = 0; j < span.keys; ++j) {
            const auto n = static_cast<std::size_t>(j);
            const C factor = dropout_factor(p, span, h, i, j);
            const T* const value = p.v + span.v + j * p.v_layout.token + kh * p.v_layout.head;
            for (std::int64_t d = 0; d < p.width; ++d) {
              dp[n] += factor * static_cast<C>(g[d]) * static_cast<C>(value[d * p.v_layout.width]);
              dv_sum[n * width + static_cast<std::size_t>(d)] += factor * row[n] * static_cast<C>(g[d]);
            }
            mean += row[n] * dp[n];
          }
          dq_sum.assign(width, C{0});
          for (std::int64_t j = 0; j < span.keys; ++j) {
            const auto n = static_cast<std::size_t>(j);
            const C ds = row[n] * (dp[n] - mean), scaled = ds * static_cast<C>(p.scale);
            if (to.dbias != nullptr) dbias_sum[bias_entry(to.bias_size, s, h, i, j)] += ds;
            const T* const key = p.k + span.k + j * p.k_layout.token + kh * p.k_layout.head;
            for (std::int64_t d = 0; d < p.width; ++d) {
              dq_sum[static_cast<std::size_t>(d)] += scaled * static_cast<C>(key[d * p.k_layout.width]);
              dk_sum[n * width + static_cast<std::size_t>(d)] += scaled * static_cast<C>(query[d * p.q_layout.width]);
            }
          }
          T* const dq = to.dq + ((span.first_query + i) * p.heads + h) * p.width;
          for (std::int64_t d = 0; d < p.width; ++d) dq[d] = convert<T>(dq_sum[static_cast<std::size_t>(d)]);
        }
      }
      for (std::int64_t j = 0; j < span.keys; ++j) {
        for (std::int64_t d = 0; d < p.width; ++d) {
          const auto from = static_cast<std::size_t>(j) * width + static_cast<std::size_t>(d);
          const std::int64_t at = ((span.first_key + j) * p.key_heads + kh) * p.width + d;
          to.dk[at] = convert<T>(dk_sum[from]);
          to.dv[at] = convert<T>(dv_sum[from]);
        }
      }
    }
  }
  for (std::size_t i = 0; i < dbias_sum.size(); ++i) to.dbias[i] = convert<T>(dbias_sum[i]);
}

template <class T>
void AttentionProbabilities<T>::reference(const AttentionProblem<T>& p, T* probabilities) {
  using C = Compute<T>;
  std::vector<C> row;
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    for (std::int64_t h = 0; h < p.heads; ++h) {
      for (std::int64_t i = 0; i < span.queries; ++i) {
        fill_row(p, span, s, h, i, row);
        for (const C x : row) *probabilities++ = convert<T>(x);
      }
    }
  }
}

template AttentionForward<float>::Signature AttentionForward<float>::reference;
template AttentionForward<bfloat16>::Signature AttentionForward<bfloat16>::reference;
template AttentionForward<double>::Signature AttentionForward<double>::reference;
template AttentionBackward<float>::Signature AttentionBackward<float>::reference;
template AttentionBackward<bfloat16>::Signature AttentionBackward<bfloat16>::reference;
template AttentionBackward<double>::Signature AttentionBackward<double>::reference;
template AttentionProbabilities<float>::Signature AttentionProbabilities<float>::reference;
template AttentionProbabilities<bfloat16>::Signature AttentionProbabilities<bfloat16>::reference;
template AttentionProbabilities<double>::Signature AttentionProbabilities<double>::reference;

}  // namespace capstan::kernels
