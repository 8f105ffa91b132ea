#pragma once
// Scores of a few candidates a row, and losses that rank column 0 of them above the others. Row n of `valid` (null: all 1) says whether the
// row takes part; the scores, losses and gradients of one that does not are 0, and its candidates are not looked at.

#include <algorithm>
#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// Candidates c of row n: candidates[n * columns + c], rows of a table [V, width].
struct Candidates {
  const std::int64_t* item = nullptr;
  const std::uint8_t* valid = nullptr;
  std::int64_t rows = 0, columns = 0, width = 0;

  bool takes_part(std::int64_t row) const { return valid == nullptr || valid[row] != 0; }
  /// Of the product of each row with its candidates, or with their scores' gradients.
  profile::Work work() const {
    const std::int64_t count = valid == nullptr ? rows : rows - std::count(valid, valid + rows, std::uint8_t{0});
    return {.flops = 2.0 * static_cast<double>(count * columns) * static_cast<double>(width)};
  }
};

/// scores[n, c] = h_n . table[candidate c of n]. T: float, bfloat16 (scores in float), double.
template <class T>
struct CandidateScores {
  static profile::Work work(const Candidates& c, const T*, const T*, Compute<T>*) { return c.work(); }
  using Signature = void(const Candidates& c, const T* h, const T* table, Compute<T>* scores);
  static Signature fast, reference;
};
inline constexpr Kernel<CandidateScores, float, bfloat16, double> candidate_scores;
/// dh_n = sum_c dscores[n, c] * table[candidate c of n].
template <class T>
struct CandidateScoresBackward {
  static profile::Work work(const Candidates& c, const T*, const Compute<T>*, T*) { return c.work(); }
  using Signature = void(const Candidates& c, const T* table, const Compute<T>* dscores, T* dh);
  static Signature fast, reference;
};
inline constexpr Kernel<CandidateScoresBackward, float, bfloat16, double> candidate_scores_backward;

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
struct RankingLoss {
  using Signature = void(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, T* losses);
  static Signature fast, reference;
};
inline constexpr Kernel<RankingLoss, float, double> ranking_loss;
/// dscores = scale * dloss/dscores; dscores may be scores.
template <class T>
struct RankingLossBackward {
  using Signature = void(const RankingTerms& terms, const T* scores, std::int64_t rows, std::int64_t columns, double scale, T* dscores);
  static Signature fast, reference;
};
inline constexpr Kernel<RankingLossBackward, float, double> ranking_loss_backward;

}  // namespace capstan::kernels
