#pragma once
// Predict: what a trained BERT says about lines of text, for `capstan predict`.
//
// A line is a text, or two with " ||| " (the last one in the line) or else, but for features, a tab between them. Answers, one line each:
//   fill           the line with every [MASK] filled, then for each [MASK]:  <tab> [MASK] <tab> token <tab> probability ... best first
//                  jsonl {"line":1,"text":"...","masks":[[{"token":"paris","probability":0.4}, ...], ...]}
//   next_sentence  next|random <tab> probability that the second text follows the first
//                  jsonl {"line":1,"label":"next","probability":0.93}
//   features       the JSON of extract_features: {"linex_index":0,"features":[{"token":"[CLS]","layers":[{"index":-1,"values":[...]}]}]}
// Texts that are too long: fill refuses them, the others take tokens off the end (of the longer of two). engine/answer_lines.h
// says when answers appear. JSON is UTF-8 whatever a line holds: what is not becomes U+FFFD.

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/tokenizer.h"
#include "recipes/bert/model.h"
#include "recipes/bert/options.h"

namespace capstan::bert {

class Predictor {
 public:
  /// Keeps references to model and vocabulary.
  Predictor(const Model& model, const data::Vocabulary& vocabulary, data::TokenizerOptions tokenizer, const PredictOptions& options);

  /// Throws DataError naming the line that cannot be answered, after the answers to those before it.
  void run(std::istream& in, std::ostream& out) const;

 private:
  struct Query {
    std::int64_t number = 0;  // of the line, from 1
    std::string line;
    PredictTask task = PredictTask::fill;
    data::Instance tokens;  // positions: those of [MASK]
  };
  Query parse(std::string line, std::int64_t number) const;
  void answer(std::span<const Query> queries, std::ostream& out) const;
  std::string fill(const Query& query, const Tensor& probabilities) const;
  std::string features(const Query& query, std::span<const Tensor> layers, std::int64_t first) const;

  const Model& model_;
  const data::Vocabulary& vocabulary_;
  PredictOptions options_;
  data::Tokenizer tokenizer_;
  std::int64_t length_;
};

}  // namespace capstan::bert
