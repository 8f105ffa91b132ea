#include "nn/generation/choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::nn {

void check(const ChoiceOptions& o) {
  require<ArgumentError>(o.temperature > 0, "generation: temperature must be above 0 (top_k 1 is greedy): ", o.temperature);
  require<ArgumentError>(o.repetition_penalty > 0, "generation: repetition_penalty must be above 0: ", o.repetition_penalty);
  require<ArgumentError>(std::isfinite(o.presence_penalty), "generation: presence_penalty must be a number: ", o.presence_penalty);
  require<ArgumentError>(o.top_k >= 0, "generation: top_k must not be negative: ", o.top_k);
  require<ArgumentError>(o.top_p > 0 && o.top_p <= 1, "generation: top_p must be in (0, 1]: ", o.top_p);
}

void apply_temperature(std::span<float> logits, double temperature) {
  if (temperature == 1) return;
  const auto factor = static_cast<float>(1 / temperature);
  for (float& z : logits) z *= factor;
}

void apply_penalties(std::span<float> logits, std::span<const std::int64_t> written, const ChoiceOptions& o) {
  if (o.repetition_penalty == 1 && o.presence_penalty == 0) return;
  const auto penalty = static_cast<float>(o.repetition_penalty), presence = static_cast<float>(o.presence_penalty);
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (std::find(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(i), written[i]) !=
        written.begin() + static_cast<std::ptrdiff_t>(i))
      continue;
    float& z = logits[static_cast<std::size_t>(written[i])];
    z = (z < 0 ? z * penalty : z / penalty) - presence;
  }
}

void block(std::span<float> logits, std::span<const std::int64_t> tokens) {
  for (const std::int64_t t : tokens) logits[static_cast<std::size_t>(t)] = -std::numeric_limits<float>::infinity();
}

void find_candidates(std::span<const float> logits, std::span<const std::int32_t> tokens, double top_p, std::vector<Candidate>& found) {
  found.clear();
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = std::exp(static_cast<double>(logits[i]) - static_cast<double>(logits.front()));
    found.push_back({tokens[i], p});
    total += p;
  }
  double sum = 0;
  std::size_t kept = 0;
  while (kept < found.size() && (kept == 0 || sum < top_p * total)) sum += found[kept++].probability;
  found.resize(kept);
  for (Candidate& c : found) c.probability /= sum;
}

void find_candidates(std::span<const float> logits, std::int64_t top_k, double top_p, std::vector<Candidate>& found) {
  found.clear();
  const double max = static_cast<double>(*std::ranges::max_element(logits));
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    found.push_back({static_cast<std::int64_t>(i), std::exp(static_cast<double>(logits[i]) - max)});
    total += found.back().probability;
  }
  const std::size_t limit = top_k == 0 ? found.size() : std::min(found.size(), static_cast<std::size_t>(top_k));
  if (limit == found.size() && top_p >= 1) {
    for (Candidate& c : found) c.probability /= total;
    return;
  }
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
  };
  const auto sorted = [&](std::size_t count) {
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(), before);
  };
  if (limit < found.size()) {
    sorted(limit);
    total = 0;
    for (std::size_t i = 0; i < limit; ++i) total += found[i].probability;
  }
  // A nucleus is small as a rule: no more is sorted than it needs.
  double sum = 0;
  std::size_t kept = 0;
  for (std::size_t count = limit < found.size() ? limit : std::min<std::size_t>(limit, 64);; count = std::min(limit, 4 * count)) {
    if (limit == found.size()) sorted(count);
    while (kept < count && (kept == 0 || sum < top_p * total)) sum += found[kept++].probability;
    if (kept < count || count == limit) break;
  }
  found.resize(kept);
  for (Candidate& c : found) c.probability /= sum;
}

double uniform_at(std::uint64_t seed, std::int64_t position) {
  return Rng(random_key(seed, "generation", {static_cast<std::uint64_t>(position)})).uniform();
}

std::int64_t draw(std::span<const Candidate> candidates, double uniform) {
  double sum = 0;
  for (const Candidate& c : candidates)
    if ((sum += c.probability) > uniform) return c.token;
  // The sum may end a rounding below 1.
  const auto last = std::ranges::find_if(candidates.rbegin(), candidates.rend(), [](const Candidate& c) { return c.probability > 0; });
  return last->token;
}

double hypothesis_score(double sum, std::int64_t length, double penalty) {
  return penalty == 0 || length <= 1 ? sum : sum / std::pow(static_cast<double>(length), penalty);
}

}  // namespace capstan::nn
