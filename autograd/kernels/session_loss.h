#pragma once
// Losses over a shared set of candidates, as GRU4Rec trains with them: the loss of every row and, in place of the scores, its gradient.
//
// scores [M, N], M <= N: column i is the target of row i, all other columns are its negatives. t = r_i is the target's score; w is
// the softmax over the negatives alone, and gradients flow through it. Per row:
//   cross_entropy  -log softmax(r)_i
//   bpr            sum_j -log s(t - r_j), all j (j = i adds log 2)
//   top1           (1/N) (sum_{j != i} [s(r_j - t) + s(r_j^2)] + 1/2)
//   top1_max       sum_{j != i} w_j [s(r_j - t) + s(r_j^2)]
//   bpr_max        -log(sum_{j != i} w_j s(t - r_j) + 1e-24) + bpreg sum_{j != i} w_j r_j^2
// (Hidasi et al., 2016; Hidasi, Karatzoglou, "Recurrent neural networks with top-k gains", 2018.) Scores may pass an ELU first. With
// `items`, a negative that is the row's own target item is left out as if its column did not exist; a row without negatives
// has loss 0 (bpr log 2, top1 1/2) and no gradient. Types: float, double (double always runs on the reference).

#include <cstdint>

#include "autograd/kernels/backend.h"

namespace capstan::kernels {

enum class SessionLossKind : std::uint8_t { cross_entropy, bpr, top1, top1_max, bpr_max };

struct SessionLossRule {
  SessionLossKind kind = SessionLossKind::cross_entropy;
  double elu = 0;    ///< a > 0: scores are r for r >= 0, a (e^r - 1) below; not for cross_entropy
  double bpreg = 0;  ///< weight of the score regulariser of bpr_max
};

template <class T>
struct SessionScores {
  std::int64_t rows = 0, columns = 0;   // M, N
  T* scores = nullptr;                  ///< [M, N] in: scores; out: the gradient of the sum of all rows' losses
  const T* column_add = nullptr;        ///< [N] added to every row first (bias, correction), or null
  const std::int64_t* items = nullptr;  ///< [N] which item a column is, to leave out collisions; null: all are negatives
};

/// The sum of all rows' losses.
template <class T>
struct SessionLoss {
  using Signature = double(const SessionScores<T>& k, const SessionLossRule& rule);
  static Signature fast, reference;
};
inline constexpr Kernel<SessionLoss, float, double> session_loss;

}  // namespace capstan::kernels
