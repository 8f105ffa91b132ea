#include "autograd/ops/image_normalization.h"

#include "autograd/kernels/image_normalization.h"
#include "autograd/ops/elementwise.h"
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

}  // namespace

std::array<Spec, 3> BatchNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  check(name, args.eps, x, gamma, beta);
  const Spec statistics{Shape{x.shape[1]}, compute_type(x.dtype)};
  return {x, statistics, statistics};
}

std::array<Tensor, 3> BatchNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                         const Call<3, std::array<Spec, 3>>&, Saved& saved) {
  const kernels::NormalizationSets sets = batch_sets(x.shape());
  const Statistics statistics = new_statistics(sets, x.dtype());
  saved = {dense(x), dense(gamma), statistics.mean, statistics.variance};
  return {normalize(sets, {.eps = args.eps}, saved.x, saved.gamma, beta, statistics), statistics.mean, statistics.variance};
}

Grads<3> BatchNorm::backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<3> needs) {
  return gradients(batch_sets(saved.x.shape()), {.eps = args.eps}, saved.x, saved.gamma, {saved.mean, saved.variance},
                   or_zeros(dy[0], saved.x.spec()), {dense(dy[1]), dense(dy[2])}, needs);
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

BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  auto [y, mean, variance] = apply<ops::BatchNorm>({.eps = eps}, x, gamma, beta);
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
