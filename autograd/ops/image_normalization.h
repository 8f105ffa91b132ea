#pragma once
// Normalisation of images [B, C, ...]: batch norm over each channel, group norm over groups of channels of each image, and the
// standardisation of convolution weights, which is the same sum over each filter.
//
// y = (x - mean) / sqrt(variance + eps) * gamma + beta with the biased variance. gamma and beta are [C] and may be absent; all floating
// operands of one call have one element type. Layer norm, over the last axis, is in normalization.h.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// What a centred filter is divided by.
enum class DeviationForm : std::uint8_t {
  root,  ///< sqrt(variance + eps)
  sum,   ///< sqrt(variance) + eps
};

namespace ops {

struct BatchNorm {
  static constexpr std::string_view name = "batch_norm";
  struct Args {
    double eps = 1e-5;
    bool relu = false;
  };
  struct Saved {
    Tensor x, gamma, mean, variance;
    Tensor y;  ///< with a relu
    bool channels_last = false;
  };
  static std::array<Spec, 3> spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta, const Spec& residual);
  static std::array<Tensor, 3> forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& residual,
                                       const Call<4, std::array<Spec, 3>>& call, Saved& saved);
  static Grads<4> backward(const Args& args, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<4> needs);
};

struct GroupNorm {
  static constexpr std::string_view name = "group_norm";
  struct Args {
    std::int64_t groups = 1;
    double eps = 1e-5;
  };
  struct Saved {
    Tensor x, gamma, mean, variance;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Call<3>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

struct StandardizeWeight {
  static constexpr std::string_view name = "standardize_weight";
  struct Args {
    double eps = 1e-5;
    DeviationForm form = DeviationForm::root;
  };
  struct Saved {
    Tensor weight, mean, variance;
  };
  static Spec spec(const Args& args, const Spec& weight);
  static Tensor forward(const Args& args, const Tensor& weight, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

using ImageNormalizationOps = TypeList<BatchNorm, GroupNorm, StandardizeWeight>;

}  // namespace ops

/// What batch_norm gives: y like x, and the statistics [C] of the batch in f32 (f64 for f64), both differentiable.
struct BatchNormResult {
  Tensor y, mean, variance;
};
/// Normalises each channel of x [B, C, ...] by its mean and variance in the batch (Ioffe and Szegedy 2015). In the same pass it adds
/// `residual`, which is like x, if there is one, and takes the positive part, if args.relu says so. y lies in memory as x does.
BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const ops::BatchNorm::Args& args = {},
                           const Tensor& residual = {});
/// The same with given statistics [C], as after training: (x - mean) / sqrt(variance + eps) gamma + beta.
Tensor batch_norm_with(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& gamma, const Tensor& beta,
                       double eps = 1e-5);
/// Normalises each of `groups` equal parts of the channels of each image of x [B, C, ...] (Wu and He 2018).
Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);
/// Each filter of weight [O, ...] with mean 0 and deviation 1 (Qiao et al. 2019).
Tensor standardize_weight(const Tensor& weight, double eps = 1e-5, DeviationForm form = DeviationForm::root);

}  // namespace capstan
