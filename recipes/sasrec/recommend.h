#pragma once
// Recommend: answers lines of text with the best next items, for `capstan predict`.
//
// A line is a sequence of item ids, oldest first (separated by tabs if there are any, else by spaces), or with predict.input = users
// the id of a user of the data file, whose whole sequence counts. An answer is one line:
//     tsv    key <tab> unknown items, joined by commas, or - <tab> item <tab> score <tab> item <tab> score ...
//     jsonl  {"input":"key","unknown":["x"],"items":[{"item":"a","score":1.5}, ...]}
// The key is the user, or the number of the line. Items that the model does not know are left out and named in the answer; a sequence
// without a known item is answered with no items. Scores are logits: comparable within a line only.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "data/id_map.h"
#include "recipes/sasrec/dataset.h"
#include "recipes/sasrec/options.h"

namespace capstan::sasrec {

/// Scores all items after each of some sequences (model ids, oldest first, not empty): scores[i * (item_count + 1) + item].
using SequenceScorer = std::function<void(std::span<const std::span<const std::int32_t>> sequences, std::span<float> scores)>;

/// `users` is needed for predict.input = users. Throws DataError naming the line for an empty line or an unknown user, after the answers to
/// those before it (engine/answer_lines.h).
void recommend(const PredictOptions& options, const data::IdMap& item_names, const Dataset* users, std::int64_t batch_size,
               const SequenceScorer& scorer, std::istream& in, std::ostream& out);

}  // namespace capstan::sasrec
