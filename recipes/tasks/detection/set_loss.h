#pragma once
// The loss of a set of predictions (Carion et al. 2020): in each image every object gets the query that matching gives it, all others are
// to say "no object".
//
//     classification   cross-entropy of all queries, those without an object weighted by no_object; over the sum of the weights
//     l1, giou         |box - object|_1 and 1 - GIoU of the matched ones; over the number of objects in the batch; 0 without objects
//
// Every layer that answers is matched and judged for itself. The matching is on the host, image by image and layer by layer: beside a step
// of the network it takes well under a hundredth of the time (a hundred queries and ten objects: a tenth of a millisecond).

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/tasks/detection/batch.h"
#include "recipes/tasks/detection/network.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// The terms of the last layer, then the sums of those of the layers before it.
inline constexpr std::array<std::string_view, 6> kLossTerms{"loss_ce",      "loss_bbox",      "loss_giou",
                                                            "auxiliary_ce", "auxiliary_bbox", "auxiliary_giou"};

/// (query, object) of each layer and image, [layers][images].
using Matches = std::vector<std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>>>;
/// Throws DataError for an image with more objects than queries, NumericalError for answers that are not finite, InternalError if the
/// answers are those of another batch.
Matches matches_of(const Answers& answers, const Batch& batch, const MatchingCost& cost);

/// Sums over the batch as kLossTerms names them, their weights included.
std::array<Tensor, 6> set_loss(const Answers& answers, const Batch& batch, const Matches& matches, const LossOptions& options);
/// What each is divided by.
std::array<double, 6> loss_counts(const Batch& batch, std::int64_t queries, const LossOptions& options);

}  // namespace capstan::detection
