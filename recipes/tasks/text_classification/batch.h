#pragma once
// Batch: texts as tokens, and what is to be learned of them.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/text/token_batch.h"
#include "recipes/tasks/text_classification/dataset.h"

namespace capstan::text_classification {

struct Batch {
  text::TokenBatch tokens;
  Tensor labels;                     ///< i64 [B]; undefined of a regression and without labels
  Tensor numbers;                    ///< f32 [B, 1] of a regression with labels; otherwise undefined
  std::vector<std::int64_t> places;  ///< [B] numbers within the part

  std::int64_t size() const { return tokens.layout.sequences; }
};

/// The texts of a split with these numbers. Padded to the longest of them, unless packed.
Batch make_batch(const Dataset& data, engine::Split split, std::span<const std::int64_t> places, bool packed, std::int32_t pad_id,
                 nn::KeysOfBatch keys = {});

/// Sequences without labels.
Batch unlabelled_batch(std::span<const text::TokenSequence> sequences, bool packed, std::int32_t pad_id, nn::KeysOfBatch keys = {});

/// Full sequences of random tokens with random labels of so many classes, or with numbers if there is one.
Batch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t vocab_size, std::int64_t classes, bool packed,
                   std::uint64_t key);

}  // namespace capstan::text_classification
