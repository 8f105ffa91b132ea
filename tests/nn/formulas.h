#pragma once
// Parameters and inputs by formula, so that expected numbers can be recomputed anywhere:
// parameter number t has element i = 0.2 sin(0.7 i + 0.3 t + 0.1), input number k has element i = cos(0.5 i + k).

#include <cmath>
#include <string>
#include <vector>

#include "nn/parameter_store.h"
#include "tests/nn/golden.h"

namespace capstan::nn {

/// Elements first ... first + count - 1 of parameter t.
inline std::vector<double> sines(int t, int first, int count, double offset = 0) {
  std::vector<double> out;
  for (int i = first; i < first + count; ++i) out.push_back(offset + .2 * std::sin(.7 * i + .3 * t + .1));
  return out;
}

inline Tensor cosine(const Shape& shape, double k) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(std::cos(.5 * static_cast<double>(i) + k));
  return Tensor::from(values, shape);
}

/// The biases of query, key and value are the thirds of parameter t.
inline void fill_packed_biases(const ParameterStore& store, const std::string& path, int t, int width) {
  int part = 0;
  for (const char* name : {"query", "key", "value"}) set_values(store.find(path + name + "/bias").value(), sines(t, part++ * width, width));
}

/// PyTorch's order: parameters t ... t + 3 are the packed weights and biases of query, key and value, the output's weight and bias.
inline void fill_packed_attention(const ParameterStore& store, const std::string& path, int t, int width) {
  int part = 0;
  for (const char* name : {"query", "key", "value"})
    set_values(store.find(path + name + "/weight").value(), sines(t, part++ * width * width, width * width));
  fill_packed_biases(store, path, t + 1, width);
  set_values(store.find(path + "output/weight").value(), sines(t + 2, 0, width * width));
  set_values(store.find(path + "output/bias").value(), sines(t + 3, 0, width));
}

}  // namespace capstan::nn
