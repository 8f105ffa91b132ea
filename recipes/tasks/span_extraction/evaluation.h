#pragma once
// Evaluation: the logits of a split's windows, gathered over batches into answers, and their scores. What is held back is the windows of
// questions that are not complete yet.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "data/text/tokenizer.h"
#include "recipes/engine/metrics/metric.h"
#include "recipes/tasks/span_extraction/decode.h"
#include "recipes/tasks/span_extraction/findings.h"
#include "recipes/tasks/span_extraction/predictions.h"
#include "recipes/tasks/span_extraction/questions.h"
#include "recipes/tasks/span_extraction/scorer.h"

namespace capstan::span_extraction {

/// What turns logits into answers; all of it outlives the evaluation.
struct Decoder {
  const data::Vocabulary* vocabulary;
  const data::BasicTokenizer* basic;
  DecodeOptions options;
  Answers operator()(const Windowed& question, std::span<const WindowLogits> logits) const {
    return decode(question, logits, *vocabulary, *basic, options);
  }
};

class Evaluation {
 public:
  /// `questions` outlives this. `keep`: predictions() is wanted. `begins`: where a split is shared out, whether this is the first share,
  /// which answers the questions that have no window.
  Evaluation(const Questions& questions, const Decoder& decoder, bool keep, bool begins = true);

  /// `indices`: the numbers of the windows.
  void add(std::span<const std::int64_t> indices, std::vector<WindowLogits> logits);
  std::vector<engine::Accumulator*> accumulators() { return {&scores_}; }
  std::vector<engine::Finding> findings() const { return shown_.findings(); }
  /// Windows of questions that are not complete in this share, what is shown, and the answers kept.
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
  const Scores& scores() const { return scores_; }
  /// In the order of the questions. Throws InternalError unless all windows have been added.
  Predictions predictions() const;

 private:
  struct Pending {
    std::vector<WindowLogits> logits;
    std::size_t missing = 0;
  };
  void add(std::int64_t question, std::int64_t window, WindowLogits logits);
  void finish(std::int64_t number, std::span<const Span> windows, std::span<const WindowLogits> logits);

  const Questions* questions_;  // never null
  Decoder decoder_;
  bool keep_;
  Scores scores_;
  ShownAnswers shown_;
  std::map<std::int64_t, Pending> pending_;  // by question
  std::map<std::int64_t, Answers> answers_;
};

}  // namespace capstan::span_extraction
