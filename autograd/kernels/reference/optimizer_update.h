#pragma once
// Optimiser updates as plain loops: the specification, and the only f64 path. The rules are written out in kernels/optimizer_update.h.

#include <cmath>
#include <cstdint>
#include <span>

#include "autograd/kernels/optimizer_update.h"

namespace capstan::kernels::reference {

/// Calls f(value, first, second, gradient) for every visited element; absent state and absent gradient rows read as 0.
template <class T, class F>
void for_each_element(const UpdateTensor<T>& t, F&& f) {
  for (std::int64_t i = 0; i < t.count; ++i) {
    const std::int64_t row = t.rows != nullptr ? t.rows[i] : i;
    const std::int64_t from = t.gradient_row != nullptr ? t.gradient_row[i] : i;
    for (std::int64_t j = 0; j < t.width; ++j) {
      const std::int64_t at = row * t.width + j;
      T no_first{}, no_second{};
      f(t.value[at], t.first != nullptr ? t.first[at] : no_first, t.second != nullptr ? t.second[at] : no_second,
        from < 0 ? T{} : t.gradient[from * t.width + j]);
    }
  }
}

template <class T>
void average_update(std::span<const UpdateTensor<T>> tensors, double rate) {
  for (const UpdateTensor<T>& t : tensors)
    for_each_element(t, [&](T& average, T&, T&, T value) { average += static_cast<T>(rate) * (value - average); });
}

template <class T>
void sgd_update(std::span<const UpdateTensor<T>> tensors, const SgdRule& rule) {
  const T scale = static_cast<T>(rule.scale), rate = static_cast<T>(rule.learning_rate), momentum = static_cast<T>(rule.momentum);
  for (const UpdateTensor<T>& t : tensors) {
    const T decay = static_cast<T>(t.weight_decay);
    for_each_element(t, [&](T& p, T& m, T&, T gradient) {
      const T g = scale * gradient + decay * p;
      m = momentum * m + g;
      p -= rate * (rule.nesterov ? g + momentum * m : m);
    });
  }
}

template <class T>
void adam_update(std::span<const UpdateTensor<T>> tensors, const AdamRule& rule) {
  const T scale = static_cast<T>(rule.scale), rate1 = static_cast<T>(1 - rule.beta1), rate2 = static_cast<T>(1 - rule.beta2);
  const T size = static_cast<T>(rule.step_size), root_scale = static_cast<T>(rule.root_scale), epsilon = static_cast<T>(rule.epsilon);
  for (const UpdateTensor<T>& t : tensors) {
    const T l2 = static_cast<T>(rule.l2 ? t.weight_decay : 0), decay = static_cast<T>(rule.l2 ? 0 : rule.decay_rate * t.weight_decay);
    for_each_element(t, [&](T& p, T& m, T& v, T gradient) {
      const T g = scale * gradient + l2 * p;
      m += rate1 * (g - m);
      v += rate2 * (g * g - v);
      p -= size * m / (std::sqrt(v) * root_scale + epsilon) + decay * p;
    });
  }
}

template <class T>
void adagrad_update(std::span<const UpdateTensor<T>> tensors, const AdagradRule& rule) {
  const T scale = static_cast<T>(rule.scale), rate = static_cast<T>(rule.learning_rate), momentum = static_cast<T>(rule.momentum);
  const T epsilon = static_cast<T>(rule.epsilon);
  for (const UpdateTensor<T>& t : tensors) {
    const T decay = static_cast<T>(t.weight_decay);
    for_each_element(t, [&](T& p, T& m, T& a, T gradient) {
      const T g = scale * gradient + decay * p;
      a += g * g;
      m = momentum * m - rate * g / (rule.epsilon_inside ? std::sqrt(a + epsilon) : std::sqrt(a) + epsilon);
      p += m;
    });
  }
}

template <class T>
void adam_catch_up(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const AdamRule& rule) {
  const T beta1 = static_cast<T>(rule.beta1), beta2 = static_cast<T>(rule.beta2), epsilon = static_cast<T>(rule.epsilon);
  for (const AdamMissedRow<T>& row : rows) {
    const T idle1 = static_cast<T>(std::pow(rule.beta1, static_cast<double>(row.idle)));
    const T idle2 = static_cast<T>(std::pow(rule.beta2, static_cast<double>(row.idle)));
    for (std::int64_t j = 0; j < width; ++j) {
      T p = row.value[j], m = row.first[j], v = row.second[j];
      for (const AdamMissedStep& step : row.steps) {
        m *= beta1;
        v *= beta2;
        p -= static_cast<T>(step.step_size) * m / (std::sqrt(v) * static_cast<T>(step.root_scale) + epsilon);
      }
      row.value[j] = p;
      row.first[j] = m * idle1;
      row.second[j] = v * idle2;
    }
  }
}

template <class T>
double sum_of_squares(std::span<const std::span<const T>> tensors) {
  double sum = 0;
  for (const std::span<const T> values : tensors)
    for (const T v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

}  // namespace capstan::kernels::reference
