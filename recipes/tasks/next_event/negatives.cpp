#include "recipes/tasks/next_event/negatives.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/rng.h"

namespace capstan::next_event {

Negatives::Negatives(std::span<const std::int64_t> support, const NegativeOptions& options, double logq, std::uint64_t seed)
    : options_(options), sampler_(data::DiscreteSampler::by_support(support, options.alpha)), seed_(seed) {
  if (logq == 0) return;
  for (const std::int64_t count : support) {
    const double log_support = logq * std::log(static_cast<double>(std::max<std::int64_t>(count, 1)));
    in_batch_.push_back(static_cast<float>(log_support));
    drawn_.push_back(static_cast<float>(options.alpha * log_support));
  }
}

Negatives::Candidates Negatives::candidates(std::span<const std::int32_t> targets, std::int64_t epoch, std::int64_t step) const {
  const auto batch = static_cast<std::int64_t>(targets.size()), all = batch + options_.count;
  Candidates out{Tensor(Shape{all}, DType::i64), in_batch_.empty() ? Tensor{} : Tensor(Shape{all}, DType::f32)};
  std::int64_t* const items = out.items.data<std::int64_t>();
  std::ranges::copy(targets, items);
  Rng rng(random_key(seed_, "gru4rec negatives", {static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(step)}));
  for (std::int64_t j = batch; j < all; ++j) items[j] = sampler_(rng);
  if (!in_batch_.empty()) {
    float* const correction = out.correction.data<float>();
    for (std::int64_t j = 0; j < all; ++j) correction[j] = (j < batch ? in_batch_ : drawn_)[static_cast<std::size_t>(items[j])];
  }
  return out;
}

}  // namespace capstan::next_event
