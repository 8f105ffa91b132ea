#pragma once
// Evaluation of a language model on a text, by a sliding window (windows.h).
//
// loss, perplexity and accuracy are means over all tokens but the first. bits_per_byte and word_perplexity do not depend on what a token
// is: the same nats over the bytes of the text, and over its words between blanks with each line end as one (WikiText's <eos>).

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/engine/metrics/classification.h"
#include "recipes/tasks/language_modelling/dataset.h"
#include "recipes/tasks/language_modelling/findings.h"
#include "recipes/tasks/language_modelling/network.h"

namespace capstan::language_modelling {

/// Metrics bits_per_byte and word_perplexity of a text whose tokens have all been added.
class TextLoss : public engine::Accumulator {
 public:
  TextLoss(std::int64_t bytes, std::int64_t words)
      : Accumulator(2), bytes_(static_cast<double>(bytes)), words_(static_cast<double>(words)) {}
  void add(double nats, double tokens) { sums_[0] += nats, sums_[1] += tokens; }
  std::vector<engine::MetricInfo> metrics() const override;
  std::vector<double> values() const override;

 private:
  double bytes_, words_;
};

struct Evaluation {
  const Dataset::Part* part = nullptr;
  engine::CrossEntropy loss{"loss", "perplexity"};
  engine::Mean accuracy{"accuracy"};
  TextLoss text{0, 0};
  std::vector<Continuation> continuations = {};
  const Network* network = nullptr;  ///< for the findings, with the length of a window
  std::int64_t length = 0;

  std::vector<engine::Accumulator*> accumulators() { return {&loss, &accuracy, &text}; }
  /// For the log.
  std::vector<std::string> examples() const;
  std::vector<engine::Finding> findings() const;
};

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run);

/// Losses of the part's tokens but the first. unigram: by how often each token stands in the training text, plus one. bigram: by how often
/// it follows the token before it, backing off to the unigrams (Witten & Bell 1991). Empty: there is no such part, or no training text.
engine::Metrics baselines(const Dataset& dataset, engine::Split split);

}  // namespace capstan::language_modelling
