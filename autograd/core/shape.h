#pragma once
// Shape: the sizes of a tensor's axes, at most kMaxRank of them, kept in place (no allocation).
// Invariants: sizes are >= 0; their product fits in int64_t (checked at construction).

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace capstan {

inline constexpr int kMaxRank = 8;

class Shape {
 public:
  Shape() = default;  ///< a scalar: rank 0, one element
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const std::int64_t> sizes);

  int rank() const { return rank_; }
  /// Size of an axis; negative axes count from the end. Throws ShapeError if there is no such axis.
  std::int64_t operator[](int axis) const { return sizes_[static_cast<std::size_t>(normalize(axis))]; }
  /// Number of elements.
  std::int64_t numel() const { return numel_; }
  /// 0 <= result < rank for axis in [-rank, rank).
  int normalize(int axis) const;

  const std::int64_t* begin() const { return sizes_.data(); }
  const std::int64_t* end() const { return sizes_.data() + rank_; }
  std::span<const std::int64_t> sizes() const { return {begin(), end()}; }

  /// The same shape with one axis of another size, without it, or with one more before `axis` (0..rank).
  Shape with(int axis, std::int64_t size) const;
  Shape without(int axis) const;
  Shape inserted(int axis, std::int64_t size) const;
  /// The axes [first, last).
  Shape sub(int first, int last) const;

  bool operator==(const Shape& o) const;

 private:
  std::array<std::int64_t, kMaxRank> sizes_{};
  std::int64_t numel_ = 1;
  int rank_ = 0;
};

/// "[2, 3]"
std::string to_text(const Shape& s);

/// The common shape of two operands by NumPy's rule (align right; sizes equal or 1). Throws ShapeError naming `op`.
Shape broadcast(std::string_view op, const Shape& a, const Shape& b);
/// True if `from` expands to `to` by that rule.
bool broadcasts_to(const Shape& from, const Shape& to);

/// a * b, or ShapeError if it does not fit in int64_t.
std::int64_t checked_mul(std::int64_t a, std::int64_t b);

}  // namespace capstan
