#include "optim/weight_average.h"

#include <algorithm>

#include "optim/update_list.h"

namespace capstan::optim {

WeightAverage::WeightAverage(std::span<const Parameter> parameters, double decay)
    : parameters_(parameters.begin(), parameters.end()), decay_(decay) {
  require<ConfigError>(decay >= 0 && decay < 1, "weight average: decay must be in [0, 1): ", decay);
  for (const Parameter& p : parameters_) {
    require<DTypeError>((p.dtype() == DType::f32 || p.dtype() == DType::f64) && p.value().is_contiguous(),
                        "weight average: a parameter must be contiguous f32 or f64: ", p.name(), " ", p.value());
    averages_.push_back(p.value().detach().clone());
  }
}

void WeightAverage::update(std::int64_t step) {
  require<InternalError>(step >= 1, "weight average: steps count from 1, got ", step);
  const auto t = static_cast<double>(step);
  UpdateList list;
  for (std::size_t i = 0; i < averages_.size(); ++i) list.add(averages_[i], parameters_[i].value());
  list.run(kernels::rules::MovingAverage{.rate = 1 - std::min(decay_, (1 + t) / (10 + t))}, 1.0);
}

void WeightAverage::restart() {
  for (std::size_t i = 0; i < averages_.size(); ++i)
    dispatch_floating("weight average", averages_[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::ranges::copy(parameters_[i].value().span<const T>(), averages_[i].span<T>().begin());
    });
}

void WeightAverage::swap() {
  for (std::size_t i = 0; i < averages_.size(); ++i)
    dispatch_floating("weight average", averages_[i].dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::ranges::swap_ranges(averages_[i].span<T>(), parameters_[i].write().span<T>());
    });
}

}  // namespace capstan::optim
