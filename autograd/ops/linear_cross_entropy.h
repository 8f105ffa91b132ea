#pragma once
// Cross-entropy over a large output layer, logits = x W^T + bias, without ever storing the logits [N, V] whole.
//
// Rows are taken in blocks: logits of a block, online log-sum-exp, and, where a gradient will be wanted, the block's gradient and its
// products, all while the block is in cache; backward only multiplies by the gradient that arrives. A frozen table or hidden state costs no
// product of its own. Memory is O(N D + V D). Give it only the rows
// that count (gather them first): an ignored row costs as much as another.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/ops/loss.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct LinearCrossEntropy {
  static constexpr std::string_view name = "linear_cross_entropy";
  struct Args {
    std::int64_t ignore_index = -100;  ///< rows with this target do not take part
    std::int64_t first_class = 0;      ///< classes below are no candidates: 1 leaves out a padding row
    Reduction reduction = {};
    double label_smoothing = 0;  ///< e: the target distribution is (1 - e) [c = target] + e / candidates
  };
  struct Saved {
    Tensor dx, dweight, dbias;
  };  ///< what is wanted of them
  static std::array<Spec, 2> spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias, const Spec& targets);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                                       const Call<4, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<4> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<4> needs);
};

using LinearCrossEntropyOps = TypeList<LinearCrossEntropy>;

}  // namespace ops

/// -log softmax(x W^T + bias)[target], or with label smoothing -sum_c q_c log softmax(...)[c], over the classes first_class ... V - 1; x
/// [N, D], weight [V, D], bias [V] or absent, targets i64 [N].
Loss linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                          const ops::LinearCrossEntropy::Args& options = {});

}  // namespace capstan
