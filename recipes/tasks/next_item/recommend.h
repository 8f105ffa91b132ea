#pragma once
// Recommend: answers lines of text with the best next items, for `capstan predict`.
//
// A line is a sequence of item ids, oldest first, or with predict.input = users the id of a user of the data file, whose whole sequence
// counts. Ids are separated by tabs if there are any, else by blanks; a line that the model knows as one id with blanks is that id. They
// may stand in double quotes. An answer is one line:
//     tsv    key <tab> unknown items, joined by commas, or - <tab> item <tab> score <tab> item <tab> score ...
//     jsonl  {"input":"key","unknown":["x"],"items":[{"item":"a","score":1.5}, ...]}
// The key is the user, or the number of the line. Items that the model does not know are left out and named in the answer; a sequence
// without a known item, an empty line too, is answered with no items. So is a user who is not in the data, named among the unknown. Scores
// are logits: comparable within a line only.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/id_map.h"
#include "recipes/tasks/next_item/dataset.h"
#include "recipes/tasks/next_item/options.h"

namespace capstan::next_item {

/// Scores all items after each of some sequences (model ids, oldest first, not empty): scores[i * (item_count + 1) + item].
using SequenceScorer = std::function<void(std::span<const std::span<const std::int32_t>> sequences, std::span<float> scores)>;

/// A line as it was read.
struct Query {
  std::string key;
  std::vector<std::int32_t> items;
  std::vector<std::string> unknown;
};

class Recommender {
 public:
  /// `users` is needed for predict.input = users.
  Recommender(const PredictOptions& options, bool json, const data::IdMap& item_names, const Dataset* users);

  Query read(std::string_view line, std::int64_t number) const;
  /// A line without its end for each. At most 64 MiB of scores are held at a time.
  std::vector<std::string> answer(std::span<const Query> queries, const SequenceScorer& scorer) const;

 private:
  PredictOptions options_;
  bool json_;
  const data::IdMap& item_names_;
  const Dataset* users_;
  std::unordered_map<std::string_view, std::int64_t> user_of_;
};

}  // namespace capstan::next_item
