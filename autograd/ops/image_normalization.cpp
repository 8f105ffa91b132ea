#include "autograd/ops/image_normalization.h"

#include "autograd/kernels/batch_norm.h"
#include "autograd/kernels/functions.h"
#include "autograd/kernels/image_normalization.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/elementwise_op.h"
#include "autograd/ops/image_order.h"
#include "autograd/ops/operands.h"
#include "autograd/ops/shape_ops.h"

namespace capstan {
namespace ops {
namespace {

Spec check(std::string_view op, double eps, const Spec& x, const Spec& gamma, const Spec& beta) {
  check_floating(op, "x", x);
  require(x.shape.rank() >= 2 && x.shape[1] > 0, op, ": x must be [B, C, ...] with channels: x ", x);
  require<ArgumentError>(eps >= 0, op, ": eps must not be negative: eps ", eps);
  check_vector(op, {"gamma", gamma}, x.shape[1], {"x", x});
  check_vector(op, {"beta", beta}, x.shape[1], {"x", x});
  return x;
}

kernels::Deviation deviation_of(const StandardizeWeight::Args& args) {
  return {.eps = args.eps, .form = args.form == DeviationForm::root ? kernels::DeviationForm::root : kernels::DeviationForm::sum};
}

std::int64_t spatial(const Shape& x) { return x.sub(2, x.rank()).numel(); }
kernels::NormalizationSets batch_sets(const Shape& x) {
  return {.batch = x[0], .channels = x[1], .spatial = spatial(x), .groups = x[1], .across_batch = true};
}
kernels::NormalizationSets group_sets(const Shape& x, std::int64_t groups) {
  return {.batch = x[0], .channels = x[1], .spatial = spatial(x), .groups = groups};
}
kernels::NormalizationSets filter_sets(const Shape& weight) {
  return {.batch = weight[0], .channels = 1, .spatial = weight.sub(1, weight.rank()).numel()};
}

struct Statistics {
  Tensor mean, variance;  ///< by set, or undefined
  template <class T>
  kernels::SetStatistics<T> pointers() const {
    using C = kernels::Compute<T>;
    return {.mean = pointer<C>(mean), .variance = pointer<C>(variance)};
  }
};
Statistics new_statistics(const kernels::NormalizationSets& sets, DType dtype) {
  const Spec spec{Shape{sets.count()}, compute_type(dtype)};
  return {Tensor(spec), Tensor(spec)};
}

// x and gamma are contiguous.
Tensor normalize(const kernels::NormalizationSets& sets, const kernels::Deviation& deviation, const Tensor& x, const Tensor& gamma,
                 const Tensor& beta, const Statistics& statistics) {
  const Tensor y(x.spec()), shift = dense(beta);
  dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::normalize_sets(sets, x.data<T>(), pointer<T>(gamma), pointer<T>(shift), deviation, statistics.pointers<T>(), y.data<T>());
  });
  return y;
}

// The derivation stands above the kernel (kernels/reference/image_normalization.cpp).
Grads<3> gradients(const kernels::NormalizationSets& sets, const kernels::Deviation& deviation, const Tensor& x, const Tensor& gamma,
                   const Statistics& statistics, const Tensor& dy, const Statistics& dstatistics, Needs<3> needs) {
  const Spec row{Shape{sets.channels}, compute_type(x.dtype())};
  const Tensor g = dense(dy), dx = new_if(needs[0], x.spec()), dgamma = new_if(needs[1], row), dbeta = new_if(needs[2], row);
  dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    kernels::normalize_sets_backward(sets, x.data<T>(), pointer<T>(gamma), deviation, statistics.pointers<T>(), g.data<T>(),
                                     dstatistics.pointers<T>(),
                                     {.dx = pointer<T>(dx), .dgamma = pointer<C>(dgamma), .dbeta = pointer<C>(dbeta)});
  });
  return {dx, dgamma, dbeta};
}

template <class T>
kernels::BatchNormProblem<T> rows_problem(const BatchNorm::Args& args, const Tensor& x, const Tensor& gamma) {
  const std::int64_t channels = x.size(1);
  return {.rows = x.numel() / channels, .channels = channels, .eps = args.eps, .gamma = pointer<const T>(gamma), .relu = args.relu};
}
template <class T>
kernels::BatchNormStatistics<T> rows_statistics(const Tensor& mean, const Tensor& variance) {
  using C = kernels::Compute<T>;
  return {.mean = pointer<C>(mean), .variance = pointer<C>(variance)};
}

}  // namespace

std::array<Spec, 3> BatchNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta, const Spec& residual) {
  check(name, args.eps, x, gamma, beta);
  require(!residual.present || residual == x, name, ": the residual must be like x: x ", x, ", residual ", residual);
  const Spec statistics{Shape{x.shape[1]}, compute_type(x.dtype)};
  return {x, statistics, statistics};
}

std::array<Tensor, 3> BatchNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& residual,
                                         const Call<4, std::array<Spec, 3>>& call, Saved& saved) {
  const kernels::NormalizationSets sets = batch_sets(x.shape());
  const Statistics statistics = new_statistics(sets, x.dtype());
  const bool last = has_channels_last(x);
  saved = {.x = in_order(x, last),
           .gamma = dense(gamma),
           .mean = statistics.mean,
           .variance = statistics.variance,
           .y = {},
           .channels_last = last};
  Tensor y;
  if (last) {
    y = new_image(x.spec(), true);
    const Tensor shift = dense(beta), added = in_order(residual, true);
    dispatch_floating(name, x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::batch_norm_rows(rows_problem<T>(args, saved.x, saved.gamma), saved.x.data<const T>(), pointer<const T>(shift),
                               pointer<const T>(added), rows_statistics<T>(statistics.mean, statistics.variance), y.data<T>());
    });
  } else {
    y = normalize(sets, {.eps = args.eps}, saved.x, saved.gamma, beta, statistics);
    if (residual.defined()) y = map_binary(kernels::functions::Add{}, y, residual);
    if (args.relu) y = map_unary(kernels::functions::Relu{}, y);
  }
  if (args.relu && call.records()) saved.y = y;
  return {y, statistics.mean, statistics.variance};
}

