#pragma once
// Strided<T>: an operand of a kernel — its first element and how the others lie. StridedLoop: a loop over several such operands.
//
// The offset of a Layout is not read here: `data` already points at the first element (as Tensor::data does). An operand that is to
// be broadcast has been expanded to the common shape before (stride 0).

#include <algorithm>
#include <array>
#include <cstdint>

#include "autograd/core/layout.h"

namespace capstan::kernels {

template <class T>
struct Strided {
  T* data = nullptr;
  Layout layout;
};

/// N layouts over one shape as rows of a common inner axis: axes of size 1 dropped, axes merged where every operand allows it.
template <std::size_t N>
class StridedLoop {
 public:
  using Offsets = std::array<std::int64_t, N>;

  explicit StridedLoop(const std::array<const Layout*, N>& layouts) : numel_(layouts[0]->numel()) {
    const Shape& shape = layouts[0]->shape();
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == 1) continue;
      Axis next{.size = shape[axis], .strides = {}};
      for (std::size_t k = 0; k < N; ++k) next.strides[k] = layouts[k]->stride(axis);
      if (rank_ > 0 && merges(axes_[rank_ - 1], next)) {
        next.size *= axes_[rank_ - 1].size;
        --rank_;
      }
      axes_[rank_++] = next;
    }
    if (rank_ == 0) axes_[rank_++] = Axis{.size = numel_, .strides = {}};
  }

  std::int64_t numel() const { return numel_; }
  std::size_t rank() const { return rank_; }
  std::int64_t size(std::size_t axis) const { return axes_[axis].size; }
  std::int64_t stride(std::size_t axis, std::size_t operand) const { return axes_[axis].strides[operand]; }
  std::int64_t inner_stride(std::size_t operand) const { return axes_[rank_ - 1].strides[operand]; }

  /// Moves an axis to the innermost place but one.
  void move_beside_inner(std::size_t axis) {
    std::rotate(axes_.begin() + static_cast<std::ptrdiff_t>(axis), axes_.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                axes_.begin() + static_cast<std::ptrdiff_t>(rank_) - 1);
  }

  /// Calls f(count, offsets) for the runs along the inner axis that make up elements [first, last) in row-major order.
  template <class F>
  void run(std::int64_t first, std::int64_t last, F&& f) const {
    if (first >= last) return;
    const std::size_t outer = rank_ - 1;
    const std::int64_t width = axes_[outer].size;
    std::array<std::int64_t, kMaxRank> index{};
    Offsets at{};
    std::int64_t rest = first / width, column = first % width;
    for (std::size_t a = outer; a-- > 0;) {
      index[a] = rest % axes_[a].size;
      rest /= axes_[a].size;
      for (std::size_t k = 0; k < N; ++k) at[k] += index[a] * axes_[a].strides[k];
    }
    for (std::int64_t done = first; done < last;) {
      const std::int64_t count = std::min(width - column, last - done);
      Offsets start = at;
      for (std::size_t k = 0; k < N; ++k) start[k] += column * axes_[outer].strides[k];
      f(count, start);
      done += count;
      column = 0;
      for (std::size_t a = outer; a-- > 0;) {
        for (std::size_t k = 0; k < N; ++k) at[k] += axes_[a].strides[k];
        if (++index[a] < axes_[a].size) break;
        for (std::size_t k = 0; k < N; ++k) at[k] -= axes_[a].size * axes_[a].strides[k];
        index[a] = 0;
      }
    }
  }

 private:
  struct Axis {
    std::int64_t size = 1;
    Offsets strides{};
  };
  static bool merges(const Axis& outer, const Axis& inner) {
    for (std::size_t k = 0; k < N; ++k)
      if (outer.strides[k] != inner.strides[k] * inner.size) return false;
    return true;
  }

  std::array<Axis, kMaxRank> axes_{};
  std::size_t rank_ = 0;
  std::int64_t numel_;
};

}  // namespace capstan::kernels
