#pragma once
// The updates of optimisers: one pass over values, gradients and state of many tensors at once.
// Types: f32 (fast) and f64 (reference). Every element is independent of all others, so threads cannot change a result.
//
// Below g = scale * gradient, p the value; all numbers that change from step to step (learning rate, bias correction) are in the rule.

#include <cstdint>
#include <span>

namespace capstan::kernels {

/// Which elements of one tensor an update visits, and where their gradient is. A dense tensor is one row of all its elements.
template <class T>
struct UpdateTensor {
  T* value = nullptr;
  T* first = nullptr;           ///< state: first moment or momentum; null if the rule has none
  T* second = nullptr;          ///< state: second moment or accumulator; null if the rule has none
  const T* gradient = nullptr;  ///< [rows of the gradient, width]
  std::int64_t count = 0;       ///< rows visited
  std::int64_t width = 0;
  /// Row-sparse, touched rows only: row i of the gradient belongs to row rows[i] of the value. Null: to row i.
  const std::int64_t* rows = nullptr;
  /// Row-sparse, all rows: row i of the value uses row gradient_row[i] of the gradient, zeros if that is -1. Null: see above.
  const std::int32_t* gradient_row = nullptr;
  double weight_decay = 0.0;
};

/// g += weight_decay * p;  m = momentum * m + g;  p -= learning_rate * (nesterov ? g + momentum * m : m).  Without momentum m = g, no
/// state.
struct SgdRule {
  double scale = 1, learning_rate = 0, momentum = 0;
  bool nesterov = false;
};

/// l2: g += weight_decay * p.  m += (1 - beta1) (g - m);  v += (1 - beta2) (g^2 - v);
/// p -= step_size * m / (sqrt(v) * root_scale + epsilon) + (l2 ? 0 : decay_rate * weight_decay * p), reading the p from before the step.
struct AdamRule {
  double scale = 1, beta1 = 0.9, beta2 = 0.999, step_size = 0, root_scale = 1, epsilon = 1e-8, decay_rate = 0;
  bool l2 = false;
};

/// g += weight_decay * p;  a += g^2;  s = learning_rate * g / (inside ? sqrt(a + epsilon) : sqrt(a) + epsilon);
/// without momentum p -= s, else m = momentum * m - s;  p += m.
struct AdagradRule {
  double scale = 1, learning_rate = 0, momentum = 0, epsilon = 1e-6;
  bool epsilon_inside = true;
};

/// One step that a row of a table missed because no gradient came (AdamRule with g = 0, no decay):
/// m *= beta1;  v *= beta2;  p -= step_size * m / (sqrt(v) * root_scale + epsilon).
struct AdamMissedStep {
  double step_size = 0, root_scale = 1;
};

/// A moving average: value += rate * (gradient - value), where `gradient` points at what is averaged. Dense tensors.
void average_update(std::span<const UpdateTensor<float>> tensors, double rate);
void average_update(std::span<const UpdateTensor<double>> tensors, double rate);

void sgd_update(std::span<const UpdateTensor<float>> tensors, const SgdRule& rule);
void sgd_update(std::span<const UpdateTensor<double>> tensors, const SgdRule& rule);
void adam_update(std::span<const UpdateTensor<float>> tensors, const AdamRule& rule);
void adam_update(std::span<const UpdateTensor<double>> tensors, const AdamRule& rule);
void adagrad_update(std::span<const UpdateTensor<float>> tensors, const AdagradRule& rule);
void adagrad_update(std::span<const UpdateTensor<double>> tensors, const AdagradRule& rule);

/// Repeats missed steps for the elements of one row.
template <class T>
struct AdamMissedRow {
  T* value = nullptr;
  T* first = nullptr;
  T* second = nullptr;
  std::span<const AdamMissedStep> steps;  ///< may be empty
  std::int64_t idle = 0;                  ///< further missed steps in which only m and v decay: the value has stopped moving
};
void adam_catch_up(std::span<const AdamMissedRow<float>> rows, std::int64_t width, const AdamRule& rule);
void adam_catch_up(std::span<const AdamMissedRow<double>> rows, std::int64_t width, const AdamRule& rule);

/// The sum of squares over many tensors; in blocks of fixed size, added in order, so that it does not depend on the number of threads.
double sum_of_squares(std::span<const std::span<const float>> tensors);
double sum_of_squares(std::span<const std::span<const double>> tensors);

}  // namespace capstan::kernels