// The derivation stands above the kernels (reference/batch_norm.cpp, and reference/image_normalization.cpp behind that of the relu).
Grads<4> BatchNorm::backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<4> needs) {
  const Tensor g = dy[0].defined() ? in_order(dy[0], saved.channels_last) : in_order(or_zeros({}, saved.x.spec()), saved.channels_last);
  const Statistics dstatistics{dense(dy[1]), dense(dy[2])};
  if (!saved.channels_last) {
    const Tensor through = args.relu ? map_unary_gradient(kernels::functions::Relu{}, g, saved.y) : g;
    Grads<3> d = gradients(batch_sets(saved.x.shape()), {.eps = args.eps}, saved.x, saved.gamma, {saved.mean, saved.variance}, through,
                           dstatistics, {needs[0], needs[1], needs[2]});
    return {std::move(d[0]), std::move(d[1]), std::move(d[2]), needs[3] ? through : Tensor{}};
  }
  const Spec row{Shape{saved.x.size(1)}, compute_type(saved.x.dtype())};
  const Tensor dx = new_image_if(needs[0], saved.x.spec(), true), dgamma = new_if(needs[1], row), dbeta = new_if(needs[2], row),
               masked = new_image_if(needs[3] && args.relu, saved.x.spec(), true);
  dispatch_floating(name, saved.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = kernels::Compute<T>;
    kernels::batch_norm_rows_backward(
        rows_problem<T>(args, saved.x, saved.gamma), saved.x.data<const T>(), pointer<const T>(saved.y),
        rows_statistics<T>(saved.mean, saved.variance), g.data<const T>(), rows_statistics<T>(dstatistics.mean, dstatistics.variance),
        {.dx = pointer<T>(dx), .dresidual = pointer<T>(masked), .dgamma = pointer<C>(dgamma), .dbeta = pointer<C>(dbeta)});
  });
  return {dx, dgamma, dbeta, needs[3] ? (args.relu ? masked : g) : Tensor{}};
}

Spec GroupNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  check(name, args.eps, x, gamma, beta);
  require<ArgumentError>(args.groups > 0 && x.shape[1] % args.groups == 0, name, ": groups must divide the channels, axis 1 of x: x ", x,
                         ", groups ", args.groups);
  return x;
}

Tensor GroupNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Call<3>&, Saved& saved) {
  const kernels::NormalizationSets sets = group_sets(x.shape(), args.groups);
  const Statistics statistics = new_statistics(sets, x.dtype());
  saved = {dense(x), dense(gamma), statistics.mean, statistics.variance};
  return normalize(sets, {.eps = args.eps}, saved.x, saved.gamma, beta, statistics);
}

Grads<3> GroupNorm::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  return gradients(group_sets(saved.x.shape(), args.groups), {.eps = args.eps}, saved.x, saved.gamma, {saved.mean, saved.variance}, dy, {},
                   needs);
}

Spec StandardizeWeight::spec(const Args& args, const Spec& weight) {
  check_floating(name, "weight", weight);
  require(weight.shape.rank() >= 2 && weight.shape.numel() > 0, name, ": weight must be [O, ...] and not empty: weight ", weight);
  require<ArgumentError>(args.eps >= 0, name, ": eps must not be negative: eps ", args.eps);
  return weight;
}

Tensor StandardizeWeight::forward(const Args& args, const Tensor& weight, const Call<1>&, Saved& saved) {
  const kernels::NormalizationSets sets = filter_sets(weight.shape());
  const Statistics statistics = new_statistics(sets, weight.dtype());
  saved = {dense(weight), statistics.mean, statistics.variance};
  return normalize(sets, deviation_of(args), saved.weight, {}, {}, statistics);
}

Grads<1> StandardizeWeight::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  Grads<3> all = gradients(filter_sets(saved.weight.shape()), deviation_of(args), saved.weight, {}, {saved.mean, saved.variance}, dy, {},
                           {true, false, false});
  return {std::move(all[0])};
}

}  // namespace ops

BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const ops::BatchNorm::Args& args,
                           const Tensor& residual) {
  auto [y, mean, variance] = apply<ops::BatchNorm>(args, x, gamma, beta, residual);
  return {y, mean, variance};
}

Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& gamma, const Tensor& beta, double eps) {
  ops::check(ops::BatchNorm::name, eps, x.spec(), gamma.spec(), beta.spec());
  const auto by_channel = [&](const Tensor& v) {  // [C, 1, ...]
    Shape shape{v.numel()};
    while (shape.rank() + 1 < x.rank()) shape = shape.inserted(shape.rank(), 1);
    return reshape(cast(v, x.dtype()), shape);
  };
  const Tensor inverse = cast(pow(affine(variance, 1.0, eps), -0.5), x.dtype());  // [C]
  const Tensor scale = gamma.defined() ? mul(inverse, gamma) : inverse;           // [C]
  const Tensor y = mul(sub(x, by_channel(mean)), by_channel(scale));              // like x
  return beta.defined() ? add(y, by_channel(beta)) : y;
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& gamma, const Tensor& beta, double eps) {
  return apply<ops::GroupNorm>({.groups = groups, .eps = eps}, x, gamma, beta);
}

Tensor standardize_weight(const Tensor& weight, double eps, DeviationForm form) {
  return apply<ops::StandardizeWeight>({.eps = eps, .form = form}, weight);
}

}  // namespace capstan
