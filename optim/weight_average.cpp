#include "optim/weight_average.h"

#include <algorithm>

#include "autograd/kernels/optimizer_update.h"

namespace capstan::optim {
namespace {

template <class T>
void add_tensor(std::vector<kernels::UpdateTensor<T>>& list, const Tensor& average, const Tensor& parameter) {
  list.push_back({.value = average.data<T>(), .gradient = parameter.data<const T>(), .count = 1, .width = average.numel()});
}

}  // namespace

WeightAverage::WeightAverage(std::span<const Parameter> parameters, double decay)
    : parameters_(parameters.begin(), parameters.end()), decay_(decay) {
  require<ConfigError>(decay >= 0 && decay < 1, "weight average: decay must be in [0, 1): ", decay);
  for (const Parameter& p : parameters_) {
    require<DTypeError>((p.value.dtype() == DType::f32 || p.value.dtype() == DType::f64) && p.value.is_contiguous(),
                        "weight average: a parameter must be contiguous f32 or f64: ", p.name, " ", p.value);
    averages_.push_back(p.value.detach().clone());
  }
}

void WeightAverage::update(std::int64_t step) {
  require<InternalError>(step >= 1, "weight average: steps count from 1, got ", step);
  const auto t = static_cast<double>(step);
  const double rate = 1 - std::min(decay_, (1 + t) / (10 + t));
  std::vector<kernels::UpdateTensor<float>> f32;
  std::vector<kernels::UpdateTensor<double>> f64;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    if (averages_[i].dtype() == DType::f32) {
      add_tensor(f32, averages_[i], parameters_[i].value);
    } else {
      add_tensor(f64, averages_[i], parameters_[i].value);
    }
  }
  if (!f32.empty()) kernels::average_update(f32, rate);
  if (!f64.empty()) kernels::average_update(f64, rate);
}

void WeightAverage::restart() {
  for (std::size_t i = 0; i < averages_.size(); ++i)
    dispatch_floating("weight average", averages_[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::ranges::copy(parameters_[i].value.span<const T>(), averages_[i].span<T>().begin());
    });
}

void WeightAverage::swap() {
  for (std::size_t i = 0; i < averages_.size(); ++i)
    dispatch_floating("weight average", averages_[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::ranges::swap_ranges(averages_[i].span<T>(), parameters_[i].value.span<T>());
    });
}

}  // namespace capstan::optim
