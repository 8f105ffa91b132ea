#pragma once
// Which elements dropout keeps: decisions from Philox (autograd/core/rng.h), a row at a time and vectorised. Nothing is stored between
// forward and backward: the decision for a column of a row is a pure function of (key, row, column), whatever range it is asked in, so
// backward, another batch layout and another thread count see the same mask.
//
// One Philox call gives eight 16-bit decisions. Columns are taken in blocks of 64, eight counters a block: the 16-bit field f of
// counter 8 * block + g decides about column 64 * block + 8 * f + g, so each field of the eight counters is a run of columns.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "autograd/core/rng.h"

namespace capstan::kernels {

/// A dropout rate quantised to 2^-16: a 16-bit random number below `threshold` drops the element.
struct DropoutRate {
  std::uint32_t threshold = 0;  ///< 0 ... 65536; 0 keeps everything, 65536 drops everything
  double scale = 1.0;           ///< exactly 1 / (probability to keep); 0 if everything is dropped

  DropoutRate() = default;
  explicit constexpr DropoutRate(double rate)
      : threshold(static_cast<std::uint32_t>(rate * 65536.0 + 0.5)), scale(threshold >= 65536 ? 0.0 : 65536.0 / (65536.0 - threshold)) {}
};

inline constexpr std::int64_t kMaskBlock = 64;

/// The decision for a single element in plain scalar code: the specification of the functions below.
inline bool keep_mask_at(std::uint64_t key, std::uint64_t row, std::int64_t column, DropoutRate rate) {
  const auto block = static_cast<std::uint64_t>(column / kMaskBlock), inside = static_cast<std::uint64_t>(column % kMaskBlock);
  const std::uint64_t field = inside / 8;
  const std::uint32_t word = philox(key, 8 * block + inside % 8, row)[field / 2];
  return (field % 2 == 0 ? word & 0xffffu : word >> 16) >= rate.threshold;
}

namespace detail {

/// keep[j] = 1 where the column is kept, for the columns of kBlocks blocks from `block` on. threshold < 65536.
template <int kBlocks>
inline void decide_blocks(std::uint64_t key, std::uint64_t row, std::uint64_t block, std::uint16_t threshold, std::uint8_t* keep) {
  // Eight lanes of 64 bits hold 32-bit words, which is how a widening multiply wants them. GCC's vector type instead of a loop:
  // it keeps the state of all ten rounds in registers, which doubles the speed; two blocks at once hide the latency of the multiply.
  using Lanes [[gnu::vector_size(64)]] = std::uint64_t;
  const Lanes low = Lanes{} + 0xffffffffu;
  Lanes c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int b = 0; b < kBlocks; ++b) {
    const Lanes counter = Lanes{0, 1, 2, 3, 4, 5, 6, 7} + 8 * (block + static_cast<std::uint64_t>(b));
    c0[b] = counter & low;
    c1[b] = counter >> 32;
    c2[b] = Lanes{} + (row & 0xffffffffu);
    c3[b] = Lanes{} + (row >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {  // the upper halves of c1 and c3 hold rubbish; `& low` keeps it out of the products
    for (int b = 0; b < kBlocks; ++b) {
      const Lanes p0 = (c0[b] & low) * (Lanes{} + 0xD2511F53u), p1 = (c2[b] & low) * (Lanes{} + 0xCD9E8D57u);
      c0[b] = (p1 >> 32) ^ c1[b] ^ (Lanes{} + std::uint64_t{k0});
      c2[b] = (p0 >> 32) ^ c3[b] ^ (Lanes{} + std::uint64_t{k1});
      c1[b] = p1;
      c3[b] = p0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  // A counter's eight fields lie side by side, four in each of two vectors. Their decisions become the even and the odd bytes of one, which
  // are then put in the order of the columns.
  using Fields [[gnu::vector_size(64)]] = std::uint16_t;
  using Bytes [[gnu::vector_size(64)]] = std::uint8_t;
  constexpr auto kPlaces = [] {
    std::array<std::uint8_t, kMaskBlock> places{};
    for (std::size_t f = 0; f < 8; ++f)
      for (std::size_t g = 0; g < 8; ++g) places[8 * f + g] = static_cast<std::uint8_t>(2 * (4 * g + f % 4) + f / 4);
    return places;
  }();
  Bytes places;
  std::memcpy(&places, kPlaces.data(), sizeof places);
  const Fields least = Fields{} + threshold;
  for (int b = 0; b < kBlocks; ++b) {
    const auto first = reinterpret_cast<Fields>((c0[b] & low) | c1[b] << 32), last = reinterpret_cast<Fields>((c2[b] & low) | c3[b] << 32);
    const auto decided =
        reinterpret_cast<Bytes>((reinterpret_cast<Fields>(first >= least) & 1) | (reinterpret_cast<Fields>(last >= least) & 0x100));
    const Bytes in_order = __builtin_shuffle(decided, decided, places);
    std::memcpy(keep + kMaskBlock * b, &in_order, sizeof in_order);
  }
}

}  // namespace detail

/// keep[j] = 1 if column first_column + j of `row` is kept, else 0, for j in [0, n). Fastest when first_column is a multiple of 64.
inline void keep_mask_row(std::uint64_t key, std::uint64_t row, std::int64_t first_column, std::int64_t n, DropoutRate rate,
                          std::uint8_t* keep) {
  if (rate.threshold >= 65536) {
    std::fill_n(keep, n, std::uint8_t{0});
    return;
  }
  const auto threshold = static_cast<std::uint16_t>(rate.threshold);
  for (std::int64_t j = 0; j < n;) {
    const std::int64_t column = first_column + j, inside = column % kMaskBlock;
    const auto block = static_cast<std::uint64_t>(column / kMaskBlock);
    if (inside == 0 && n - j >= 2 * kMaskBlock) {
      detail::decide_blocks<2>(key, row, block, threshold, keep + j);
      j += 2 * kMaskBlock;
      continue;
    }
    alignas(64) std::uint8_t decided[2 * kMaskBlock];
    if (inside + n - j > kMaskBlock) {
      detail::decide_blocks<2>(key, row, block, threshold, decided);
    } else {
      detail::decide_blocks<1>(key, row, block, threshold, decided);
    }
    const std::int64_t count = std::min(n - j, 2 * kMaskBlock - inside);
    std::memcpy(keep + j, decided + inside, static_cast<std::size_t>(count));
    j += count;
  }
}

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

}  // namespace capstan::kernels
