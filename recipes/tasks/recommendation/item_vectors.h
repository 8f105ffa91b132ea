#pragma once
// The vectors of items with their names, for predict.input = items of `capstan predict`.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/id_map.h"

namespace capstan::recommendation {

/// The vector of item 0 .. n - 1: its product with what a network says of a sequence is the item's score.
using ItemVector = std::function<std::vector<float>(std::int64_t item)>;

/// The answer to a line that names an item, without the end of the line:
///     tsv    item <tab> number <tab> number ...                    an unknown item: no numbers
///     jsonl  {"item":"a","vector":[0.5, ...]}
/// A line * is answered by a line for each item, unless an item has that name.
std::string vectors_of(std::string_view line, const data::IdMap& names, const ItemVector& vector, bool json);

}  // namespace capstan::recommendation
