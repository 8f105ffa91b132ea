#pragma once
// Evaluation of both pretraining tasks on held-out instances, and what the frequencies of tokens alone would give.
//
// masked_lm_* are means over masked tokens, next_sentence_* over instances, so they do not depend on how instances are batched;
// perplexity = exp(masked_lm_loss). Dropout is off.

#include <cstdint>
#include <span>

#include "data/text/pretraining.h"
#include "recipes/bert/model.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::bert {

/// masked_lm_loss, masked_lm_accuracy, perplexity, next_sentence_loss, next_sentence_accuracy. `length`: of padded sequences.
engine::Metrics evaluate_model(const Model& model, std::span<const data::Instance> instances, std::int64_t length, std::int32_t pad_id,
                               std::int64_t batch_size);

/// baseline/masked_lm_accuracy: always the most frequent training token; baseline/perplexity: each token with probability (count + 1) /
/// (sum + V); baseline/next_sentence_accuracy: always the more frequent label.
engine::Metrics frequency_baselines(std::span<const std::int64_t> token_counts, std::span<const data::Instance> instances);

}  // namespace capstan::bert
