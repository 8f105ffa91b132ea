#pragma once
// UpdateList: the tensors of one step as the update kernels want them, sorted by element type. Internal to optim.

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"
#include "autograd/kernels/optimizer_update.h"
#include "optim/optimizer.h"

namespace capstan::optim {

class UpdateList {
 public:
  /// The parameter gets a new version, whose bf16 copy is written in the same pass where there was an up-to-date one; its learning rate is
  /// scaled by its own scale. `moments`: the parameter's state in the order of the rule, an undefined tensor standing for none. A
  /// row-sparse gradient must be coalesced; with SparsePolicy::dense the update visits all rows, otherwise the named ones. Rows that it
  /// does not name, and for which `moving` has 0, are at rest (kernels::kAtRest); without `moving` none is. The gradient must outlive the
  /// list.
  void add(const Parameter& parameter, const Gradient& gradient, std::initializer_list<Tensor> moments, SparsePolicy policy,
           double weight_decay, std::span<const std::uint8_t> moving = {});
  /// The same for what has neither moments nor options.
  void add(const Tensor& value, const Tensor& gradient);

  /// Applies a rule of kernels/update_rules.h to all tensors. Throws NumericalError, when all are updated, if a value is not finite then.
  template <class Rule>
  void run(const Rule& rule, double gradient_scale) const {
    const bool f32 = f32_.empty() || kernels::update(std::span<const kernels::UpdateTensor<float>>(f32_), rule, gradient_scale);
    const bool f64 = f64_.empty() || kernels::update(std::span<const kernels::UpdateTensor<double>>(f64_), rule, gradient_scale);
    if (!f32 || !f64) fail(Rule::name);
  }

 private:
  [[noreturn]] void fail(std::string_view rule) const;

  std::vector<Parameter> parameters_;
  std::vector<kernels::UpdateTensor<float>> f32_;
  std::vector<kernels::UpdateTensor<double>> f64_;
  std::deque<std::vector<std::int32_t>> gradient_rows_;  // a deque, since the kernel tensors point into it
};

}  // namespace capstan::optim
