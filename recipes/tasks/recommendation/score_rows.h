#pragma once
// How many rows of scores over a catalogue are held at a time: 64 MiB of f32, at least one row.

#include <algorithm>
#include <cstdint>

namespace capstan::recommendation {

inline std::int64_t score_rows(std::int64_t items) { return std::max<std::int64_t>(1, (std::int64_t{1} << 24) / items); }

}  // namespace capstan::recommendation
