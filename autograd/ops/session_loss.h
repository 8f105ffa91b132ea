#pragma once
// Losses of session models over a set of candidates that all rows of a batch share (GRU4Rec); the formulas are in kernels/session_loss.h.
//
// Column i of the candidates is the target of row i; every other column is a negative of the row: the other rows' targets and, behind
// them, extra drawn items. The result is the sum over the rows (f32, or f64 for f64); its gradient is computed together with it, in
// the buffer of the scores. `correction` is subtracted from the columns first: with q log(P0_j) for in-batch and q alpha log(P0_j) for
// extra columns it is the logQ correction. With mask_collisions a negative of the same item as the row's target does not count.

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

enum class SessionLossKind : std::uint8_t { cross_entropy, bpr, top1, top1_max, bpr_max };

struct SessionLossRule {
  SessionLossKind kind = SessionLossKind::cross_entropy;
  double elu = 0;    ///< a > 0: scores are r for r >= 0, a (e^r - 1) below; not for cross_entropy
  double bpreg = 0;  ///< weight of the score regulariser of bpr_max
};

namespace ops {

/// Inputs: scores [M, N]; correction [N] or undefined; items i64 [N], which item each column is, or undefined: nothing is masked.
struct SessionLoss {
  static constexpr std::string_view name = "session_loss";
  using Args = SessionLossRule;
  struct Saved {
    Tensor gradient;
  };  ///< of the scores
  static Spec spec(const Args&, const Spec& scores, const Spec& correction, const Spec& items);
  static Tensor forward(const Args&, const Tensor& scores, const Tensor& correction, const Tensor& items, const Call<3>& call,
                        Saved& saved);
  static Grads<3> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

/// The same with scores = hidden * table[candidates]^T + bias[candidates], of which nothing but the M x N scores is ever built.
/// Inputs: hidden [M, D]; table [V, D]; bias [V] or undefined; candidates i64 [N] rows of the table; correction [N] or undefined.
/// The gradients of table and bias are row-sparse, a row an occurrence.
struct SampledSessionLoss {
  static constexpr std::string_view name = "sampled_session_loss";
  struct Args {
    SessionLossRule rule = {};
    bool mask_collisions = false;
  };
  struct Saved {
    Tensor gradient, hidden, rows, candidates;
    Spec table;
  };
  static Spec spec(const Args&, const Spec& hidden, const Spec& table, const Spec& bias, const Spec& candidates, const Spec& correction);
  static Tensor forward(const Args&, const Tensor& hidden, const Tensor& table, const Tensor& bias, const Tensor& candidates,
                        const Tensor& correction, const Call<5>& call, Saved& saved);
  static Grads<5> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<5> needs);
};

using SessionLossOps = TypeList<SessionLoss, SampledSessionLoss>;

}  // namespace ops

inline Tensor session_loss(const Tensor& scores, const SessionLossRule& rule, const Tensor& correction = {}, const Tensor& items = {}) {
  return apply<ops::SessionLoss>(rule, scores, correction, items);
}

inline Tensor sampled_session_loss(const Tensor& hidden, const Tensor& table, const Tensor& bias, const Tensor& candidates,
                                   const Tensor& correction, const ops::SampledSessionLoss::Args& args) {
  return apply<ops::SampledSessionLoss>(args, hidden, table, bias, candidates, correction);
}

}  // namespace capstan
