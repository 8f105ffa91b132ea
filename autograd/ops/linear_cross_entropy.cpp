#include "autograd/ops/linear_cross_entropy.h"

#include <algorithm>

#include "autograd/kernels/linear_cross_entropy.h"
#include "autograd/ops/operands.h"

namespace capstan {
namespace ops {
namespace {

// The rows of a contiguous tensor from `first` on.
template <class T>
T* from_row(const Tensor& t, std::int64_t first) {
  return t.defined() ? t.data<T>() + first * t.shape().without(0).numel() : nullptr;
}

// t *= factor, in place.
Tensor scale_in_place(const Tensor& t, double factor) {
  if (t.defined() && factor != 1.0)
    dispatch_floating(LinearCrossEntropy::name, t.dtype(), [&](auto zero) {
      using T = decltype(zero);
      using C = kernels::Compute<T>;
      for (T& v : t.span<T>()) v = static_cast<T>(static_cast<C>(v) * static_cast<C>(factor));
    });
  return t;
}

}  // namespace

std::array<Spec, 2> LinearCrossEntropy::spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias, const Spec& targets) {
  require<DTypeError>(is_floating(x.dtype) && weight.dtype == x.dtype, name, ": x and weight must be of one floating type: x ", x,
                      ", weight ", weight);
  require(x.shape.rank() == 2 && weight.shape.rank() == 2 && x.shape[1] == weight.shape[1], name,
          ": x must be [N, D] and weight [V, D]: x ", x, ", weight ", weight);
  const std::int64_t classes = weight.shape[0];
  check_vector(name, {"bias", bias}, classes, {"weight", weight});
  require<DTypeError>(targets.dtype == DType::i64, name, ": targets must be i64: targets ", targets);
  require(targets.shape == Shape{x.shape[0]}, name, ": there must be one target a row: x ", x, ", targets ", targets);
  require<ArgumentError>(args.first_class >= 0 && args.first_class < classes, name, ": the first class must be a row of weight: weight ",
                         weight, ", first_class ", args.first_class);
  require<ArgumentError>(args.label_smoothing >= 0 && args.label_smoothing <= 1, name,
                         ": label smoothing must lie in [0, 1]: ", args.label_smoothing);
  return loss_specs(x.dtype);
}

// With p = softmax(x W^T + bias), q the target distribution and G = (p - q) / divisor: dx = G W, dW = G^T x, dbias = 1^T G, all times the
// gradient of the loss. G is at hand when the loss of a block has been computed and gone afterwards, so the gradients are made in forward.
std::array<Tensor, 2> LinearCrossEntropy::forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias,
                                                  const Tensor& targets, const Call<4, std::array<Spec, 2>>& call, Saved& saved) {
  const std::int64_t first = args.first_class, classes = weight.size(0), rows = x.size(0);
  const Tensor from = dense(x), table = dense(weight), shift = dense(bias), given = dense(targets);
  const Tensor shifted(Shape{rows}, DType::i64);  // targets counted from the first class; -1: ignored
  double count = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t target = given.data<const std::int64_t>()[r];
    const bool takes_part = target != args.ignore_index;
    require(!takes_part || (target >= first && target < classes), name, ": targets must lie in [first_class, V) or be the ignore index ",
            args.ignore_index, ": position ", r, " holds ", target, ", first_class is ", first, ", V is ", classes);
    shifted.data<std::int64_t>()[r] = takes_part ? target - first : -1;
    count += takes_part;
  }
  const double scale = args.reduction.scale(count);
  const DType wide = compute_type(x.dtype());
  const Tensor losses(Shape{rows}, wide);
  saved = {.dx = new_if(call.needs[0], x.spec()),
           .dweight = new_if(call.needs[1], {weight.shape(), wide}),
           .dbias = new_if(call.needs[2], {Shape{classes}, wide})};
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    const auto clear = [&](const Tensor& t) {  // the gradient of classes that are no candidates
      if (t.defined()) std::fill(t.data<C>(), from_row<C>(t, first), C(0));
    };
    clear(saved.dweight);
    clear(saved.dbias);
    kernels::linear_cross_entropy<T>({.x = from.data<const T>(),
                                      .weight = from_row<const T>(table, first),
                                      .bias = from_row<const T>(shift, first),
                                      .target = shifted.data<const std::int64_t>(),
                                      .rows = rows,
                                      .classes = classes - first,
                                      .width = x.size(1),
                                      .ignore_index = -1,
                                      .smoothing = args.label_smoothing},
                                     losses.data<C>(),
                                     {.dx = pointer<T>(saved.dx),
                                      .dweight = from_row<C>(saved.dweight, first),
                                      .dbias = from_row<C>(saved.dbias, first),
                                      .scale = scale});
  });
  return loss_outputs(x.dtype(), sum_in_order(losses) * scale, count);
}

Grads<4> LinearCrossEntropy::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<4>) {
  const double factor = loss_gradient(dy);
  return {scale_in_place(saved.dx, factor), scale_in_place(saved.dweight, factor), scale_in_place(saved.dbias, factor), {}};
}

}  // namespace ops

Loss linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                          const ops::LinearCrossEntropy::Args& options) {
  return as_loss(apply<ops::LinearCrossEntropy>(options, x, weight, bias, targets));
}

}  // namespace capstan
