#pragma once
// What the tests of the task share: interactions from lists of items, and the deterministic weights of the hand-checked example.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/interactions.h"

namespace capstan::next_item {

/// Users "u0", "u1", ... with these items, named by their number. All names 1 .. item_count exist, so model ids equal the numbers.
inline data::Interactions interactions(const std::vector<std::vector<std::int32_t>>& sequences, std::int32_t item_count) {
  auto users = std::make_shared<data::IdMap>(), items = std::make_shared<data::IdMap>();
  for (std::int32_t i = 1; i <= item_count; ++i) items->add(std::to_string(i));
  data::Interactions x;
  for (std::size_t u = 0; u < sequences.size(); ++u) {
    x.users.push_back(users->add("u" + std::to_string(u)));
    for (const std::int32_t item : sequences[u]) x.items.push_back(item - 1);
    x.offsets.push_back(static_cast<std::int64_t>(x.items.size()));
  }
  x.user_ids = users;
  x.item_ids = items;
  return x;
}

/// The weights of the worked example: numbers in -0.5 .. 0.5 from a formula in (s, i, j).
inline double det(int s, int i, int j) {
  return ((131 * s + 37 * i * i + 31 * i + 53 * j * j + 17 * j + 7 * (i + 1) * (j + 2) * (s + 3)) % 101 - 50) / 100.0;
}
inline Tensor mat(int s, int rows, int columns) {
  std::vector<double> v;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) v.push_back(det(s, i, j));
  return Tensor::from(v, Shape{rows, columns});
}
inline Tensor vec(int s, int n, double scale = 1, double offset = 0) {
  std::vector<double> v;
  for (int i = 0; i < n; ++i) v.push_back(offset + scale * det(s, i, 0));
  return Tensor::from(v, Shape{n});
}

}  // namespace capstan::next_item
