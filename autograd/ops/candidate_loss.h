#pragma once
// Losses over a few candidate items a row: the positive in column 0, sampled negatives beside it. Used by sequential recommenders.
//
// `candidate_scores` takes the dot products of a row's hidden state with the table rows of its candidates, without building a
// [tokens, items] matrix; `ranking_loss` turns scores into a loss; `candidate_loss` is the one after the other. A row with valid = 0
// (padding) takes no part: its candidates are not looked at, its score, loss and gradient are 0, and it is not counted.
//
// With s the score of the positive, s_j those of the k negatives:
//   bce_sum          -log sigmoid(s) - sum_j log(1 - sigmoid(s_j)): SASRec as published, for k = 1 not halved
//                    (Kang and McAuley, "Self-attentive sequential recommendation", 2018)
//   bce              the same divided by k + 1
//   gbce             -(beta log sigmoid(s) + sum_j log(1 - sigmoid(s_j))) / (k + 1), beta = 1 - t (1 - k / (items - 1))
//                    (Petrov and Macdonald, "gSASRec", 2023); t = 0 is bce, t = 1 calibrates the probabilities
//   sampled_softmax  -s + log(exp(s) + sum_j exp(s_j - log q_j)), q the sampling probabilities of the negatives (log q absent: 0)

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/ops/loss.h"
#include "autograd/tape/op.h"

namespace capstan {

enum class RankingLossKind { bce_sum, bce, gbce, sampled_softmax };

namespace ops {

struct CandidateScores {
  static constexpr std::string_view name = "candidate_scores";
  struct Args {
    bool sparse = false;
  };  ///< the gradient of the table is row-sparse, every row named once
  struct Saved {
    Tensor h, table, candidates, valid;
  };
  static Spec spec(const Args& args, const Spec& h, const Spec& table, const Spec& candidates, const Spec& valid);
  static Tensor forward(const Args& args, const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid,
                        const Call<4>& call, Saved& saved);
  static Grads<4> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<4> needs);
};

struct RankingLoss {
  static constexpr std::string_view name = "ranking_loss";
  struct Args {
    RankingLossKind kind = RankingLossKind::bce_sum;
    double calibration = 0.75;  ///< t of gbce, 0 ... 1
    std::int64_t items = 0;     ///< size of the catalogue, for gbce
    Reduction reduction = {};
  };
  struct Saved {
    Tensor scores, valid, log_q;
    double scale = 0;
  };
  static constexpr std::array constants{ConstantInput{2, "log_q"}};
  static std::array<Spec, 2> spec(const Args& args, const Spec& scores, const Spec& valid, const Spec& log_q);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& scores, const Tensor& valid, const Tensor& log_q,
                                       const Call<3, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3> needs);
};

using CandidateLossOps = TypeList<CandidateScores, RankingLoss>;

}  // namespace ops

/// scores[n, c] = h_n . table[candidates[n, c]]: h [N, D], table [V, D] of one floating type, candidates i64 [N, C], valid u8 [N] or
/// absent. The scores are f32 for f32 and bf16, f64 for f64.
Tensor candidate_scores(const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid = {}, bool sparse = false);

/// The loss of scores [N, 1 + k] (f32 or f64), column 0 the positive; the count is that of the valid rows. `log_q` of the scores' shape and
/// any floating type (column 0 is not read), or absent, for sampled_softmax only.
Loss ranking_loss(const Tensor& scores, const Tensor& valid, const ops::RankingLoss::Args& options, const Tensor& log_q = {});

struct CandidateLossOptions {
  RankingLossKind kind = RankingLossKind::bce_sum;
  double calibration = 0.75;  ///< t of gbce
  std::int64_t items = 0;     ///< size of the catalogue, for gbce
  Tensor log_q = {};          ///< [V]: the log of the sampling probability of every item, for sampled_softmax; or absent
  bool sparse = false;        ///< the gradient of the table is row-sparse
  Reduction reduction = {};
};

/// ranking_loss(candidate_scores(h, table, candidates, valid), valid). The row-sparse gradient of the table names every row once.
Loss candidate_loss(const Tensor& h, const Tensor& table, const Tensor& candidates, const Tensor& valid,
                    const CandidateLossOptions& options = {});

}  // namespace capstan
