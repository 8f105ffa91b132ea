#pragma once
// A loss over pairs of boxes that belong together. Which prediction belongs to which object is decided elsewhere; the L1 part of a box loss
// is sum(abs(boxes - targets)) of reduce.h and elementwise.h.
//
// The loss of a pair is 1 - GIoU = 1 - I / U + (C - U) / C (Rezatofighi et al. 2019): I what the boxes have in common, U their union, C the
// smallest box around both; 0 .. 2. It has kinks where edges fall together: there a minimum or maximum of two equal edges passes half of
// the gradient to each, and boxes that only touch pass it as those that overlap, as in PyTorch. Where U = 0 (two boxes without area)
// PyTorch's formula gives NaN; here I / U is 0, and where C = 0, too, the loss is 1, both without a gradient. A row's loss is computed in
// f64 whatever the type of the boxes.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/ops/loss.h"
#include "autograd/tape/op.h"

namespace capstan {

/// What the four numbers of a box are.
enum class BoxForm : std::uint8_t {
  centre,   ///< cx, cy, width, height
  corners,  ///< x1, y1, x2, y2; x1 <= x2 and y1 <= y2 is the caller's business
};

namespace ops {

struct GeneralizedIouLoss {
  static constexpr std::string_view name = "generalized_iou_loss";
  struct Args {
    BoxForm form = BoxForm::centre;
    Reduction reduction = {};
  };
  struct Saved {
    Tensor boxes, targets;
    double scale = 0;
  };
  static std::array<Spec, 2> spec(const Args& args, const Spec& boxes, const Spec& targets);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& boxes, const Tensor& targets,
                                       const Call<2, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs);
};

using BoxLossOps = TypeList<GeneralizedIouLoss>;

}  // namespace ops

/// The sum over rows of 1 - GIoU, and their count; both [N, 4] of one floating type. Targets may need a gradient.
Loss generalized_iou_loss(const Tensor& boxes, const Tensor& targets, const ops::GeneralizedIouLoss::Args& options = {});

}  // namespace capstan
