#pragma once
// Losses over classes and binary cross-entropy. Larger relatives: linear_cross_entropy.h (logits never stored whole), candidate_loss.h
// (scores of a few sampled items).
//
// A loss is a sum over examples and the count of those examples, so that micro batches and processes can be combined: with the total count
// of a global batch known beforehand, Reduction::over(total) makes the losses and gradients of its parts add up to those of the whole.
// Values are f32 for f32 and bf16 operands, f64 for f64. An empty sum is 0, also as a mean.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// What a sum over examples is divided by.
struct Reduction {
  double divisor = 0;  ///< 0: the count

  static constexpr Reduction mean() { return {0}; }
  static constexpr Reduction sum() { return {1}; }
  static constexpr Reduction over(double total) { return {total}; }
  /// What the sum is multiplied by.
  double scale(double count) const { return divisor != 0 ? 1 / divisor : count != 0 ? 1 / count : 0; }
};

struct Loss {
  Tensor value;      ///< a scalar: the sum after the reduction
  double count = 0;  ///< examples that took part; with weights the sum of their weights
};

namespace ops {

struct CrossEntropy {
  static constexpr std::string_view name = "cross_entropy";
  struct Args {
    std::int64_t ignore_index = -100;  ///< examples with this target do not take part
    double label_smoothing = 0;        ///< e: the target distribution is (1 - e) [c = target] + e / V
    Reduction reduction = {};
  };
  struct Saved {
    Tensor logits, targets, weights, log_sums;
    double scale = 0;
  };
  static constexpr std::array constants{ConstantInput{2, "class_weights"}};
  static std::array<Spec, 2> spec(const Args& args, const Spec& logits, const Spec& targets, const Spec& class_weights);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& logits, const Tensor& targets, const Tensor& class_weights,
                                       const Call<3, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3> needs);
};

struct SoftCrossEntropy {
  static constexpr std::string_view name = "soft_cross_entropy";
  struct Args {
    Reduction reduction = {};
  };
  struct Saved {
    Tensor logits, targets, log_sums;
    double scale = 0;
  };
  static std::array<Spec, 2> spec(const Args& args, const Spec& logits, const Spec& targets);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& logits, const Tensor& targets,
                                       const Call<2, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<2> needs);
};

struct BceWithLogits {
  static constexpr std::string_view name = "bce_with_logits";
  struct Args {
    Reduction reduction = {};
  };
  struct Saved {
    Tensor logits, targets, weights;
    double scale = 0;
  };
  static constexpr std::array constants{ConstantInput{2, "weights"}};
  static std::array<Spec, 2> spec(const Args& args, const Spec& logits, const Spec& targets, const Spec& weights);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& logits, const Tensor& targets, const Tensor& weights,
                                       const Call<3, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3> needs);
};

using LossOps = TypeList<CrossEntropy, SoftCrossEntropy, BceWithLogits>;

// What every loss op shares.

/// The outputs, {value, count}: their specs for operands of type `operand`, and the values.
std::array<Spec, 2> loss_specs(DType operand);
std::array<Tensor, 2> loss_outputs(DType operand, double value, double count);
/// The sum of the losses of rows, added in order.
double sum_in_order(const Tensor& losses);
/// What reached the value of the loss; 0 if nothing did.
double loss_gradient(const std::array<Tensor, 2>& dy);
/// A tensor for the gradient of a saved operand: the operand itself if it is held by nobody else, for nothing reads it any more.
Tensor reuse_or_new(const Tensor& saved);

}  // namespace ops

/// The outputs of a loss op.
Loss as_loss(const std::array<Tensor, 2>& outputs);

/// -log softmax(logits)[target]; logits [..., V], targets i64 [...]. `class_weights` [V] of any floating type, or absent, multiplies the
/// term of each class; the count is then that of the targets' weights. The gradient is written over the logits if nobody else holds them.
Loss cross_entropy(const Tensor& logits, const Tensor& targets, const ops::CrossEntropy::Args& options = {},
                   const Tensor& class_weights = {});
/// -sum(targets * log softmax(logits)); both [..., V]. Targets need not sum to 1 and may need a gradient.
Loss soft_cross_entropy(const Tensor& logits, const Tensor& targets, const ops::SoftCrossEntropy::Args& options = {});
/// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) for every element; logits and targets of one shape. `weights` of that shape and any
/// floating type, or absent, multiply the terms; the count is then their sum.
Loss bce_with_logits(const Tensor& logits, const Tensor& targets, const ops::BceWithLogits::Args& options = {}, const Tensor& weights = {});

}  // namespace capstan
