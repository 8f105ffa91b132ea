#pragma once
// The official scorer of SQuAD (evaluate-v2.0.py): exact matches and token F1 of answers, and the threshold on the score of "no answer"
// that would have been best.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/metric.h"

namespace capstan::span_extraction {

/// Lower case, without ASCII punctuation, without the words a, an, the, with single blanks: in this order, by Python's rules.
std::string normalized(std::string_view answer);

/// How good an answer is, 0 .. 1.
struct AnswerScore {
  double exact = 0, f1 = 0;
};
/// Against one given answer; an empty normal form agrees with an empty one alone.
AnswerScore score(std::string_view given, std::string_view predicted);
/// The best against any given answer whose normal form is not empty; if there is none, the right answer is the empty one.
AnswerScore best_score(std::span<const std::string> given, std::string_view predicted);

/// Sums of a split, question by question. Metrics, in hundredths where the scorer has them so:
///   exact, f1                      means over the questions answered
///   HasAns_exact ... NoAns_f1      the same over those that have an answer, and over those that have none (0 for an unanswered one)
///   best_exact, best_exact_thresh  with "" wherever the null odds exceed the best threshold, and that one; likewise best_f1
/// As evaluate-v2.0.py, whose own threshold of 1 changes nothing in predictions made with one of at most 1.
class Scores : public engine::Accumulator {
 public:
  struct Options {
    bool by_kind = false;         ///< report HasAns_* and NoAns_*
    bool best_threshold = false;  ///< report best_*
  };
  /// `has_answer`: of each question.
  Scores(std::vector<bool> has_answer, Options options);
  void add(std::int64_t question, AnswerScore score, double null_odds, bool empty);
  std::int64_t answered() const;
  std::vector<engine::MetricInfo> metrics() const override;
  std::vector<double> values() const override;

 private:
  struct Best {
    double score = 0, threshold = 0;
  };
  double of(std::int64_t question, std::size_t field) const;
  double mean(std::size_t field) const;
  double mean(std::size_t field, bool has_answer) const;
  Best best(std::size_t field) const;

  std::vector<bool> has_answer_;
  Options options_;
};

}  // namespace capstan::span_extraction
