#pragma once
// The updates of optimisers: one pass over values, gradients and state of many tensors at once, by a rule of update_rules.h.
//
// Every element is independent of all others, and is computed by the same instructions wherever the threads end: no result depends on
// their number. reference/optimizer_update.h is the specification; openmp/optimizer_update.cpp computes f32.

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "autograd/core/dtype.h"
#include "autograd/core/error.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/update_rules.h"

namespace capstan::kernels {

/// Which elements of one tensor an update visits, and where their gradient is. A dense tensor is one row of all its elements.
/// T: float, double.
template <class T>
struct UpdateTensor {
  T* value = nullptr;
  std::array<T*, kMaxMoments> moments = {};  ///< as many as the rule has, in its order
  const T* gradient = nullptr;               ///< [rows of the gradient, width]
  std::int64_t count = 0;                    ///< rows visited
  std::int64_t width = 0;
  /// Row-sparse, touched rows only: row i of the gradient belongs to row rows[i] of the value. Rows are distinct. Null: to row i.
  const std::int64_t* rows = nullptr;
  /// Row-sparse, all rows: row i of the value uses row gradient_row[i] of the gradient, zeros if that is -1. Null: see above.
  const std::int32_t* gradient_row = nullptr;
  ParameterOptions options = {};
  bfloat16* shadow = nullptr;  ///< null, or a working copy of the value, which receives the visited elements rounded
};

/// The elements of one row of a table, and the steps of Adam that it missed.
template <class T>
struct AdamMissedRow {
  T* value = nullptr;
  T *first = nullptr, *second = nullptr;              ///< moments
  std::span<const rules::AdamMissedStep> steps = {};  ///< may be empty
  std::int64_t idle = 0;  ///< further missed steps in which only the moments decay: the value has stopped moving
  double learning_rate_scale = 1;
  bfloat16* shadow = nullptr;  ///< of this row; see UpdateTensor
};

/// The kernels of a back end.
template <Backend kBackend, class T>
struct OptimizerUpdate {
  static void update(std::span<const UpdateTensor<T>> tensors, const UpdateRule& rule, double gradient_scale);
  static void adam_catch_up(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const rules::Adam& rule);
  static double sum_of_squares(std::span<const std::span<const T>> tensors);
};

/// f with the kernels that compute on elements of T now: f.template operator()<OptimizerUpdate<...>>().
template <class T, class F>
auto with_optimizer_update(const F& f) {
  if constexpr (std::is_same_v<T, float>)
    if (backend() == Backend::fast) return f.template operator()<OptimizerUpdate<Backend::fast, T>>();
  return f.template operator()<OptimizerUpdate<Backend::reference, T>>();
}

/// Applies a rule to every visited element with g = gradient_scale * gradient.
template <class T, class Rule>
void update(std::span<const UpdateTensor<T>> tensors, const Rule& rule, double gradient_scale = 1) {
  static_assert(Rule::moments <= kMaxMoments);
  for (const UpdateTensor<T>& t : tensors)
    for (int k = 0; k < Rule::moments; ++k)
      require<InternalError>(t.moments[static_cast<std::size_t>(k)] != nullptr || t.count * t.width == 0, Rule::name, ": the rule reads ",
                             Rule::moments, " moments of every tensor: tensor ", &t - tensors.data(), ", moment ", k, " is absent");
  with_optimizer_update<T>([&]<class Kernels>() { Kernels::update(tensors, rule, gradient_scale); });
}

/// Repeats the missed steps of rows of `width` elements.
template <class T>
void adam_catch_up(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const rules::Adam& rule) {
  with_optimizer_update<T>([&]<class Kernels>() { Kernels::adam_catch_up(rows, width, rule); });
}

/// The sum of squares over many tensors; in blocks of fixed size, added in order, so that it does not depend on the number of threads.
template <class T>
double sum_of_squares(std::span<const std::span<const T>> tensors) {
  return with_optimizer_update<T>([&]<class Kernels>() { return Kernels::sum_of_squares(tensors); });
}

}  // namespace capstan::kernels

#include "autograd/kernels/reference/optimizer_update.h"
