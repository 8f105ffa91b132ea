#pragma once
// Reductions over axes: sum, mean, variance, max, min, argmax.
//
// `axes` names the axes that go (negative ones count from the end; none: all of them); with keepdim they stay with size 1.
// Sums of f32 and bf16 run in blocks whose sums are added in a wider type, in an order that depends on the sizes alone.

#include <string_view>
#include <vector>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Sum {
  static constexpr std::string_view name = "sum";
  struct Args {
    std::vector<int> axes;
    bool keepdim = false;
  };
  struct Saved {
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Mean {
  static constexpr std::string_view name = "mean";
  using Args = Sum::Args;
  struct Saved {
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Variance {
  static constexpr std::string_view name = "variance";
  struct Args {
    std::vector<int> axes;
    bool keepdim = false;
    std::int64_t correction = 0;
  };
  struct Saved {
    Tensor x, mean;
  };  ///< in f32 where the op runs in bf16
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Max {
  static constexpr std::string_view name = "max";
  using Args = Sum::Args;
  struct Saved {
    Tensor positions;
    Shape from;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Min {
  static constexpr std::string_view name = "min";
  using Args = Sum::Args;
  using Saved = Max::Saved;
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

struct Argmax {
  static constexpr std::string_view name = "argmax";
  static constexpr bool differentiable = false;
  struct Args {
    int axis = -1;
    bool keepdim = false;
  };
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Spec& out);
};

using ReduceOps = TypeList<Sum, Mean, Variance, Max, Min, Argmax>;

}  // namespace ops

/// The sum of x over axes.
inline Tensor sum(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false) {
  return apply<ops::Sum>({.axes = std::move(axes), .keepdim = keepdim}, x);
}
/// NaN for the mean of nothing.
inline Tensor mean(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false) {
  return apply<ops::Mean>({.axes = std::move(axes), .keepdim = keepdim}, x);
}
/// The sum of squared distances from the mean, divided by n - correction: 0 as in normalisation, 1 for the unbiased estimate of a sample.
inline Tensor variance(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false, std::int64_t correction = 0) {
  return apply<ops::Variance>({.axes = std::move(axes), .keepdim = keepdim, .correction = correction}, x);
}
/// The largest (smallest) element; NaN if there is one. The gradient goes to the first of several equal ones, in row-major order.
inline Tensor max(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false) {
  return apply<ops::Max>({.axes = std::move(axes), .keepdim = keepdim}, x);
}
inline Tensor min(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false) {
  return apply<ops::Min>({.axes = std::move(axes), .keepdim = keepdim}, x);
}
/// Where along an axis the largest element is, i64; the first of several equal ones, or the first NaN.
inline Tensor argmax(const Tensor& x, int axis = -1, bool keepdim = false) {
  return apply<ops::Argmax>({.axis = axis, .keepdim = keepdim}, x);
}

}  // namespace capstan
