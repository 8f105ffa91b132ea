#pragma once
// The gradient check of a layer: every element of every trainable parameter and floating input against central differences, in f64.
//
//     EXPECT_EQ(gradient_errors([](const Scope& scope) { return [l = Linear(scope, {.in = 3, .out = 2})](Inputs in) { return l(in[0]); };
//     },
//                               {random_input({4, 3})}), "");
//
// Dropout may be on: its decisions do not depend on values.

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/tape/tape.h"
#include "nn/init.h"
#include "nn/parameter_store.h"
#include "tests/nn/golden.h"

namespace capstan::nn {

using Inputs = std::span<const Tensor>;
/// A layer as a function of its inputs.
using LayerFunction = std::function<Tensor(Inputs)>;
using LayerBuilder = std::function<LayerFunction(const Scope&)>;

/// f64 values around 0, the same for the same seed.
inline Tensor random_input(const Shape& shape, std::uint64_t seed = 1) {
  Tensor x(shape, DType::f64);
  uniform(-1.5, 1.5)(x, seed);
  return x;
}

/// What is wrong with the gradients, or "". The layer's parameters are moved away from where they start (biases at 0, gains at 1). A
/// gradient a of a random asymmetric projection of the output is right if its numeric counterpart n has |a - n| <= 1e-9 + 1e-6 max(|a|,
/// |n|). Inputs in f64 are differentiated; others are passed on, and undefined ones are absent. A parameter that is trainable and gets no
/// gradient is an error.
inline std::string gradient_errors(const LayerBuilder& build, const std::vector<Tensor>& inputs) {
  ParameterStore store(5, DType::f64);
  const LayerFunction layer = build(store.root());
  struct Variable {
    std::string name;
    Tensor value;
  };
  std::vector<Variable> variables;
  std::vector<Tensor> leaves;
  for (const Tensor& x : inputs) {
    const bool differentiated = x.defined() && x.dtype() == DType::f64;
    leaves.push_back(differentiated ? make_leaf(x.clone()) : x);
    if (differentiated) variables.push_back({"input " + std::to_string(leaves.size() - 1), leaves.back()});
  }
  for (const Parameter& p : store.parameters()) {
    if (!p.trainable()) continue;
    Tensor shift(p.shape(), DType::f64);
    normal(.3)(shift, random_key(7, p.name()));
    for (std::int64_t i = 0; i < shift.numel(); ++i) p.write().data<double>()[i] += shift.data<const double>()[i];
    variables.push_back({p.name(), p.value()});
  }

  Tape tape;
  const Tensor output = layer(leaves);
  Tensor cotangent(output.shape(), DType::f64);
  uniform(.3, 1.7)(cotangent, 99);
  const std::vector<double> base = output.to_vector(), weights = cotangent.to_vector();
  const Gradients gradients = tape.backward(std::span(&output, 1), std::span(&cotangent, 1));

  std::ostringstream errors;
  const NoGrad no_grad;
  const auto projection = [&] {  // of what has changed: differences of near numbers
    const std::vector<double> y = layer(leaves).to_vector();
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += weights[i] * (y[i] - base[i]);
    return sum;
  };
  for (const Variable& v : variables) {
    const Gradient gradient = gradients.of(v.value);
    if (!gradient.defined()) {
      errors << v.name << " gets no gradient\n";
      continue;
    }
    const std::vector<double> analytic = dense(gradient, DType::f64).to_vector();
    double* const x = v.value.data<double>();
    for (std::size_t e = 0; e < analytic.size(); ++e) {
      const double at = x[e], h = 5e-4;
      double numeric = 0;
      for (const auto& [step, weight] : {std::pair{-2.0, 1.0}, {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}}) {
        x[e] = at + step * h;
        numeric += weight * projection() / (12 * h);
      }
      x[e] = at;
      if (std::abs(analytic[e] - numeric) <= 1e-9 + 1e-6 * std::max(std::abs(analytic[e]), std::abs(numeric))) continue;
      errors << v.name << ", element " << e << " of " << analytic.size() << ": analytic " << analytic[e] << ", numeric " << numeric << '\n';
      break;  // the first of each
    }
  }
  return errors.str();
}

}  // namespace capstan::nn
