#include "autograd/kernels/candidate_loss.h"

#include <algorithm>

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// z = the scores of a row as the softmax loss sees them; returns the log of the sum of their exponentials.
float corrected_log_sum(const RankingTerms& terms, const float* scores, std::int64_t row, std::int64_t columns, float* z) {
  const float* const s = scores + row * columns;
  if (terms.log_q != nullptr) {
    const float* const q = terms.log_q + row * columns;
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t k = 0; k < columns; ++k) z[k] = s[k] - q[k];
    z[0] = s[0];
  } else {
    std::copy_n(s, columns, z);
  }
  const float max = max_of(z, columns, -kInfinity<float>);
  return max + std::log(sum_of_exp(z, columns, max));
}

}  // namespace

template <class T>
void CandidateScores<T>::fast(const Candidates& c, const T* h, const T* table, Compute<T>* scores) {
  parallel_rows(c.rows, c.columns * c.width, 1, [=](std::int64_t n) {
    float* const out = scores + n * c.columns;
    if (!c.takes_part(n)) {
      std::fill_n(out, c.columns, 0.0f);
      return;
    }
    const T* const query = h + n * c.width;
    for (std::int64_t k = 0; k < c.columns; ++k) {
      const T* const item = table + c.item[n * c.columns + k] * c.width;
      float dot = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : dot)
      for (std::int64_t j = 0; j < c.width; ++j) dot += static_cast<float>(query[j]) * static_cast<float>(item[j]);
      out[k] = dot;
    }
  });
}

template <class T>
void CandidateScoresBackward<T>::fast(const Candidates& c, const T* table, const Compute<T>* dscores, T* dh) {
  parallel_row_blocks(c.rows, c.columns * c.width, 1, [&](std::int64_t first, std::int64_t last) {
    const Scratch<float> scratch(c.width);
    float* const sum = scratch.data();
    for (std::int64_t n = first; n < last; ++n) {
      std::fill_n(sum, c.width, 0.0f);
      if (c.takes_part(n)) {
        for (std::int64_t i = n * c.columns; i < (n + 1) * c.columns; ++i) {
          const T* const item = table + c.item[i] * c.width;
          const float weight = dscores[i];
#pragma omp simd simdlen(kSimdLength <float>)
          for (std::int64_t j = 0; j < c.width; ++j) sum[j] += weight * static_cast<float>(item[j]);
        }
      }
      T* const out = dh + n * c.width;
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t j = 0; j < c.width; ++j) store(out[j], sum[j]);
    }
  });
}

template <class T>
void RankingLoss<T>::fast(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, T* losses) {
  const auto positive = static_cast<float>(terms.positive), negative = static_cast<float>(terms.negative);
  parallel_row_blocks(rows, columns, 16, [&](std::int64_t first, std::int64_t last) {
    // All scores of the block in one run, since rows may be as short as two columns.
    const std::int64_t count = (last - first) * columns;
    const Scratch<float> scratch(terms.softmax ? columns : count);
    float* const z = scratch.data();
    if (!terms.softmax) {
      std::copy_n(scores + first * columns, count, z);
      for (std::int64_t i = 0; i < count; i += columns) z[i] = -z[i];
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t i = 0; i < count; ++i) z[i] = std::max(z[i], 0.0f) + std::log1p(exp_or_zero(-std::abs(z[i])));
    }
    for (std::int64_t n = first; n < last; ++n) {
      losses[n] = 0;
      if (!terms.takes_part(n)) continue;
      if (terms.softmax) {
        losses[n] = corrected_log_sum(terms, scores, n, columns, z) - scores[n * columns];
      } else {
        const float* const term = z + (n - first) * columns;
        float sum = 0;
        for (std::int64_t k = 1; k < columns; ++k) sum += term[k];
        losses[n] = positive * term[0] + negative * sum;
      }
    }
  });
}

template <class T>
void RankingLossBackward<T>::fast(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, double scale,
                                  T* dscores) {
  const auto positive = static_cast<float>(terms.positive * scale), negative = static_cast<float>(terms.negative * scale);
  const auto factor = static_cast<float>(scale);
  parallel_row_blocks(rows, columns, 16, [&](std::int64_t first, std::int64_t last) {
    if (terms.softmax) {
      const Scratch<float> z(columns);
      for (std::int64_t n = first; n < last; ++n) {
        if (!terms.takes_part(n)) continue;
        const float log_z = corrected_log_sum(terms, scores, n, columns, z.data());
        float* const d = dscores + n * columns;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t k = 0; k < columns; ++k) d[k] = factor * exp_or_zero(z[k] - log_z);
        d[0] -= factor;
      }
    } else {
      const std::int64_t begin = first * columns, end = last * columns;
      const Scratch<float> score_of_positive(last - first);  // dscores may be scores
      for (std::int64_t n = first; n < last; ++n) score_of_positive[n - first] = scores[n * columns];
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t i = begin; i < end; ++i) {
        const float s = scores[i], e = exp_or_zero(-std::abs(s));
        dscores[i] = negative * (s < 0 ? e : 1.0f) / (1.0f + e);
      }
      for (std::int64_t n = first; n < last; ++n) {
        const float s = score_of_positive[n - first], e = exp_or_zero(-std::abs(s));
        dscores[n * columns] = -positive * (s < 0 ? 1.0f : e) / (1.0f + e);
      }
    }
    for (std::int64_t n = first; n < last; ++n)
      if (!terms.takes_part(n)) std::fill_n(dscores + n * columns, columns, 0.0f);
  });
}

template CandidateScores<float>::Signature CandidateScores<float>::fast;
template CandidateScores<bfloat16>::Signature CandidateScores<bfloat16>::fast;
template CandidateScoresBackward<float>::Signature CandidateScoresBackward<float>::fast;
template CandidateScoresBackward<bfloat16>::Signature CandidateScoresBackward<bfloat16>::fast;
template RankingLoss<float>::Signature RankingLoss<float>::fast;
template RankingLossBackward<float>::Signature RankingLossBackward<float>::fast;

}  // namespace capstan::kernels
