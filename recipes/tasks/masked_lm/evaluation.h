#pragma once
// Evaluation of both pretraining tasks on held-out instances, and what the frequencies of tokens alone would give.
//
// masked_lm_* are means over masked tokens, next_sentence_* over instances, so they do not depend on how instances are batched;
// perplexity = exp(masked_lm_loss). Dropout is off.

#include <cstdint>
#include <optional>
#include <vector>

#include "data/text/pretraining.h"
#include "nn/run.h"
#include "recipes/engine/metrics/classification.h"
#include "recipes/engine/metrics/metric.h"
#include "recipes/tasks/masked_lm/batch.h"
#include "recipes/tasks/masked_lm/findings.h"
#include "recipes/tasks/masked_lm/network.h"

namespace capstan::masked_lm {

struct Evaluation {
  engine::CrossEntropy masked_loss{"masked_lm_loss", "perplexity"};
  engine::Mean masked_accuracy{"masked_lm_accuracy"};
  engine::CrossEntropy next_loss{"next_sentence_loss"};
  engine::Mean next_accuracy{"next_sentence_accuracy"};
  bool next_sentence = true;  ///< instances are pairs
  std::optional<ShownMasks> shown = {};
  std::vector<engine::Accumulator*> accumulators() {
    std::vector<engine::Accumulator*> all{&masked_loss, &masked_accuracy};
    if (next_sentence) all.insert(all.end(), {&next_loss, &next_accuracy});
    if (shown) all.push_back(&shown->sums());
    return all;
  }
  std::vector<engine::Finding> findings() const { return shown ? shown->findings() : std::vector<engine::Finding>(); }
};

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run);

/// baseline/masked_lm_accuracy: always the most frequent training token; baseline/perplexity: each token with probability (count + 1) /
/// (sum + V); baseline/next_sentence_accuracy: always the more frequent label.
class FrequencyBaselines {
 public:
  explicit FrequencyBaselines(std::vector<std::int64_t> token_counts);
  void add(const data::Instance& instance);
  engine::Metrics metrics(bool next_sentence = true) const;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t most_frequent_;
  double total_;
  engine::Mean accuracy_, loss_, random_;
};

}  // namespace capstan::masked_lm
