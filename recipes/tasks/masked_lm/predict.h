#pragma once
// Predict: what a trained network says about lines of text, for `capstan predict`.
//
// A line is a text, or two with " ||| " (the last one in the line) or else, but for features, a tab between them. Answers, one line each:
//   fill           the line with every [MASK] filled, then for each [MASK]:  <tab> [MASK] <tab> token <tab> probability ... best first
//                  jsonl {"line":1,"text":"...","masks":[[{"token":"paris","probability":0.4}, ...], ...]}
//   next_sentence  next|random <tab> probability that the second text follows the first
//                  jsonl {"line":1,"label":"next","probability":0.93}
//   features       the JSON of extract_features: {"linex_index":0,"features":[{"token":"[CLS]","layers":[{"index":-1,"values":[...]}]}]}
//   vectors        its values with tabs between them, to 6 decimals
//                  jsonl {"line":1,"vector":[...]}
//                  npy, hdf5: as they are, a row for a line
// Special tokens that stand in a line ("[MASK]", "[CLS]", "[SEP]", ...) are themselves, but for features: extract_features knows none. A
// line that begins with [CLS] brings its own: none is added but a [SEP] at the end if there is none, and what stands behind the first [SEP]
// is the second text. Texts that are too long: fill refuses them, the others take tokens off the end (of the longer of two). JSON is UTF-8
// whatever a line holds: what is not becomes U+FFFD.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/text/pretraining.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "nn/run.h"
#include "recipes/tasks/masked_lm/batch.h"
#include "recipes/tasks/masked_lm/network.h"
#include "recipes/tasks/masked_lm/options.h"

namespace capstan::masked_lm {

/// A line as it was read.
struct Query {
  std::int64_t number = 0;  ///< of the line, from 1
  std::string line;
  PredictTask task = PredictTask::fill;
  data::Instance tokens;  ///< positions: those of [MASK]
};

class Predictor {
 public:
  /// Keeps references to network and vocabulary.
  Predictor(const Network& network, const data::Vocabulary& vocabulary, data::TokenizerOptions tokenizer, const PredictOptions& options,
            bool json);

  /// Throws DataError naming the line if it cannot be answered.
  Query read(std::string line, std::int64_t number) const;
  /// A line without its end for each.
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const;

  /// Numbers of a vector; 0 if answers are no vectors.
  std::int64_t row_width() const;
  /// The vectors of the lines: f32 [queries, row_width].
  Tensor rows(std::span<const Query> queries, const nn::Run& run) const;

 private:
  std::string fill(const Query& query, const Tensor& probabilities) const;
  std::string next_sentence(const Query& query, float probability) const;
  std::string features(const Query& query, std::span<const Tensor> layers, std::int64_t first) const;
  std::string vector(const Query& query, std::span<const float> values) const;
  Batch batch_of(std::span<const Query> queries) const;

  const Network& network_;
  const data::Vocabulary& vocabulary_;
  PredictOptions options_;
  bool json_;
  data::Tokenizer tokenizer_;
  std::int64_t length_;
};

}  // namespace capstan::masked_lm
