#include "recipes/tasks/detection/matching.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "recipes/tasks/detection/assignment.h"

namespace capstan::detection {

std::vector<double> matching_costs(const Predictions& predictions, const Objects& objects, const MatchingCost& weights) {
  const std::int64_t queries = predictions.queries(), classes = predictions.classes, count = std::ssize(objects.labels);
  require<InternalError>(std::ssize(predictions.boxes) == 4 * queries && std::ssize(predictions.logits) == queries * classes &&
                             std::ssize(objects.boxes) == count,
                         "matching: sizes do not fit: ", predictions.logits.size(), " logits of ", classes, " classes, ",
                         predictions.boxes.size(), " / 4 boxes; ", count, " labels, ", objects.boxes.size(), " boxes of objects");
  for (const std::int64_t label : objects.labels)
    require<InternalError>(label >= 0 && label < classes - 1, "matching: the label ", label, " is not below ", classes - 1);
  std::vector<data::Corners> corners;
  for (const data::Centre& b : objects.boxes) corners.push_back(data::corners_of(b));
  std::vector<double> cost, probabilities(static_cast<std::size_t>(classes));
  for (std::int64_t q = 0; q < queries; ++q) {
    const auto logits = predictions.logits.subspan(static_cast<std::size_t>(q * classes), static_cast<std::size_t>(classes));
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (std::size_t c = 0; c < logits.size(); ++c) sum += probabilities[c] = std::exp(static_cast<double>(logits[c]) - largest);
    const float* const at = predictions.boxes.data() + 4 * q;
    const data::Centre box{at[0], at[1], at[2], at[3]};
    const data::Corners own = data::corners_of(box);
    for (std::size_t t = 0; t < corners.size(); ++t) {
      const data::Centre& other = objects.boxes[t];
      const double l1 = std::abs(box.cx - other.cx) + std::abs(box.cy - other.cy) + std::abs(box.width - other.width) +
                        std::abs(box.height - other.height);
      cost.push_back(weights.l1 * l1 - weights.classification * probabilities[static_cast<std::size_t>(objects.labels[t])] / sum -
                     weights.giou * data::generalized_iou(own, corners[t]));
    }
  }
  return cost;
}

std::vector<std::pair<std::int64_t, std::int64_t>> match(const Predictions& predictions, const Objects& objects,
                                                         const MatchingCost& weights) {
  const std::int64_t queries = predictions.queries(), count = std::ssize(objects.labels);
  require<DataError>(count <= queries, "matching: an image with ", count, " objects, but there are ", queries, " queries");
  const std::vector<double> cost = matching_costs(predictions, objects, weights);
  const auto bad = std::ranges::find_if(cost, [](double c) { return !std::isfinite(c); });
  require<NumericalError>(bad == cost.end(), "matching: the cost of query ", count == 0 ? 0 : (bad - cost.begin()) / count, " and object ",
                          count == 0 ? 0 : (bad - cost.begin()) % count, " is not a finite number");
  return assign(cost, queries, count);
}

}  // namespace capstan::detection
