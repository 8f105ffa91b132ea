#pragma once
// The update rules of optimisers, each in one place: the plain and the fused loop of optimizer_update.h both call these.
//
// A rule is a struct of the numbers of one step (learning rate, corrections of bias) and a function of one element,
//     rule(p, moments..., g, options),
// which changes the value p and its `moments` state values in place. g is the gradient, already scaled (clipping); `options` are the
// parameter's own: a rule multiplies its learning rate by options.learning_rate_scale. T is float or double. Variants are numbers, not
// branches: loops vectorise, and one loop serves all. Not a number in g must reach p, at once and in every later step.

#include <cmath>
#include <string_view>
#include <variant>

namespace capstan::kernels {

/// What may differ from parameter to parameter in one step.
struct UpdateOptions {
  double weight_decay = 0;
  double learning_rate_scale = 1;  ///< of layer-wise learning rate decay
};

inline constexpr int kMaxMoments = 2;  ///< the largest number of state values of an element

namespace rules {

/// g += weight_decay p;  p -= learning_rate g.
struct Sgd {
  static constexpr std::string_view name = "sgd";
  static constexpr int moments = 0;
  double learning_rate = 0;

  template <class T>
  void operator()(T& p, T g, const UpdateOptions& options) const {
    g += T(options.weight_decay) * p;
    p -= T(learning_rate * options.learning_rate_scale) * g;
  }
};

/// g += weight_decay p;  m = momentum m + g;  p -= learning_rate (gradient_part g + momentum_part m).
struct SgdMomentum {
  static constexpr std::string_view name = "sgd with momentum";
  static constexpr int moments = 1;
  double learning_rate = 0, momentum = 0.9;
  double gradient_part = 0, momentum_part = 1;  ///< Nesterov: 1 and momentum

  template <class T>
  void operator()(T& p, T& m, T g, const UpdateOptions& options) const {
    g += T(options.weight_decay) * p;
    m = T(momentum) * m + g;
    p -= T(learning_rate * options.learning_rate_scale) * (T(gradient_part) * g + T(momentum_part) * m);
  }
};

/// One step of Adam that a row of a table missed because no gradient came.
struct AdamMissedStep {
  double step_size = 0, root_scale = 1;
};

/// g += l2 weight_decay p;  m += (1 - beta1) (g - m);  v += (1 - beta2) (g^2 - v);
/// p -= step_size m / (sqrt(v) root_scale + epsilon) + decay_rate weight_decay p, reading the p from before the step.
struct Adam {
  static constexpr std::string_view name = "adam";
  static constexpr int moments = 2;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, step_size = 0, root_scale = 1;
  double l2 = 1, decay_rate = 0;  ///< 1 and 0, or, decoupled, 0 and the learning rate

  template <class T>
  void operator()(T& p, T& m, T& v, T g, const UpdateOptions& options) const {
    g += T(l2 * options.weight_decay) * p;
    m += T(1 - beta1) * (g - m);
    v += T(1 - beta2) * (g * g - v);
    p -= T(step_size * options.learning_rate_scale) * m / (std::sqrt(v) * T(root_scale) + T(epsilon)) +
         T(decay_rate * options.learning_rate_scale * options.weight_decay) * p;
  }
  /// The same with g = 0 and no decay.
  template <class T>
  void missed(T& p, T& m, T& v, const AdamMissedStep& step, double learning_rate_scale) const {
    m *= T(beta1);
    v *= T(beta2);
    p -= T(step.step_size * learning_rate_scale) * m / (std::sqrt(v) * T(step.root_scale) + T(epsilon));
  }
};

/// g += weight_decay p;  a += g^2;  p -= learning_rate g / (sqrt(a + epsilon_inside) + epsilon_outside).
struct Adagrad {
  static constexpr std::string_view name = "adagrad";
  static constexpr int moments = 1;
  double learning_rate = 0, epsilon_inside = 0, epsilon_outside = 0;

  template <class T>
  T step(T p, T& a, T g, const UpdateOptions& options) const {
    g += T(options.weight_decay) * p;
    a += g * g;
    return T(learning_rate * options.learning_rate_scale) * g / (std::sqrt(a + T(epsilon_inside)) + T(epsilon_outside));
  }
  template <class T>
  void operator()(T& p, T& a, T g, const UpdateOptions& options) const {
    p -= step(p, a, g, options);
  }
};

/// Adagrad's step s goes into a velocity:  m = momentum m - s;  p += m.
struct AdagradMomentum {
  static constexpr std::string_view name = "adagrad with momentum";
  static constexpr int moments = 2;
  Adagrad adagrad;
  double momentum = 0.9;

  template <class T>
  void operator()(T& p, T& a, T& m, T g, const UpdateOptions& options) const {
    m = T(momentum) * m - adagrad.step(p, a, g, options);
    p += m;
  }
};

/// c = beta1 m + (1 - beta1) g;  p -= learning_rate (sign(c) + weight_decay p);  m = beta2 m + (1 - beta2) g, with sign(0) = 0.
struct Lion {
  static constexpr std::string_view name = "lion";
  static constexpr int moments = 1;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.99;

  template <class T>
  void operator()(T& p, T& m, T g, const UpdateOptions& options) const {
    const double rate = learning_rate * options.learning_rate_scale;
    const T c = T(beta1) * m + T(1 - beta1) * g;
    const T sign = c > T(0) ? T(1) : c < T(0) ? T(-1) : c;  // the last arm is reached with 0 and not a number only
    p -= T(rate) * sign + T(rate * options.weight_decay) * p;
    m = T(beta2) * m + T(1 - beta2) * g;
  }
};

/// A moving average of g, which is what is averaged: p += rate (g - p). The parameter's options do not apply.
struct MovingAverage {
  static constexpr std::string_view name = "moving average";
  static constexpr int moments = 0;
  double rate = 0;

  template <class T>
  void operator()(T& p, T g, const UpdateOptions&) const {
    p += T(rate) * (g - p);
  }
};

}  // namespace rules

using UpdateRule =
    std::variant<rules::Sgd, rules::SgdMomentum, rules::Adam, rules::Adagrad, rules::AdagradMomentum, rules::Lion, rules::MovingAverage>;

}  // namespace capstan::kernels
