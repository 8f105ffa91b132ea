#pragma once
// Predict: the labels, or the numbers, of lines of text, for `capstan predict`.
//
// A line is a text; where the model was trained on pairs, two with " ||| " (the last one in the line) or else a tab between them. Answers:
//     jsonl  {"label":"good","probabilities":{"bad":0.1,"good":0.9}}                            {"value":3.8} of a regression
//     tsv    the label, then the probability of each class in their order, tabs between         the number
// Long texts are cut as in training. Special tokens in a line, such as [SEP], are text.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/tasks/text_classification/encoded_texts.h"

namespace capstan::text_classification {

/// A line as it was read: one text or pair.
struct Query {
  EncodedTexts tokens;
  std::int64_t line = 0;
};

/// Throws DataError naming the line if it is not what the model reads.
Query read_query(const Encoder& encoder, const std::string& line, std::int64_t number, bool pairs);

/// A line without its end for each row of logits, f32 [B, outputs]. `class_names` of a classification; empty: of a regression.
std::vector<std::string> answers_of(const Tensor& logits, const std::vector<std::string>& class_names, bool json);

}  // namespace capstan::text_classification
