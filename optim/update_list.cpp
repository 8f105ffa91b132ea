#include "optim/update_list.h"

namespace capstan::optim {

void UpdateList::add(const Parameter& parameter, const Gradient& gradient, const Tensor& first, const Tensor& second, SparsePolicy policy,
                     double weight_decay) {
  const Tensor& value = parameter.value;
  const auto place = [&]<class T>(std::vector<kernels::UpdateTensor<T>>& list) {
    kernels::UpdateTensor<T> t;
    t.value = value.data<T>();
    t.first = first.defined() ? first.data<T>() : nullptr;
    t.second = second.defined() ? second.data<T>() : nullptr;
    t.weight_decay = parameter.decay ? weight_decay : 0.0;
    if (!gradient.is_sparse()) {
      t.gradient = gradient.dense().data<T>();
      t.count = 1;
      t.width = value.numel();
    } else {
      const std::span<const std::int64_t> rows = gradient.indices().span<const std::int64_t>();
      t.gradient = gradient.row_values().data<T>();
      t.width = value.shape().without(0).numel();
      if (policy == SparsePolicy::dense) {
        std::vector<std::int32_t>& from = gradient_rows_.emplace_back(static_cast<std::size_t>(value.size(0)), -1);
        for (std::size_t i = 0; i < rows.size(); ++i) from[static_cast<std::size_t>(rows[i])] = static_cast<std::int32_t>(i);
        t.gradient_row = from.data();
        t.count = value.size(0);
      } else {
        t.rows = rows.data();
        t.count = gradient.indices().numel();
      }
    }
    list.push_back(t);
  };
  if (value.dtype() == DType::f64) {
    place(f64_);
  } else {
    place(f32_);
  }
}

}  // namespace capstan::optim
