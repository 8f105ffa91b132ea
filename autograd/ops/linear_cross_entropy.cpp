#include "autograd/ops/linear_cross_entropy.h"

#include <algorithm>

#include "autograd/kernels/linear_cross_entropy.h"
#include "autograd/kernels/scratch.h"
#include "autograd/tape/tape.h"

namespace capstan {
namespace {

// The rows of a contiguous tensor from `first` on.
template <class T>
T* from_row(const Tensor& t, std::int64_t first) {
  if (!t.defined()) return nullptr;
  const std::int64_t rows = t.size(0);
  return t.data<T>() + first * (rows == 0 ? 0 : t.numel() / rows);
}

// t *= factor, in place.
Gradient scaled(const Tensor& t, double factor) {
  if (factor != 1.0)
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
  require(bias.shape.rank() == 0 || bias == Spec{Shape{classes}, x.dtype}, name, ": bias must be [V] of x's type: weight ", weight,
          ", bias ", bias);
  require<DTypeError>(targets.dtype == DType::i64, name, ": targets must be i64: targets ", targets);
  require(targets.shape == Shape{x.shape[0]}, name, ": there must be one target a row: x ", x, ", targets ", targets);
  require(args.first_class >= 0 && args.first_class < classes, name, ": the first class must be a row of weight: weight ", weight,
          ", first_class ", args.first_class);
  return detail::loss_specs(x.dtype);
}

// With p = softmax(x W^T + bias) and G = (p - onehot(target)) / divisor: dx = G W, dW = G^T x, dbias = 1^T G, all times the gradient of
// the loss. G is at hand when the loss of a block has been computed and gone afterwards, so the gradients are made in forward.
std::array<Tensor, 2> LinearCrossEntropy::forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias,
                                                  const Tensor& targets, Saved& saved) {
  const std::int64_t first = args.first_class, classes = weight.size(0), rows = x.size(0);
  const Tensor from = x.contiguous(), table = weight.contiguous(), shift = bias.defined() ? bias.contiguous() : bias;
  const Tensor shifted(Shape{rows}, DType::i64);  // targets counted from the first class; -1: ignored
  const Tensor given = targets.contiguous();
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
  const Tensor losses(Shape{rows}, kernels::compute_dtype(x.dtype()));
  if (Tape::recording() != nullptr) {
    saved = {.dx = Tensor(x.spec()), .dweight = Tensor(weight.spec()), .dbias = bias.defined() ? Tensor(bias.spec()) : Tensor{}};
  }
  dispatch_floating(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::LinearClassGradients<T> gradients{.scale = scale};
    if (saved.dx.defined()) {
      std::fill(saved.dweight.data<T>(), from_row<T>(saved.dweight, first), T(0));
      if (bias.defined()) std::fill_n(saved.dbias.data<T>(), first, T(0));
      gradients.dx = saved.dx.data<T>();
      gradients.dweight = from_row<T>(saved.dweight, first);
      gradients.dbias = from_row<T>(saved.dbias, first);
    }
    kernels::linear_cross_entropy<T>({.x = from.data<const T>(),
                                      .weight = from_row<const T>(table, first),
                                      .bias = from_row<const T>(shift, first),
                                      .target = shifted.data<const std::int64_t>(),
                                      .rows = rows,
                                      .classes = classes - first,
                                      .width = x.size(1),
                                      .ignore_index = -1},
                                     losses.data<kernels::Compute<T>>(), saved.dx.defined() ? &gradients : nullptr);
  });
  return detail::loss_outputs(x.dtype(), detail::sum_in_order(losses) * scale, count);
}

Grads<4> LinearCrossEntropy::backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<4> needs) {
  const double factor = dy[0].item();
  const auto give = [&](bool wanted, const Tensor& t) { return wanted ? scaled(t, factor) : Gradient{}; };
  return {give(needs[0], saved.dx), give(needs[1], saved.dweight), give(needs[2], saved.dbias), {}};
}

Loss linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                          const LinearCrossEntropy::Args& options) {
  const auto [value, count] = apply<LinearCrossEntropy>(options, x, weight, bias, targets);
  return {value, count.item()};
}

}  // namespace capstan
