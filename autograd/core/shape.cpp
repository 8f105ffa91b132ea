#include "autograd/core/shape.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan {

std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  require(!__builtin_mul_overflow(a, b, &product), "shape: the number of elements must fit in 64 bits: ", a, " * ", b);
  return product;
}

Shape::Shape(std::span<const std::int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  require(sizes.size() <= kMaxRank, "shape: at most ", kMaxRank, " axes, got ", sizes.size());
  std::int64_t nonzero = 1;  // a zero size must not hide an overflow of the others
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    require(sizes[i] >= 0, "shape: sizes must not be negative: axis ", i, " has ", sizes[i]);
    sizes_[i] = sizes[i];
    if (sizes[i] != 0) nonzero = checked_mul(nonzero, sizes[i]);
    numel_ = sizes[i] == 0 ? 0 : numel_;
  }
  if (numel_ != 0) numel_ = nonzero;
}

int Shape::normalize(int axis) const {
  const int a = axis < 0 ? axis + rank_ : axis;
  require(a >= 0 && a < rank_, "shape: axis ", axis, " of ", *this, ", which has ", rank_, " axes");
  return a;
}

Shape Shape::with(int axis, std::int64_t size) const {
  auto sizes = sizes_;
  sizes[static_cast<std::size_t>(normalize(axis))] = size;
  return Shape(std::span(sizes.data(), static_cast<std::size_t>(rank_)));
}

Shape Shape::without(int axis) const {
  const int a = normalize(axis);
  auto sizes = sizes_;
  std::copy(begin() + a + 1, end(), sizes.begin() + a);
  return Shape(std::span(sizes.data(), static_cast<std::size_t>(rank_ - 1)));
}

Shape Shape::inserted(int axis, std::int64_t size) const {
  const int a = axis < 0 ? axis + rank_ + 1 : axis;
  require(a >= 0 && a <= rank_ && rank_ < kMaxRank, "shape: cannot insert an axis at ", axis, " of ", *this);
  std::array<std::int64_t, kMaxRank> sizes{};
  std::copy(begin(), begin() + a, sizes.begin());
  sizes[static_cast<std::size_t>(a)] = size;
  std::copy(begin() + a, end(), sizes.begin() + a + 1);
  return Shape(std::span(sizes.data(), static_cast<std::size_t>(rank_ + 1)));
}

Shape Shape::sub(int first, int last) const {
  require(0 <= first && first <= last && last <= rank_, "shape: axes ", first, " to ", last, " of ", *this);
  return Shape(std::span(begin() + first, begin() + last));
}

bool Shape::operator==(const Shape& o) const { return std::equal(begin(), end(), o.begin(), o.end()); }

std::string to_text(const Shape& s) {
  std::string out = "[";
  for (int i = 0; i < s.rank(); ++i) out += (i ? ", " : "") + std::to_string(s[i]);
  return out + "]";
}

Shape broadcast(std::string_view op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, kMaxRank> sizes{};
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t da = i <= a.rank() ? a[-i] : 1, db = i <= b.rank() ? b[-i] : 1;
    require(da == db || da == 1 || db == 1, op, ": shapes must broadcast (sizes equal or 1, aligned right): a ", a, ", b ", b, ": axis ",
            -i, " has ", da, " and ", db);
    sizes[static_cast<std::size_t>(rank - i)] = da == 1 ? db : da;
  }
  return Shape(std::span(sizes.data(), static_cast<std::size_t>(rank)));
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int i = 1; i <= from.rank(); ++i)
    if (from[-i] != to[-i] && from[-i] != 1) return false;
  return true;
}

}  // namespace capstan
