#pragma once
// The updates of optimisers: one pass over values, gradients and state of many tensors at once, by a rule of update_rules.h.
//
// Every element is independent of all others, and is computed by the same instructions wherever the threads end: no result depends on
// their number. f32 has a fused form, f64 the plain one.

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "autograd/core/dtype.h"
#include "autograd/core/error.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/update_rules.h"

namespace capstan::kernels {

inline constexpr std::int32_t kNoGradient = -1, kAtRest = -2;  ///< see UpdateTensor::gradient_row
/// The parts of a dense tensor that is cut at multiples of so many elements are updated to the bits of the whole.
inline constexpr std::int64_t kUpdateGrain = 64;
/// Rows of up to so many elements are too short for a loop of their own: of those that an index names, several are updated together, and
/// the bits depend on which. Longer rows are updated alike whatever other rows are there.
inline constexpr std::int64_t kNarrowRow = 16;

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
  /// Row-sparse, all rows: row i of the value uses row gradient_row[i] of the gradient, zeros if that is negative: kNoGradient, or kAtRest
  /// where the moments are zeros, too, and the rule keeps them so, which are then neither read nor written. Null: see above.
  const std::int32_t* gradient_row = nullptr;
  UpdateOptions options = {};
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

// The kernels; the functions below call them.
template <class T>
struct ApplyRule {
  static constexpr profile::Kind kind = profile::Kind::update;
  /// Gradients are read, values and moments read and written; of rows, those that are visited.
  static profile::Work work(std::span<const UpdateTensor<T>> tensors, const UpdateRule&, double) {
    profile::Work all;
    for (const UpdateTensor<T>& t : tensors) {
      double of_element = 3 * sizeof(T) + (t.shadow != nullptr ? sizeof(bfloat16) : 0);
      for (const T* moment : t.moments) of_element += moment != nullptr ? 2 * sizeof(T) : 0;
      all.bytes += of_element * static_cast<double>(t.count * t.width);
    }
    return all;
  }
  /// Whether every value that was written is finite.
  using Signature = bool(std::span<const UpdateTensor<T>> tensors, const UpdateRule& rule, double gradient_scale);
  static Signature fast, reference;
};
template <class T>
struct RepeatMissedSteps {
  using Signature = void(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const rules::Adam& rule);
  static Signature fast, reference;
};
template <class T>
struct SumOfSquares {
  static profile::Work work(std::span<const std::span<const T>> tensors) {
    profile::Work all;
    for (const std::span<const T> t : tensors) all.bytes += static_cast<double>(t.size_bytes());
    return all;
  }
  using Signature = double(std::span<const std::span<const T>> tensors);
  static Signature fast, reference;
};

/// Applies a rule to every visited element with g = gradient_scale * gradient. False if a value that it has written is not finite.
template <class T, class Rule>
bool update(std::span<const UpdateTensor<T>> tensors, const Rule& rule, double gradient_scale = 1) {
  static_assert(Rule::moments <= kMaxMoments);
  for (const UpdateTensor<T>& t : tensors)
    for (int k = 0; k < Rule::moments; ++k)
      require<InternalError>(t.moments[static_cast<std::size_t>(k)] != nullptr || t.count * t.width == 0, Rule::name, ": the rule reads ",
                             Rule::moments, " moments of every tensor: tensor ", &t - tensors.data(), ", moment ", k, " is absent");
  return KernelFor<T, ApplyRule<T>>{}(tensors, rule, gradient_scale);
}

/// Repeats the missed steps of rows of `width` elements.
template <class T>
void adam_catch_up(std::span<const AdamMissedRow<T>> rows, std::int64_t width, const rules::Adam& rule) {
  KernelFor<T, RepeatMissedSteps<T>>{}(rows, width, rule);
}

/// The sum of squares over many tensors; in blocks of fixed size, added in order, so that it does not depend on the number of threads.
template <class T>
double sum_of_squares(std::span<const std::span<const T>> tensors) {
  return KernelFor<T, SumOfSquares<T>>{}(tensors);
}

}  // namespace capstan::kernels
