// The specification of kernels/candidate_loss.h.

#include "autograd/kernels/candidate_loss.h"

#include <algorithm>
#include <cmath>

namespace capstan::kernels {

template <class T>
void CandidateScores<T>::reference(const Candidates& c, const T* h, const T* table, Compute<T>* scores) {
  using C = Compute<T>;
  for (std::int64_t n = 0; n < c.rows; ++n) {
    for (std::int64_t k = 0; k < c.columns; ++k) {
      C dot = 0;
      if (c.takes_part(n))
        for (std::int64_t j = 0; j < c.width; ++j)
          dot += static_cast<C>(h[n * c.width + j]) * static_cast<C>(table[c.item[n * c.columns + k] * c.width + j]);
      scores[n * c.columns + k] = dot;
    }
  }
}

template <class T>
void CandidateScoresBackward<T>::reference(const Candidates& c, const T* table, const Compute<T>* dscores, T* dh) {
  using C = Compute<T>;
  for (std::int64_t n = 0; n < c.rows; ++n) {
    for (std::int64_t j = 0; j < c.width; ++j) {
      C sum = 0;
      if (c.takes_part(n))
        for (std::int64_t i = n * c.columns; i < (n + 1) * c.columns; ++i)
          sum += dscores[i] * static_cast<C>(table[c.item[i] * c.width + j]);
      dh[n * c.width + j] = static_cast<T>(sum);
    }
  }
}

namespace {

template <class T>
T softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// The score of column k as the softmax loss sees it.
template <class T>
T corrected(const RankingTerms& terms, const T* scores, std::int64_t row, std::int64_t k, std::int64_t columns) {
  const T q = k == 0 || terms.log_q == nullptr ? T(0) : static_cast<T>(terms.log_q[row * columns + k]);
  return scores[row * columns + k] - q;
}

template <class T>
T log_sum(const RankingTerms& terms, const T* scores, std::int64_t row, std::int64_t columns) {
  T max = corrected(terms, scores, row, 0, columns), sum = 0;
  for (std::int64_t k = 1; k < columns; ++k) max = std::max(max, corrected(terms, scores, row, k, columns));
  for (std::int64_t k = 0; k < columns; ++k) sum += std::exp(corrected(terms, scores, row, k, columns) - max);
  return max + std::log(sum);
}

}  // namespace

template <class T>
void RankingLoss<T>::reference(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, T* losses) {
  for (std::int64_t n = 0; n < rows; ++n) {
    const T* const s = scores + n * columns;
    losses[n] = 0;
    if (!terms.takes_part(n)) continue;
    if (terms.softmax) {
      losses[n] = log_sum(terms, scores, n, columns) - s[0];
    } else {
      for (std::int64_t k = 1; k < columns; ++k) losses[n] += softplus(s[k]);
      losses[n] = static_cast<T>(terms.negative) * losses[n] + static_cast<T>(terms.positive) * softplus(-s[0]);
    }
  }
}

template <class T>
void RankingLossBackward<T>::reference(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, double scale,
                                       T* dscores) {
  for (std::int64_t n = 0; n < rows; ++n) {
    const T log_z = terms.softmax && terms.takes_part(n) ? log_sum(terms, scores, n, columns) : T(0);
    for (std::int64_t k = 0; k < columns; ++k) {
      const T s = scores[n * columns + k];
      T d = 0;
      if (terms.softmax) {
        d = std::exp(corrected(terms, scores, n, k, columns) - log_z) - (k == 0 ? T(1) : T(0));
      } else {
        d = k == 0 ? -static_cast<T>(terms.positive) / (T(1) + std::exp(s)) : static_cast<T>(terms.negative) / (T(1) + std::exp(-s));
      }
      dscores[n * columns + k] = terms.takes_part(n) ? d * static_cast<T>(scale) : T(0);
    }
  }
}

template CandidateScores<float>::Signature CandidateScores<float>::reference;
template CandidateScores<bfloat16>::Signature CandidateScores<bfloat16>::reference;
template CandidateScores<double>::Signature CandidateScores<double>::reference;
template CandidateScoresBackward<float>::Signature CandidateScoresBackward<float>::reference;
template CandidateScoresBackward<bfloat16>::Signature CandidateScoresBackward<bfloat16>::reference;
template CandidateScoresBackward<double>::Signature CandidateScoresBackward<double>::reference;
template RankingLoss<float>::Signature RankingLoss<float>::reference;
template RankingLoss<double>::Signature RankingLoss<double>::reference;
template RankingLossBackward<float>::Signature RankingLossBackward<float>::reference;
template RankingLossBackward<double>::Signature RankingLossBackward<double>::reference;

}  // namespace capstan::kernels
