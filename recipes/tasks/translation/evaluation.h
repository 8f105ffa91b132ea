#pragma once
// Evaluation of translations: what the network says of the reference's tokens, and what it writes itself.
//
// loss, perplexity and accuracy are means over the target's tokens with [EOS], each predicted with the reference before it; without
// smoothing. bleu and chrf are of the detokenised translations, equal to sacreBLEU's (engine/metrics/translation.h).

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "recipes/engine/metrics/classification.h"
#include "recipes/engine/metrics/translation.h"
#include "recipes/tasks/translation/dataset.h"
#include "recipes/tasks/translation/findings.h"
#include "recipes/tasks/translation/network.h"
#include "recipes/tasks/translation/translator.h"

namespace capstan::translation {

struct Evaluation {
  const Dataset::Part* part = nullptr;
  std::shared_ptr<Translator> translator = {};  ///< null: nothing is translated
  bool all = false;                             ///< every text is translated, else the examples alone
  std::int64_t example_count = 0;
  engine::CrossEntropy loss{"loss", "perplexity"};
  engine::Mean accuracy{"accuracy"};
  engine::Bleu bleu;
  engine::ChrF chrf;
  std::vector<std::string> translations = {};            ///< of the texts of the part in their order, where all are translated
  std::map<std::int64_t, std::string> examples_of = {};  ///< the translations of examples, by the numbers of their texts
  AttentionOf attention = {};                            ///< of a model that has it

  std::vector<engine::Accumulator*> accumulators() {
    if (!all) return {&loss, &accuracy};
    return {&loss, &accuracy, &bleu, &chrf};
  }
  /// For the log.
  std::vector<std::string> examples() const;
  std::vector<engine::Finding> findings() const;
  std::vector<std::byte> rest() const;
  void add_rest(std::span<const std::byte> rest);
};

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run);
/// Once all batches have been added: the translations of examples.
void finish(Evaluation& evaluation);

/// copy_source: the source for its translation; most_frequent: always the text that is the most frequent translation of training.
engine::Metrics baselines(const Dataset& dataset, engine::Split split);

}  // namespace capstan::translation
