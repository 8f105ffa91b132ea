#include "optim/update_list.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"

namespace capstan::optim {
namespace {

template <class T>
kernels::UpdateTensor<T> dense_update(const Tensor& value, const Tensor& gradient) {
  return {.value = value.data<T>(), .gradient = gradient.data<const T>(), .count = 1, .width = value.numel()};
}

}  // namespace

void UpdateList::add(const Parameter& parameter, const Gradient& gradient, std::initializer_list<Tensor> moments, SparsePolicy policy,
                     double weight_decay, std::span<const std::uint8_t> moving) {
  require<InternalError>(moments.size() <= kernels::kMaxMoments, "update: ", moments.size(), " moments of ", parameter.name(), ", at most ",
                         kernels::kMaxMoments);
  const auto [value, shadow] = parameter.write_both();
  const auto place = [&, &value = value, &shadow = shadow]<class T>(std::vector<kernels::UpdateTensor<T>>& list) {
    kernels::UpdateTensor<T> t;
    if (!gradient.is_sparse()) {
      t = dense_update<T>(value, gradient.dense());
    } else {
      const std::span<const std::int64_t> rows = gradient.indices().span<const std::int64_t>();
      t.value = value.data<T>();
      t.gradient = gradient.row_values().data<T>();
      t.width = value.shape().without(0).numel();
      if (policy == SparsePolicy::dense) {
        std::vector<std::int32_t>& from = gradient_rows_.emplace_back(static_cast<std::size_t>(value.size(0)), kernels::kNoGradient);
        if (!moving.empty())
          std::ranges::transform(moving, from.begin(),
                                 [](std::uint8_t moves) { return moves != 0 ? kernels::kNoGradient : kernels::kAtRest; });
        for (std::size_t i = 0; i < rows.size(); ++i) from[static_cast<std::size_t>(rows[i])] = static_cast<std::int32_t>(i);
        t.gradient_row = from.data();
        t.count = value.size(0);
      } else {
        t.rows = rows.data();
        t.count = gradient.indices().numel();
      }
    }
    std::ranges::transform(moments, t.moments.begin(), [](const Tensor& m) { return m.defined() ? m.data<T>() : nullptr; });
    t.options = {.weight_decay = parameter.decay() ? weight_decay : 0.0, .learning_rate_scale = parameter.learning_rate_scale()};
    t.shadow = shadow.defined() ? shadow.data<bfloat16>() : nullptr;
    list.push_back(t);
  };
  value.dtype() == DType::f64 ? place(f64_) : place(f32_);
  parameters_.push_back(parameter);
}

void UpdateList::add(const Tensor& value, const Tensor& gradient) {
  if (value.dtype() == DType::f64) {
    f64_.push_back(dense_update<double>(value, gradient));
  } else {
    f32_.push_back(dense_update<float>(value, gradient));
  }
}

void UpdateList::fail(std::string_view rule) const {
  for (const Parameter& p : parameters_) {
    const std::vector<double> values = p.value().detach().to_vector();
    const auto found = std::ranges::find_if_not(values, [](double v) { return std::isfinite(v); });
    require<NumericalError>(found == values.end(), rule, ": ", p.name(),
                            " is not finite any more after a step: ", found == values.end() ? 0.0 : *found, " at element ",
                            found - values.begin());
  }
  throw NumericalError(join_text(rule, ": a value is not finite any more after a step"));
}

}  // namespace capstan::optim
