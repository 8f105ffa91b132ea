#include "recipes/tasks/language_modelling/batch.h"

#include <algorithm>
#include <vector>

namespace capstan::language_modelling {

Batch make_batch(std::span<const std::int32_t> text, std::span<const Window> windows, std::span<const std::int64_t> numbers) {
  std::int64_t length = 0;
  bool all = true;
  for (const Window& w : windows) {
    all = all && w.skipped == 0 && (length == 0 || w.length == length);
    length = std::max(length, w.length);
  }
  const Shape shape{static_cast<std::int64_t>(windows.size()), length};
  Batch out{.ids = Tensor(shape, DType::i64), .keys = Tensor({shape.numel()}, DType::i64), .predicted = {}, .labels = {}};
  std::vector<std::int64_t> predicted, labels;
  for (std::size_t r = 0; r < windows.size(); ++r) {
    const Window& w = windows[r];
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t at = static_cast<std::int64_t>(r) * length + t;
      const bool real = t < w.length;
      out.ids.data<std::int64_t>()[at] = real ? text[static_cast<std::size_t>(w.begin + t)] : 0;
      out.keys.data<std::int64_t>()[at] = numbers[r] * length + t;
      if (!real || t < w.skipped) continue;
      predicted.push_back(at);
      labels.push_back(text[static_cast<std::size_t>(w.begin + t + 1)]);
    }
  }
  const Shape count{static_cast<std::int64_t>(labels.size())};
  if (!all) out.predicted = Tensor::from(predicted, count);
  out.labels = Tensor::from(labels, count);
  return out;
}

}  // namespace capstan::language_modelling
