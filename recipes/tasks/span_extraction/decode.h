#pragma once
// From the logits of a question's windows to its answers: write_predictions of run_squad.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/text/tokenizer.h"
#include "recipes/tasks/span_extraction/document.h"

namespace capstan::span_extraction {

struct DecodeOptions {
  std::int64_t n_best = 20;      ///< answers of a question, and starts and ends looked at in a window
  std::int64_t max_length = 30;  ///< pieces of an answer
  double null_threshold = 0;     ///< the empty answer is given where the null odds exceed this
  bool unanswerable = false;     ///< questions may have no answer (SQuAD 2.0)
};

/// Of all positions of a window as the model read it, those of the padding too, which may take places among the best.
struct WindowLogits {
  std::vector<float> start, end;
};

/// A question with its document, cut into windows: [CLS] question [SEP] pieces of the document [SEP].
struct Windowed {
  const Document& document;
  std::span<const Span> windows;
  std::int64_t question_pieces;
  std::int64_t first() const { return question_pieces + 2; }  ///< the position of a window's first piece
};

struct Answer {
  std::string text;  ///< empty: no answer
  double start_logit = 0, end_logit = 0;
  double probability = 0;             ///< among the answers listed
  std::int64_t begin = -1, end = -1;  ///< where it is in the document, in code points; -1: nowhere
};

struct Answers {
  std::vector<Answer> n_best;  ///< by falling score, of different texts; never empty
  std::size_t chosen = 0;      ///< of n_best
  /// With unanswerable: start + end logit of the empty answer less that of the best other one. kNoOther where there is no other one.
  double null_odds = 0;
  const Answer& answer() const { return n_best[chosen]; }
};
inline constexpr double kNoOther = 1e6;

/// The text of an answer where no window offers any and there is no empty answer, as the original has it.
inline constexpr std::string_view kNothing = "empty";

/// The numbers of the `count` largest, by falling value, then rising number. Throws NumericalError for NaN.
std::vector<std::int64_t> best_indices(std::span<const float> values, std::int64_t count);

/// `logits`: of each window. `basic` cuts words as the tokenizer of the documents does.
Answers decode(const Windowed& question, std::span<const WindowLogits> logits, const data::Vocabulary& vocabulary,
               const data::BasicTokenizer& basic, const DecodeOptions& options);

}  // namespace capstan::span_extraction
