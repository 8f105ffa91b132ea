#include "recipes/engine/distributed/parts.h"

#include "autograd/core/error.h"

namespace capstan::engine {

std::vector<std::size_t> part_offsets(std::string_view call, std::size_t total, std::span<const std::size_t> counts, int ranks) {
  require<InternalError>(counts.size() == static_cast<std::size_t>(ranks), call, ": a part for each rank: ", counts.size(), " parts, ",
                         ranks, " ranks");
  std::vector<std::size_t> offsets{0};
  for (const std::size_t count : counts) offsets.push_back(offsets.back() + count);
  require<InternalError>(offsets.back() == total, call, ": the parts must add up to the whole: ", offsets.back(), ", whole ", total);
  return offsets;
}

void check_root(std::string_view call, int root, int ranks) {
  require<InternalError>(root >= 0 && root < ranks, call, ": root ", root, " is none of ", ranks, " ranks");
}

void check_exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from, int rank, int ranks) {
  const auto count = static_cast<std::size_t>(ranks), self = static_cast<std::size_t>(rank);
  require<InternalError>(to.size() == count && from.size() == count, "exchange: a part for each rank: ", to.size(), " to send, ",
                         from.size(), " to receive, ", ranks, " ranks");
  require<InternalError>(to[self].size() == from[self].size(), "exchange: rank ", rank, " sends itself ", to[self].size(),
                         " bytes and expects ", from[self].size());
}

}  // namespace capstan::engine
