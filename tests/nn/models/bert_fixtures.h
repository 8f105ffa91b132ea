#pragma once
// The network of BERT's worked example: options and parameters.

#include <cmath>
#include <string>
#include <type_traits>

#include "nn/models/bert.h"

namespace capstan::nn {

inline BertOptions worked_options(Activation activation) {
  return {.layers = 2,
          .hidden_size = 8,
          .heads = 2,
          .intermediate_size = 16,
          .max_positions = 12,
          .activation = activation,
          .hidden_dropout = 0,
          .attention_dropout = 0,
          .packed = false};
}

/// Parameter t gets 0.2 sin(0.7 i + 0.3 t + 0.1), gains of layer norms 1 more.
inline void fill_bert_by_formula(const ParameterStore& store) {
  std::size_t t = 0;
  for (const Parameter& p : store.parameters()) {
    const bool gain = p.name().find("orm/weight") != std::string::npos;
    dispatch_floating("test", p.value().dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < p.value().numel(); ++i) {
        const double v = 0.2 * std::sin(0.7 * static_cast<double>(i) + 0.3 * static_cast<double>(t) + 0.1) + (gain ? 1 : 0);
        p.value().data<T>()[i] = T(static_cast<float>(v));
        if constexpr (std::is_same_v<T, double>) p.value().data<T>()[i] = v;
      }
    });
    ++t;
  }
}

}  // namespace capstan::nn
