#include "nn/image_normalization.h"

#include <array>
#include <utility>

#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/image_normalization.h"
#include "autograd/ops/shape_ops.h"
#include "nn/running_update.h"
#include "nn/weight.h"

namespace capstan::nn {

BatchNorm2d::BatchNorm2d(const Scope& scope, const BatchNorm2dOptions& o)
    : weight_(scope.parameter("weight", {o.channels}, o.weight_init, {.trainable = !o.frozen, .decay = false})),
      bias_(scope.parameter("bias", {o.channels}, zeros(), {.trainable = !o.frozen, .decay = false})),
      running_mean_(scope.parameter("running_mean", {o.channels}, zeros(), {.trainable = false, .decay = false})),
      running_variance_(scope.parameter("running_variance", {o.channels}, ones(), {.trainable = false, .decay = false})),
      batches_tracked_(o.counts_batches ? scope.parameter("batches_tracked", {1}, zeros(), {.trainable = false, .decay = false})
                                        : Parameter()),
      epsilon_(o.epsilon),
      momentum_(o.momentum),
      frozen_(o.frozen) {}

Tensor followed(const Tensor& y, const NormFollower& f) {
  if (!f.residual.defined() && !f.relu) return y;
  // What is computed element by element lies in the order of its shape: images with channels last are turned, so that they stay so.
  const bool turned = y.rank() == 4 && !y.is_contiguous() && y.layout().permute(std::array{0, 2, 3, 1}).is_contiguous();
  const auto in_order = [&](const Tensor& t) { return turned ? permute(t, {0, 2, 3, 1}) : t; };
  const Tensor sum = f.residual.defined() ? add(in_order(y), in_order(f.residual)) : in_order(y);
  const Tensor result = f.relu ? relu(sum) : sum;
  return turned ? permute(result, {0, 3, 1, 2}) : result;
}

// (x - mean) / sqrt(variance + eps) weight + bias
ChannelAffine BatchNorm2d::running() const {
  const Tensor scale = mul(pow(affine(running_variance_.value(), 1.0, epsilon_), -0.5), weight_.value());
  return {.scale = scale, .shift = sub(bias_.value(), mul(running_mean_.value(), scale))};
}

Tensor BatchNorm2d::operator()(const Tensor& x, const Run& run, const NormFollower& follower) const {
  const Tensor weight = weight_for(weight_, x), bias = weight_for(bias_, x);
  if (!normalizes_by_batch(run))
    return followed(batch_norm_with(x, running_mean_.value(), running_variance_.value(), weight, bias, epsilon_), follower);
  const BatchNormResult result = batch_norm(x, weight, bias, {.eps = epsilon_, .relu = follower.relu}, follower.residual);
  const std::int64_t elements = x.numel() / x.size(1);
  require(elements > 1, "batch_norm: in training a channel needs two elements at least: x ", x);
  const auto move = [&](RunningUpdate update) {
    if (run.running_updates != nullptr) {
      run.running_updates->push_back(std::move(update));
    } else {
      apply(update);
    }
  };
  const double unbiased = static_cast<double>(elements) / static_cast<double>(elements - 1);
  move({.parameter = running_mean_, .batch = result.mean.to_vector(), .kept = 1 - momentum_, .factor = momentum_});
  move({.parameter = running_variance_, .batch = result.variance.to_vector(), .kept = 1 - momentum_, .factor = momentum_ * unbiased});
  if (batches_tracked_.defined()) move({.parameter = batches_tracked_, .batch = {1}, .kept = 1, .factor = 1});
  return result.y;
}

GroupNorm::GroupNorm(const Scope& scope, const GroupNormOptions& o)
    : weight_(scope.parameter("weight", {o.channels}, o.weight_init, {.decay = false})),
      bias_(scope.parameter("bias", {o.channels}, zeros(), {.decay = false})),
      groups_(o.groups),
      epsilon_(o.epsilon) {
  require<ConfigError>(o.groups > 0 && o.channels % o.groups == 0, scope.path(), ": the groups must divide the channels: channels ",
                       o.channels, ", groups ", o.groups);
}

Tensor GroupNorm::operator()(const Tensor& x) const {
  return group_norm(x, groups_, weight_for(weight_, x), weight_for(bias_, x), epsilon_);
}

}  // namespace capstan::nn
