#pragma once
// Interactions as text for tests.

#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/interactions.h"

namespace capstan::data {

/// "user: item item ..." for each sequence, in the names of the file.
inline std::vector<std::string> shown(const Interactions& x) {
  std::vector<std::string> all;
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    std::string& line = all.emplace_back((*x.user_ids)[x.users[static_cast<std::size_t>(s)]]);
    line.push_back(':');
    for (const auto i : x.sequence(s)) line.append(1, ' ').append((*x.item_ids)[i]);
  }
  return all;
}

}  // namespace capstan::data
