#pragma once
// Batch and group normalisation of images [B, C, ...] with a learned gain ("weight") and offset ("bias") for each channel; neither decays.

#include <cstdint>

#include "nn/init.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

struct BatchNorm2dOptions {
  std::int64_t channels = 0;
  double epsilon = 1e-5;        ///< inside the root
  double momentum = 0.1;        ///< share of the newest batch in the running statistics
  bool frozen = false;          ///< always the running statistics, and neither they nor weight and bias are trained
  bool counts_batches = false;  ///< keeps the number of training batches seen, as PyTorch does, in the parameter batches_tracked [1]
  Initializer weight_init = ones();
};

/// What comes behind a normalisation and is computed in its pass: y + residual, then the positive part of that.
struct NormFollower {
  Tensor residual = {};  ///< like y; undefined: none
  bool relu = false;
};
Tensor followed(const Tensor& y, const NormFollower& follower);

/// Normalisation by known statistics as y = scale x + shift, each [C] in the parameters' element type.
struct ChannelAffine {
  Tensor scale, shift;
};

/// Batch normalisation (Ioffe and Szegedy 2015). In training, each channel is normalised by its mean and variance in the batch, which also
/// move the running statistics: running = (1 - momentum) running + momentum batch, with the unbiased variance (as PyTorch does).
/// Otherwise the running statistics are what is used. They are parameters of the store that are not trained (running_mean starts at 0,
/// running_variance at 1), so they are saved with the model; they are written in place, beside the tape, once for each call in training,
/// or later (Run::running_updates).
/// Frozen, it is the FrozenBatchNorm of detection models.
class BatchNorm2d {
 public:
  BatchNorm2d(const Scope& scope, const BatchNorm2dOptions& options);

  /// x [B, C, ...] -> the same shape. Throws ShapeError in training if a channel has fewer than two elements.
  Tensor operator()(const Tensor& x, const Run& run, const NormFollower& follower = {}) const;

  bool normalizes_by_batch(const Run& run) const { return run.training && !frozen_; }
  /// What it does to each channel otherwise, for a layer in front that takes it over.
  ChannelAffine running() const;

 private:
  Parameter weight_, bias_;                    // [C]
  Parameter running_mean_, running_variance_;  // [C]
  Parameter batches_tracked_;                  // [1], or undefined
  double epsilon_, momentum_;
  bool frozen_;
};

struct GroupNormOptions {
  std::int64_t channels = 0, groups = 32;
  double epsilon = 1e-5;  ///< inside the root
  Initializer weight_init = ones();
};

/// Group normalisation (Wu and He 2018): each group of channels of each image by itself, in training and afterwards alike.
class GroupNorm {
 public:
  /// Throws ConfigError if the groups do not divide the channels.
  GroupNorm(const Scope& scope, const GroupNormOptions& options);

  /// x [B, C, ...] -> the same shape.
  Tensor operator()(const Tensor& x) const;

 private:
  Parameter weight_, bias_;  // [C]
  std::int64_t groups_;
  double epsilon_;
};

}  // namespace capstan::nn
