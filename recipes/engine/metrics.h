#pragma once
// Metrics: ranks under a stated rule for ties, and accumulators over cases that merge.
//
// Every accumulator keeps (sum, count) or integer counts, never a mean, so merging the parts of several threads or processes gives
// the metric of all cases. A NaN score is a NumericalError: it would otherwise rank first or last by accident of comparison.
// What a rank is taken among (all items, 100 drawn ones) is the recipe's business and belongs into the metric's name.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

struct Metric {
  std::string name;  ///< "ndcg@10", "full/ndcg@10"
  double value = 0;
};
/// In the order of reporting; names are unique.
using Metrics = std::vector<Metric>;

}  // namespace capstan::engine
