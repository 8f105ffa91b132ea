#pragma once
// Whether this machine computes what it should: the gradients of central operations and of a layer.
//
// Each check does two things. In f64, on plain loops, every element of every gradient is compared with central differences. Then a larger
// sample runs in f32 and, where an operation has it, bf16, on the kernels that this processor gets, against f64: outputs and gradients.

#include <functional>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/selftest/check.h"

namespace capstan::engine {

/// A differentiable function at a point.
struct Differentiable {
  std::vector<Tensor> variables;  ///< leaves
  std::vector<std::string> names;
  std::function<Tensor()> value;  ///< at what the variables hold now
};

struct NumericSample {
  std::string name;
  enum class Size { small, large };
  /// The same point in every type: its numbers are representable in bf16.
  std::function<Differentiable(DType, Size)> make;
  bool has_bf16 = true;
};

/// Throws CheckFailed.
void check_numerically(const NumericSample& sample);

std::vector<NumericSample> numeric_samples();
std::vector<SelfCheck> numeric_checks();

}  // namespace capstan::engine
