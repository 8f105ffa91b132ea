#pragma once
// Recommend: answers lines of text with the best next items, for `capstan predict`.
//
// A line is a sequence of item ids, oldest first, or with predict.input = users the id of a user of the data file, whose whole sequence
// counts. Ids are separated by tabs if there are any, else by blanks; a line that the model knows as one id with blanks is that id. They
// may stand in double quotes. An answer is one line:
//     tsv    key <tab> unknown items, joined by commas, or - <tab> item <tab> score <tab> item <tab> score ...
//     jsonl  {"input":"key","unknown":["x"],"items":[{"item":"a","score":1.5}, ...]}    with data.titles
//     {"item":"a","title":"A","score":1.5}
// The key is the user, or the number of the line. Items that the model does not know are left out and named in the answer; a sequence
// without a known item, an empty line too, is answered with no items. So is a user who is not in the data, named among the unknown. Scores
// are logits: comparable within a line only. With predict.input = items a line is an item, answered as recommendation/item_vectors.h says.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/id_map.h"
#include "recipes/tasks/next_item/dataset.h"
#include "recipes/tasks/next_item/options.h"
#include "recipes/tasks/recommendation/item_titles.h"
#include "recipes/tasks/recommendation/item_vectors.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_item {

/// What answers are made of.
struct SequenceScorer {
  /// Of sequences (model ids, oldest first, not empty): [sequences, d].
  std::function<Tensor(std::span<const std::span<const std::int32_t>> sequences)> hidden;
  /// Of all items for hidden states: [n, item_count + 1], contiguous, the caller's to change; entry 0 of a row is padding.
  std::function<Tensor(const Tensor& hidden)> scores;
  recommendation::ItemVector vector;
};

/// A line as it was read.
struct Query {
  std::string key;
  std::vector<std::int32_t> items;
  std::vector<std::string> unknown;
};

class Recommender {
 public:
  /// `users` is needed for predict.input = users.
  Recommender(const PredictOptions& options, const recommendation::TableOptions& table, bool json, const data::IdMap& item_names,
              const Dataset* users);
  /// Only these items are recommended: 1 for each of them, in the order of the names.
  void recommend_only(std::vector<char> items) { allowed_ = std::move(items); }
  /// Answers in JSON show these, in the order of the names.
  void show_titles(std::shared_ptr<const recommendation::ItemTitles> titles) { titles_ = std::move(titles); }

  Query read(std::string_view line, std::int64_t number) const;
  /// A line without its end for each. Scores are held of as many queries at a time as have 16 MiB of them, of one at least.
  std::vector<std::string> answer(std::span<const Query> queries, const SequenceScorer& scorer) const;

 private:
  std::string recommended(const Query& q, std::span<float> scores) const;

  PredictOptions options_;
  recommendation::TableOptions table_;
  std::vector<char> allowed_;  // empty: all
  std::shared_ptr<const recommendation::ItemTitles> titles_ = std::make_shared<recommendation::ItemTitles>();
  bool json_;
  const data::IdMap& item_names_;
  const Dataset* users_;
  std::unordered_map<std::string_view, std::int64_t> user_of_;
};

}  // namespace capstan::next_item
