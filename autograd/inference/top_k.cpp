#include "autograd/inference/top_k.h"

#include "autograd/core/error.h"
#include "autograd/kernels/decoding.h"

namespace capstan {

void top_k(std::span<const float> logits, std::span<float> values, std::span<std::int32_t> ids, std::span<float> log_sums) {
  const auto rows = std::ssize(log_sums);
  if (rows == 0) return;
  const std::int64_t n = std::ssize(logits) / rows, k = std::ssize(values) / rows;
  require(k >= 1 && k <= n && n * rows == std::ssize(logits) && k * rows == std::ssize(values) && values.size() == ids.size(),
          "top_k: takes k of n numbers from each row: rows ", rows, ", numbers ", logits.size(), ", values ", values.size(), ", ids ",
          ids.size());
  kernels::top_k(logits.data(), rows, n, k, values.data(), ids.data(), log_sums.data());
}

}  // namespace capstan
