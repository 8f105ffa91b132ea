#pragma once
// Metrics of translations over a corpus, equal to sacreBLEU 2: BLEU (Papineni et al. 2002) with its tokeniser 13a, and chrF2 (Popovic
// 2015). Signatures: BLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp, chrF2 nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no.
//
// Both are of whole texts as a reader would see them, one reference a text; a corpus is the sum of its texts' counts, so parts merge.

#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

/// The words and marks that BLEU counts, mteval-v13a's: marks apart, but for points and commas between digits.
std::vector<std::string> bleu_tokens(std::string_view text);

/// 0 .. 100. The geometric mean of the precisions of 1 to 4 words, each word counted at most as often as in the reference, times
/// min(1, exp(1 - reference length / length)). The k-th precision without a match counts as 1 / (2^k its n-grams).
class Bleu : public Accumulator {
 public:
  explicit Bleu(std::string name = "bleu") : Accumulator(11), name_(std::move(name)) {}
  void add(std::string_view hypothesis, std::string_view reference);
  double value() const;  ///< NaN without texts
  std::vector<MetricInfo> metrics() const override { return {{name_, Goal::maximize}}; }
  std::vector<double> values() const override { return {value()}; }

 private:
  std::string name_;
};

/// 0 .. 100. F-score, recall weighing twice, of the precisions and recalls of 1 to 6 characters without white space, averaged over the
/// lengths that both sides have.
class ChrF : public Accumulator {
 public:
  explicit ChrF(std::string name = "chrf") : Accumulator(19), name_(std::move(name)) {}
  void add(std::string_view hypothesis, std::string_view reference);
  double value() const;  ///< NaN without texts
  std::vector<MetricInfo> metrics() const override { return {{name_, Goal::maximize}}; }
  std::vector<double> values() const override { return {value()}; }

 private:
  std::string name_;
};

}  // namespace capstan::engine
