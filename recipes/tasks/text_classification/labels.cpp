#include "recipes/tasks/text_classification/labels.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "recipes/engine/config/value.h"
#include "recipes/tasks/text_classification/options.h"

namespace capstan::text_classification {
namespace {

constexpr std::string_view kCounts = "class_counts", kMean = "number_mean";  // artifacts of a checkpoint
constexpr std::size_t kListed = 12;

std::optional<std::int64_t> whole(const std::string& text) {
  try {
    return engine::parse_integer(text);
  } catch (const ConfigError&) {
    return std::nullopt;
  }
}

}  // namespace

Labels::Labels(std::vector<std::string> names, const std::vector<std::string>& renames) : names_(std::move(names)) {
  for (std::size_t c = 0; c < names_.size(); ++c)
    require<ConfigError>(numbers_.emplace(names_[c], c).second, "data.labels: '", names_[c], "' comes twice");
  for (const std::string& rename : renames) renames_.insert(named_pair(rename, "rename_labels", "old=new"));
}

std::string Labels::renamed(std::string_view label) const {
  const auto found = renames_.find(label);
  return found == renames_.end() ? std::string(label) : found->second;
}

std::int64_t Labels::find(std::string_view label) const {
  const auto found = numbers_.find(renamed(label));
  return found == numbers_.end() ? -1 : found->second;
}

std::int64_t Labels::add(std::string_view label) {
  const auto [at, is_new] = numbers_.emplace(renamed(label), static_cast<std::int64_t>(names_.size()));
  if (is_new) names_.push_back(at->first);
  return at->second;
}

std::vector<std::int64_t> Labels::sort() {
  const bool numbers = std::ranges::all_of(names_, [](const std::string& n) { return whole(n).has_value(); });
  std::vector<std::size_t> order(names_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return numbers ? std::pair(*whole(names_[a]), names_[a]) < std::pair(*whole(names_[b]), names_[b]) : names_[a] < names_[b];
  });
  std::vector<std::string> sorted;
  std::vector<std::int64_t> number(names_.size());
  for (const std::size_t old : order) {
    number[old] = static_cast<std::int64_t>(sorted.size());
    numbers_[names_[old]] = number[old];
    sorted.push_back(names_[old]);
  }
  names_ = std::move(sorted);
  return number;
}

std::string Labels::suggestion(std::string_view label) const { return capstan::suggestion(label, names_); }

void LabelCounts::store(engine::NamedTensors& artifacts) const {
  artifacts.insert_or_assign(std::string(kCounts), Tensor::from(counts, {static_cast<std::int64_t>(counts.size())}));
  artifacts.insert_or_assign(std::string(kMean), Tensor::full({1}, mean, DType::f64));
}

LabelCounts LabelCounts::of(const engine::NamedTensors& artifacts) {
  LabelCounts out;
  if (const auto found = artifacts.find(kCounts); found != artifacts.end())
    for (const double c : found->second.to_vector()) out.counts.push_back(static_cast<std::int64_t>(c));
  if (const auto found = artifacts.find(kMean); found != artifacts.end()) out.mean = found->second.to_vector().at(0);
  return out;
}

std::vector<float> class_weights(const std::vector<std::string>& wanted, const Labels& labels, const std::vector<std::int64_t>& counts) {
  if (wanted.empty()) return {};
  const std::vector<std::string>& names = labels.names();
  std::vector<float> weights(names.size(), 1);
  if (wanted == std::vector<std::string>{"balanced"}) {
    const auto texts = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
    for (std::size_t c = 0; c < names.size(); ++c) {
      require<ConfigError>(counts.at(c) > 0, "data.class_weights: no training text has the label '", names[c],
                           "', so balanced gives it no weight: name the weights, as label=weight");
      weights[c] = static_cast<float>(texts / (static_cast<double>(names.size()) * static_cast<double>(counts[c])));
    }
    return weights;
  }
  for (const std::string& text : wanted) {
    const auto [label, weight] = named_pair(text, "class_weights", "balanced, or label=weight");
    const std::int64_t c = labels.find(label);
    require<ConfigError>(c >= 0, "data.class_weights: '", label, "' is none of the ", names.size(), " labels: ", listed(names),
                         labels.suggestion(label));
    const double value = engine::named_by("data.class_weights: " + label, [&w = weight] { return engine::parse_number(w); });
    require<ConfigError>(value > 0, "data.class_weights: the weight of '", label, "' must be above 0, got ", weight);
    weights[static_cast<std::size_t>(c)] = static_cast<float>(value);
  }
  return weights;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListed); ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kListed ? join_text(text, ", ... (", names.size(), ")") : text;
}

}  // namespace capstan::text_classification
