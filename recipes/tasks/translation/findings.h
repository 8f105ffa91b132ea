#pragma once
// What an evaluation of translations shows beside its metrics: translations beside their references, the worst and the best of them where
// all texts are translated, and what a model with attention looks at while it writes.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "recipes/engine/report/finding.h"
#include "recipes/tasks/translation/dataset.h"

namespace capstan::translation {

/// Weights of the source's pieces for each piece of a translation.
using AttentionOf = std::function<engine::FindingMatrix(std::int64_t number)>;

/// `translated`: texts by their numbers in the part, all of them or some. `attention` may be missing.
std::vector<engine::Finding> findings_of(const Dataset::Part& part, const std::map<std::int64_t, std::string>& translated,
                                         const AttentionOf& attention);

}  // namespace capstan::translation
