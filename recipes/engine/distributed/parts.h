#pragma once
// The checks that all kinds of Comm share: what the ranks are to agree on, as far as one of them can see it.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace capstan::engine {

/// Where each rank's part begins, and behind the last one the end. InternalError unless there is a count for each rank and they add up to
/// `total`.
std::vector<std::size_t> part_offsets(std::string_view call, std::size_t total, std::span<const std::size_t> counts, int ranks);
/// InternalError unless `root` is a rank.
void check_root(std::string_view call, int root, int ranks);
/// InternalError unless there is a part for each rank, and this rank's part for itself is as long on both sides.
void check_exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from, int rank, int ranks);

}  // namespace capstan::engine
