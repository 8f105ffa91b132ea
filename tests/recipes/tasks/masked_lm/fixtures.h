#pragma once
// Instances from lists, among them those of BERT's worked example.

#include <cstdint>
#include <vector>

#include "data/text/pretraining.h"

namespace capstan::masked_lm {

inline data::Instance instance(std::vector<std::int32_t> ids, std::int32_t first_segment, bool random_next,
                               std::vector<std::int32_t> positions, std::vector<std::int32_t> labels) {
  return {std::move(ids), first_segment, random_next, std::move(positions), std::move(labels)};
}

/// The two instances of the worked example.
inline std::vector<data::Instance> worked_instances() {
  return {instance({2, 5, 4, 7, 3, 8, 4, 3}, 5, false, {2, 6}, {6, 9}), instance({2, 10, 3, 4, 12, 13, 14, 15, 16, 3}, 3, true, {3}, {11})};
}

}  // namespace capstan::masked_lm
