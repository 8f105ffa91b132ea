#pragma once
// Softmax and log-softmax along one axis, with an optional mask.
//
// A mask broadcasts to x. It is either u8 (1 keeps an element, 0 removes it) or of x's element type (added to the scores, -inf
// removes); the additive mask is differentiable, so a position bias can be one. Removed elements have probability exactly 0.
// A slice of which every element is removed has softmax 0 everywhere (not NaN) and log-softmax -inf everywhere; removed elements
// pass no gradient.

#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Softmax {
  static constexpr std::string_view name = "softmax";
  struct Args {
    int axis = -1;
  };
  struct Saved {
    Tensor y;
  };  ///< the axis moved last
  static Spec spec(const Args& args, const Spec& x, const Spec& mask);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";
  struct Args {
    int axis = -1;
  };
  struct Saved {
    Tensor y;
  };  ///< the axis moved last
  static Spec spec(const Args& args, const Spec& x, const Spec& mask);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& mask, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

using SoftmaxOps = TypeList<Softmax, LogSoftmax>;

}  // namespace ops

/// exp(x) / sum(exp(x)) along `axis`; x of any floating type and rank >= 1.
Tensor softmax(const Tensor& x, int axis = -1, const Tensor& mask = {});
/// log(softmax(x)) along `axis`, computed without the quotient.
Tensor log_softmax(const Tensor& x, int axis = -1, const Tensor& mask = {});

}  // namespace capstan
