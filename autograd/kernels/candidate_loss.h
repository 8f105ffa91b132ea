#pragma once
// Scores of a few candidates a row, and losses that rank column 0 of them above the others. Row n of `valid` (null: all 1) says whether the
// row takes part; the scores, losses and gradients of one that does not are 0, and its candidates are not looked at.

#include <cstdint>

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// Candidates c of row n: candidates[n * columns + c], rows of a table [V, width].
struct Candidates {
  const std::int64_t* item = nullptr;
  const std::uint8_t* valid = nullptr;
  std::int64_t rows = 0, columns = 0, width = 0;

  bool takes_part(std::int64_t row) const { return valid == nullptr || valid[row] != 0; }
};

/// scores[n, c] = h_n . table[candidate c of n]. T: float, bfloat16 (scores in float), double.
template <class T>
void candidate_scores(const Candidates& c, const T* h, const T* table, Compute<T>* scores);
/// dh_n = sum_c dscores[n, c] * table[candidate c of n].
template <class T>
void candidate_scores_backward(const Candidates& c, const T* table, const Compute<T>* dscores, T* dh);

/// A pairwise loss, positive * softplus(-s_0) + negative * sum_j softplus(s_j), or the softmax loss log sum exp(s_j - log_q_j) - s_0
/// (log_q_0 taken as 0; null: all 0).
struct RankingTerms {
  bool softmax = false;
  double positive = 1, negative = 1;
  const float* log_q = nullptr;  ///< [rows, columns]
  const std::uint8_t* valid = nullptr;

  bool takes_part(std::int64_t row) const { return valid == nullptr || valid[row] != 0; }
};

/// losses[n] of scores [rows, columns]. T: float, double.
template <class T>
void ranking_loss(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, T* losses);
/// dscores = scale * dloss/dscores; dscores may be scores.
template <class T>
void ranking_loss_backward(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, double scale, T* dscores);

}  // namespace capstan::kernels
