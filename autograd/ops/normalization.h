#pragma once
// Normalisation over the last axis, alone and fused with bias, dropout and residual.
//
// Layer: y = (x - mean) / sqrt(variance + eps) * gamma + beta with the biased variance and eps inside the root (Ba, Kiros, Hinton,
// "Layer normalization", 2016), from deviations from the mean. RMS: y = x / sqrt(mean(x^2) + eps) * gamma + beta (Zhang, Sennrich, "Root
// mean square layer normalization", 2019). Statistics are taken in f32 at least. All operands of one call have one element type; gamma,
// beta and bias are [D] for x [..., D], beta and bias may be absent.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

enum class NormKind {
  layer,
  rms,  ///< without the mean
};

/// How the branch of a residual connection is dropped (ops/dropout.h) and the sum normalised.
struct DropoutNormOptions {
  double p = 0;
  std::uint64_t key = 0;
  double eps = 1e-5;
  NormKind kind = NormKind::layer;
};

namespace ops {

struct LayerNorm {
  static constexpr std::string_view name = "layer_norm";
  struct Args {
    double eps = 1e-5;
    NormKind kind = NormKind::layer;
  };
  struct Saved {
    Tensor x, gamma, mean, inverse_deviation;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& gamma, const Spec& beta);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Call<3>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

// What both fused ops do; they differ in whether the sum is an output.
struct DropoutResidualLayerNorm {
  static constexpr std::string_view name = "dropout_residual_layer_norm";
  using Args = DropoutNormOptions;
  struct Saved {
    Tensor sum, gamma, mean, inverse_deviation, row_ids;
  };
  static Spec spec(const Args& args, const Spec& x, const Spec& bias, const Spec& residual, const Spec& gamma, const Spec& beta,
                   const Spec& row_ids);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                        const Tensor& beta, const Tensor& row_ids, const Call<6>& call, Saved& saved);
  static Grads<6> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<6> needs);
};

struct DropoutResidualLayerNormWithSum {
  static constexpr std::string_view name = "dropout_residual_layer_norm_with_sum";
  using Args = DropoutNormOptions;
  using Saved = DropoutResidualLayerNorm::Saved;
  static std::array<Spec, 2> spec(const Args& args, const Spec& x, const Spec& bias, const Spec& residual, const Spec& gamma,
                                  const Spec& beta, const Spec& row_ids);
  static std::array<Tensor, 2> forward(const Args& args, const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                       const Tensor& beta, const Tensor& row_ids, const Call<6, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<6> backward(const Args& args, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<6> needs);
};

using NormalizationOps = TypeList<LayerNorm, DropoutResidualLayerNorm, DropoutResidualLayerNormWithSum>;

}  // namespace ops

/// The formulas above; beta may be absent.
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);
Tensor rms_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta = {}, double eps = 1e-6);

/// The normalisation of residual + dropout(x + bias) in one pass: the end of a post-norm block. Bias, beta and row_ids may be absent.
Tensor dropout_residual_layer_norm(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                                   const DropoutNormOptions& options, const Tensor& row_ids = {});

/// A sum and its normalisation: in a pre-norm block the sum is the next residual.
struct NormalizedSum {
  Tensor y, sum;
};
/// The same, with the sum.
NormalizedSum dropout_residual_layer_norm_with_sum(const Tensor& x, const Tensor& bias, const Tensor& residual, const Tensor& gamma,
                                                   const Tensor& beta, const DropoutNormOptions& options, const Tensor& row_ids = {});

}  // namespace capstan
