#pragma once
// Matrix products. Operands are read where they lie: permute and transpose give views, and neither forward nor backward copies them.

#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Matmul {
  static constexpr std::string_view name = "matmul";
  struct Args {
    double alpha = 1.0;
  };
  struct Saved {
    Tensor a, b;
  };
  static Spec spec(const Args& args, const Spec& a, const Spec& b);
  static Tensor forward(const Args& args, const Tensor& a, const Tensor& b, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

struct Linear {
  static constexpr std::string_view name = "linear";
  struct Args {};
  struct Saved {
    Tensor x, weight;
    Shape x_shape;
  };  ///< of x and weight what a wanted gradient reads
  static Spec spec(const Args& args, const Spec& x, const Spec& weight, const Spec& bias);
  static Tensor forward(const Args& args, const Tensor& x, const Tensor& weight, const Tensor& bias, const Call<3>& call, Saved& saved);
  static Grads<3> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<3> needs);
};

using MatmulOps = TypeList<Matmul, Linear>;

}  // namespace ops

/// alpha * a * b for a [..., M, K], b [..., K, N]: [..., M, N]. Leading axes broadcast; a and b have rank >= 2 and one floating type.
Tensor matmul(const Tensor& a, const Tensor& b, double alpha = 1.0);
/// x * weight^T + bias for x [..., in], weight [out, in], bias [out] or absent: [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace capstan
