#pragma once
// Dropout: which elements are kept, and y = keep * x / P(keep). Nothing is stored; backward asks for the same mask again.

#include <algorithm>
#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/kernels/openmp/philox_mask.h"

namespace capstan::kernels {

/// The elements of a contiguous tensor as groups of `group_size` consecutive ones. Element e of the group with id i is kept or dropped
/// by (key, i, e) alone, whatever else is in the tensor.
struct DropoutMask {
  std::uint64_t key = 0;
  DropoutRate rate = {};
  const std::int64_t* ids = nullptr;  ///< one a group; null: one group of id 0
  std::int64_t group_size = 1;

  bool drops() const { return rate.threshold != 0; }
  /// True if an element is kept; it is then multiplied by rate.scale.
  bool keeps(std::int64_t element) const { return keep_mask_at(key, id(element / group_size), element % group_size, rate); }
  /// keep[j] = 1 if element first + j is kept, else 0, for j in [0, n).
  void decide(std::int64_t first, std::int64_t n, std::uint8_t* keep) const {
    for (std::int64_t j = 0; j < n;) {
      const std::int64_t group = (first + j) / group_size, inside = (first + j) % group_size;
      const std::int64_t count = std::min(n - j, group_size - inside);
      keep_mask_row(key, id(group), inside, count, rate, keep + j);
      j += count;
    }
  }

  /// The id of a group.
  std::uint64_t id(std::int64_t group) const { return ids == nullptr ? 0 : static_cast<std::uint64_t>(ids[group]); }
};

/// y = x / P(keep) where kept, else 0. T: float, bfloat16, double. In place is allowed.
template <class T>
void dropout(const T* x, const DropoutMask& mask, T* y, std::int64_t n);

}  // namespace capstan::kernels
