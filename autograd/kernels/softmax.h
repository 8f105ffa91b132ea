#pragma once
// Softmax and log-softmax over the rows of a contiguous [rows, n]. T: float, bfloat16 (computed in float), double.
//
// A row of which every element is removed has softmax 0 and log-softmax -inf; no kernel here makes a NaN out of finite or
// -inf scores.

#include <cstdint>

#include "autograd/core/layout.h"
#include "autograd/kernels/backend.h"

namespace capstan::kernels {

/// A mask beside the rows: `keep` (0 removes an element) or `add` (added to the scores; -inf removes), or neither.
template <class T>
struct RowMask {
  const std::uint8_t* keep = nullptr;
  const T* add = nullptr;
  Layout layout;  ///< of the mask, expanded to the shape whose last axis is n; its offset is already in the pointer

  bool present() const { return keep != nullptr || add != nullptr; }
  std::int64_t column_stride() const { return layout.stride(-1); }
  /// Where a row's mask begins.
  std::int64_t row_offset(std::int64_t row) const {
    std::int64_t offset = 0;
    for (int axis = layout.shape().rank() - 2; axis >= 0; --axis) {
      const std::int64_t size = layout.shape()[axis];
      offset += row % size * layout.stride(axis);
      row /= size;
    }
    return offset;
  }
};

/// y = exp(x) / sum(exp(x)) of every row.
template <class T>
struct Softmax {
  using Signature = void(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<Softmax, float, bfloat16, double> softmax;
/// dx = y (dy - sum(dy y)).
template <class T>
struct SoftmaxBackward {
  using Signature = void(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<SoftmaxBackward, float, bfloat16, double> softmax_backward;

/// y = x - log(sum(exp(x))) of every row; -inf where removed.
template <class T>
struct LogSoftmax {
  using Signature = void(const T* x, const RowMask<T>& mask, T* y, std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<LogSoftmax, float, bfloat16, double> log_softmax;
/// dx = dy - exp(y) sum(dy) over the elements that are not removed, 0 where removed.
template <class T>
struct LogSoftmaxBackward {
  using Signature = void(const T* y, const T* dy, T* dx, std::int64_t rows, std::int64_t n);
  static Signature fast, reference;
};
inline constexpr Kernel<LogSoftmaxBackward, float, bfloat16, double> log_softmax_backward;

}  // namespace capstan::kernels
