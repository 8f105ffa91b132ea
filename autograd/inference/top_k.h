#pragma once
// The likeliest of each row of logits, for choosing tokens (nn/generation).

#include <cstdint>
#include <span>

namespace capstan {

/// For each row of logits [rows, n], n = logits.size() / log_sums.size(), its k = values.size() / log_sums.size() largest, falling, equal
/// ones by rising index, and log(sum(exp(row))). NaN is never among them; where fewer are left, values are -infinity and ids -1. Throws
/// ShapeError unless 1 <= k <= n and the sizes fit. A row's numbers do not depend on other rows.
void top_k(std::span<const float> logits, std::span<float> values, std::span<std::int32_t> ids, std::span<float> log_sums);

}  // namespace capstan
