#pragma once
// Which prediction answers for which object: the bipartite matching of DETR (Carion et al. 2020), image by image. Numbers in, pairs out;
// no tensor, no gradient: a loss takes the pairs as given.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "data/detection/box.h"

namespace capstan::detection {

/// What a pair of prediction q and object t costs: l1 |box_q - box_t|_1 - classification softmax(logits_q)[label_t] - giou GIoU.
struct MatchingCost {
  double classification = 1, l1 = 5, giou = 2;
};

/// The predictions of an image; boxes as (cx, cy, w, h), shares of the image.
struct Predictions {
  std::span<const float> logits;  ///< [queries, classes], the last class being "no object"
  std::span<const float> boxes;   ///< [queries, 4]
  std::int64_t classes = 0;
  std::int64_t queries() const { return std::ssize(boxes) / 4; }
};
/// The objects of an image.
struct Objects {
  std::span<const std::int64_t> labels;  ///< [objects], 0 .. classes - 2
  std::span<const data::Centre> boxes;   ///< [objects]
};

/// [queries, objects], row by row. Throws InternalError for sizes and labels that do not fit.
std::vector<double> matching_costs(const Predictions& predictions, const Objects& objects, const MatchingCost& weights = {});

/// (query, object) in the order of queries, a query for each object, with the smallest sum of costs. Throws DataError if there are more
/// objects than queries, NumericalError if a cost is not finite, naming query and object.
std::vector<std::pair<std::int64_t, std::int64_t>> match(const Predictions& predictions, const Objects& objects,
                                                         const MatchingCost& weights = {});

}  // namespace capstan::detection
