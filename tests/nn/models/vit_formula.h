#pragma once
// Parameters by formula: nothing need be stored, and no two weights are alike.

#include <cmath>
#include <string>

#include "nn/models/vit.h"
#include "nn/parameter_store.h"
#include "tests/nn/formulas.h"

namespace capstan::nn {

/// As tests/goldens/make_vit.py has them: element i of parameter number t is .15 sin(.7 i + .01 i^2 + .3 t + .1); gains of normalisations
/// have 1 more. Statistics are not counted.
inline void fill_by_chirp(const ParameterStore& store) {
  int t = 0;
  for (const Parameter& p : store.parameters()) {
    if (!p.trainable()) continue;
    const bool gain = p.name().find("norm") != std::string::npos && p.name().ends_with("weight");
    dispatch_floating("test", p.value().dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t n = 0; n < p.value().numel(); ++n) {
        const auto i = static_cast<double>(n);
        const double v = .15 * std::sin(.7 * i + .01 * i * i + .3 * t + .1) + (gain ? 1 : 0);
        if constexpr (!std::is_same_v<T, bfloat16>) p.value().data<T>()[n] = static_cast<T>(v);
      }
    });
    ++t;
  }
}

/// Gives parameter `name` the values of number t, and moves on to the next number.
inline void fill(const ParameterStore& store, const std::string& name, int& t, double offset = 0) {
  const Tensor& value = store.find(name).value();
  set_values(value, sines(t++, 0, static_cast<int>(value.numel()), offset));
}
inline void fill_linear(const ParameterStore& store, const std::string& name, int& t, double weight_offset = 0) {
  fill(store, name + "/weight", t, weight_offset);
  fill(store, name + "/bias", t);
}

inline const VitOptions kTiny{.image_size = 8, .classes = 3, .patch_size = 4, .hidden_size = 8, .layers = 2, .heads = 2, .mlp_size = 16};

/// By the formulas of tests/nn/formulas.h, for kTiny.
inline void fill_vit_by_formula(const ParameterStore& store) {
  int t = 0;
  fill(store, "positions", t);
  fill(store, "class_token", t);
  fill_linear(store, "patches", t);
  for (const std::string layer : {"encoder/0/", "encoder/1/"}) {
    fill_linear(store, layer + "attention_norm", t, 1);
    fill_linear(store, layer + "feed_forward_norm", t, 1);
    fill_linear(store, layer + "feed_forward/inner", t);
    fill_linear(store, layer + "feed_forward/outer", t);
    for (const char* part : {"query", "key", "value", "output"}) fill_linear(store, layer + "attention/" + part, t);
  }
  fill_linear(store, "encoder/norm", t, 1);
  fill_linear(store, "head", t);
}

}  // namespace capstan::nn
