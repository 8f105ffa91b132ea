#pragma once
// Layout: how the elements of a tensor lie in its storage — shape, strides and offset, all in elements.
// A view (permute, slice, expand, ...) is another Layout over the same Storage; nothing here touches memory.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "autograd/core/shape.h"

namespace capstan {

class Layout {
 public:
  Layout() : Layout(Shape{}) {}
  explicit Layout(const Shape& shape);  ///< contiguous, row-major, offset 0

  const Shape& shape() const { return shape_; }
  std::int64_t numel() const { return shape_.numel(); }
  std::int64_t offset() const { return offset_; }
  std::int64_t stride(int axis) const { return strides_[static_cast<std::size_t>(shape_.normalize(axis))]; }
  std::span<const std::int64_t> strides() const { return {strides_.data(), static_cast<std::size_t>(shape_.rank())}; }

  /// Row-major without gaps (axes of size 1 may have any stride).
  bool is_contiguous() const;
  /// One past the largest element index reached, 0 for an empty layout.
  std::int64_t extent() const;

  /// Axis i of the result is axis order[i]. `order` must be a permutation.
  Layout permute(std::span<const int> order) const;
  Layout transpose(int a, int b) const;
  /// Elements [start, start + length) of an axis, every `step`-th.
  Layout slice(int axis, std::int64_t start, std::int64_t length, std::int64_t step = 1) const;
  /// Sizes 1 (and missing leading axes) repeated with stride 0.
  Layout expand(const Shape& to) const;
  /// The same elements under another shape, if strides can express it.
  std::optional<Layout> reshape(const Shape& to) const;

 private:
  Shape shape_;
  std::array<std::int64_t, kMaxRank> strides_{};
  std::int64_t offset_ = 0;
};

}  // namespace capstan
