#pragma once
// What an evaluation of masked tokens shows beside its metrics: some masks and how they are filled, and how well tokens are found by how
// frequent they are.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/text/pretraining.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::masked_lm {

/// Where what is shown comes from; all of it outlives the evaluation.
struct ShownSource {
  const data::Vocabulary* vocabulary = nullptr;
  std::int64_t size = 0;  ///< instances of the split
  std::function<data::Instance(std::int64_t index)> instance = {};
  /// Probabilities of the tokens at the positions of an instance: f32 [positions, vocabulary].
  std::function<Tensor(const data::Instance& instance)> probabilities = {};
  std::function<const std::vector<std::int64_t>&()> token_counts = {};  ///< of the training text
};

class ShownMasks {
 public:
  explicit ShownMasks(ShownSource from) : from_(std::move(from)), by_token_(from_.vocabulary->size(), 2) {}
  /// A masked token.
  void add(std::int64_t token, bool right);
  engine::Accumulator& sums() { return by_token_; }
  std::vector<engine::Finding> findings() const;

 private:
  engine::Finding filled() const;
  engine::Finding by_frequency() const;

  ShownSource from_;
  engine::GroupSums by_token_;  // cases, right ones
};

}  // namespace capstan::masked_lm
