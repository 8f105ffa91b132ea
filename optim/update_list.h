#pragma once
// UpdateList: the tensors of one step as the update kernels want them, sorted by element type.

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"
#include "autograd/kernels/optimizer_update.h"
#include "optim/optimizer.h"

namespace capstan::optim {

class UpdateList {
 public:
  /// `first`, `second`: the parameter's state for the kernel, undefined for none. A row-sparse gradient must be coalesced; with
  /// SparsePolicy::dense the update visits all rows, otherwise the named ones. The gradient must outlive the list.
  void add(const Parameter& parameter, const Gradient& gradient, const Tensor& first, const Tensor& second, SparsePolicy policy,
           double weight_decay);

  /// kernel(span of f32 tensors), kernel(span of f64 tensors), where there are any.
  template <class Kernel>
  void run(Kernel&& kernel) const {
    if (!f32_.empty()) kernel(std::span<const kernels::UpdateTensor<float>>(f32_));
    if (!f64_.empty()) kernel(std::span<const kernels::UpdateTensor<double>>(f64_));
  }

 private:
  std::vector<kernels::UpdateTensor<float>> f32_;
  std::vector<kernels::UpdateTensor<double>> f64_;
  std::deque<std::vector<std::int32_t>> gradient_rows_;  // a deque, since the kernel tensors point into it
};

}  // namespace capstan::optim
