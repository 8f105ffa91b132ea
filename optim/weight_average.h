#pragma once
// WeightAverage: an exponential moving average of all parameters, which often evaluates better than the last weights (Polyak averaging).
//
//     after step t (from 1):   average += (1 - d) * (parameter - average),   d = min(decay, (1 + t) / (10 + t))
//
// The bound lets early averages forget the initial weights (TensorFlow's ExponentialMovingAverage with num_updates). Parameters that are
// not trainable (statistics of normalisation) are averaged alike. It is no optimiser: training never sees the averages.
// Invariant: averages are aligned with the parameters, and of their shapes and types.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/parameter.h"

namespace capstan::optim {

class WeightAverage {
 public:
  /// Starts from the parameters' present values. Throws ConfigError unless 0 <= decay < 1, DTypeError unless all are f32 or f64.
  WeightAverage(std::span<const Parameter> parameters, double decay);

  /// Takes in the parameters after step `step`, counted from 1.
  void update(std::int64_t step);
  /// Takes the parameters' present values, as at construction.
  void restart();

  std::span<const Parameter> parameters() const { return parameters_; }
  /// Aligned with parameters(); the memory is the average's own.
  std::span<const Tensor> averages() const { return averages_; }

  /// While it lives the parameters hold the averages, and the averages the parameters.
  class Swapped {
   public:
    explicit Swapped(WeightAverage& average) : average_(average) { average_.swap(); }
    ~Swapped() { average_.swap(); }
    Swapped(const Swapped&) = delete;
    Swapped& operator=(const Swapped&) = delete;

   private:
    WeightAverage& average_;
  };

 private:
  void swap();

  std::vector<Parameter> parameters_;
  std::vector<Tensor> averages_;
  double decay_;
};

}  // namespace capstan::optim
