#include "autograd/ops/image_normalization.h"

#include "autograd/kernels/scratch.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"

namespace capstan {
namespace {

Spec check(std::string_view op, double eps, const Spec& x, const Spec& gamma, const Spec& beta) {
  require<DTypeError>(is_floating(x.dtype), op, ": needs a floating type: x ", x);
  require(x.shape.rank() >= 2 && x.shape[1] > 0, op, ": x must be [B, C, ...] with channels: x ", x);
  require(eps >= 0, op, ": eps must not be negative: eps ", eps);
  const auto check_vector = [&](std::string_view what, const Spec& v) {
    if (v.shape.rank() == 0) return;
    require<DTypeError>(v.dtype == x.dtype, op, ": element types must agree: x ", x, ", ", what, " ", v);
    require(v.shape == Shape{x.shape[1]}, op, ": ", what, " must have an element for each channel, axis 1 of x: x ", x, ", ", what, " ", v);
  };
  check_vector("gamma", gamma);
  check_vector("beta", beta);
  return x;
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

template <class T>
T* pointer(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}
Tensor contiguous_or_absent(const Tensor& t) { return t.defined() ? t.contiguous() : Tensor{}; }

struct Statistics {
  Tensor mean, variance;  ///< by set, or undefined
  template <class T>
  kernels::SetStatistics<T> pointers() const {
    using C = kernels::Compute<T>;
    return {.mean = pointer<C>(mean), .variance = pointer<C>(variance)};
  }
};
Statistics new_statistics(const kernels::NormalizationSets& sets, DType dtype) {
  const Spec spec{Shape{sets.count()}, kernels::compute_dtype(dtype)};
  return {Tensor(spec), Tensor(spec)};
}

// x and gamma are contiguous.
Tensor normalize(const kernels::NormalizationSets& sets, const kernels::Deviation& deviation, const Tensor& x, const Tensor& gamma,
                 const Tensor& beta, const Statistics& statistics) {
  const Tensor y(x.spec()), shift = contiguous_or_absent(beta);
  dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::normalize_sets(sets, x.data<T>(), pointer<T>(gamma), pointer<T>(shift), deviation, statistics.pointers<T>(), y.data<T>());
  });
  return y;
}

// The derivation stands above the kernel (kernels/reference/image_normalization.cpp).
Grads<3> gradients(const kernels::NormalizationSets& sets, const kernels::Deviation& deviation, const Tensor& x, const Tensor& gamma,
                   const Statistics& statistics, const Tensor& dy, const Statistics& dstatistics, Needs<3> needs) {
  const Tensor g = dy.contiguous(), dx = needs[0] ? Tensor(x.spec()) : Tensor{};
  const Spec row{Shape{sets.channels}, x.dtype()};
  const Tensor dgamma = needs[1] ? Tensor(row) : Tensor{}, dbeta = needs[2] ? Tensor(row) : Tensor{};
  dispatch_floating("normalize", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::normalize_sets_backward(sets, x.data<T>(), pointer<T>(gamma), deviation, statistics.pointers<T>(), g.data<T>(),
                                        dstatistics.pointers<T>(),
                                        {.dx = pointer<T>(dx), .dgamma = pointer<T>(dgamma), .dbeta = pointer<T>(dbeta)});
  });
  const auto give = [](const Tensor& t) { return t.defined() ? Gradient(t) : Gradient{}; };
  return {give(dx), give(dgamma), give(dbeta)};
}

}  // namespace

std::array<Spec, 3> BatchNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  check(name, args.eps, x, gamma, beta);
  const Spec statistics{Shape{x.shape[1]}, kernels::compute_dtype(x.dtype)};
  return {x, statistics, statistics};
}

std::array<Tensor, 3> BatchNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, Saved& saved) {
  const kernels::NormalizationSets sets = batch_sets(x.shape());
  const Statistics statistics = new_statistics(sets, x.dtype());
  saved = {x.contiguous(), contiguous_or_absent(gamma), statistics.mean, statistics.variance};
  return {normalize(sets, {.eps = args.eps}, saved.x, saved.gamma, beta, statistics), statistics.mean, statistics.variance};
}

Grads<3> BatchNorm::backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<3> needs) {
  return gradients(batch_sets(saved.x.shape()), {.eps = args.eps}, saved.x, saved.gamma, {saved.mean, saved.variance}, dy[0],
                   {dy[1].contiguous(), dy[2].contiguous()}, needs);
}

Spec GroupNorm::spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta) {
  check(name, args.eps, x, gamma, beta);
  require(args.groups > 0 && x.shape[1] % args.groups == 0, name, ": groups must divide the channels, axis 1 of x: x ", x, ", groups ",
          args.groups);
  return x;
}

Tensor GroupNorm::forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, Saved& saved) {
  const kernels::NormalizationSets sets = group_sets(x.shape(), args.groups);
  const Statistics statistics = new_statistics(sets, x.dtype());
  saved = {x.contiguous(), contiguous_or_absent(gamma), statistics.mean, statistics.variance};
  return normalize(sets, {.eps = args.eps}, saved.x, saved.gamma, beta, statistics);
}

Grads<3> GroupNorm::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs) {
  return gradients(group_sets(saved.x.shape(), args.groups), {.eps = args.eps}, saved.x, saved.gamma, {saved.mean, saved.variance}, dy, {},
                   needs);
}

Spec StandardizeWeight::spec(const Args& args, const Spec& weight) {
  require<DTypeError>(is_floating(weight.dtype), name, ": needs a floating type: weight ", weight);
  require(weight.shape.rank() >= 2 && weight.shape.numel() > 0, name, ": weight must be [O, ...] and not empty: weight ", weight);
  require(args.eps >= 0, name, ": eps must not be negative: eps ", args.eps);
  return weight;
}

Tensor StandardizeWeight::forward(const Args& args, const Tensor& weight, Saved& saved) {
  const kernels::NormalizationSets sets = filter_sets(weight.shape());
  const Statistics statistics = new_statistics(sets, weight.dtype());
  saved = {weight.contiguous(), statistics.mean, statistics.variance};
  return normalize(sets, {.eps = args.eps, .form = args.form}, saved.weight, {}, {}, statistics);
}

Grads<1> StandardizeWeight::backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1>) {
  Grads<3> all = gradients(filter_sets(saved.weight.shape()), {.eps = args.eps, .form = args.form}, saved.weight, {},
                           {saved.mean, saved.variance}, dy, {}, {true, false, false});
  return {std::move(all[0])};
}

BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  auto [y, mean, variance] = apply<BatchNorm>({.eps = eps}, x, gamma, beta);
  return {y, mean, variance};
}

Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& gamma, const Tensor& beta, double eps) {
  check(BatchNorm::name, eps, x.spec(), gamma.spec(), beta.spec());
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
  return apply<GroupNorm>({.groups = groups, .eps = eps}, x, gamma, beta);
}

Tensor standardize_weight(const Tensor& weight, double eps, DeviationForm form) {
  return apply<StandardizeWeight>({.eps = eps, .form = form}, weight);
}

}  // namespace capstan
