#include "nn/parameter_store.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/nearest_name.h"
#include "autograd/core/rng.h"

namespace capstan::nn {

Scope ParameterStore::root() { return Scope(this, "", Scope::kBehindLayers); }

const Parameter& ParameterStore::find(std::string_view name) const {
  const auto it = index_.find(std::string(name));
  if (it != index_.end()) return parameters_[it->second];
  std::vector<std::string> known;
  for (const Parameter& p : parameters_) known.push_back(p.name());
  throw ConfigError(
      join_text("parameters: no parameter of this name: ", name, suggestion(name, known), " (", known.size(), " parameters)"));
}

std::int64_t ParameterStore::numel() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.value().numel();
  return n;
}

std::vector<Gradient> ParameterStore::gradients(const Gradients& of) const {
  std::vector<Gradient> out;
  out.reserve(parameters_.size());
  for (const Parameter& p : parameters_) out.push_back(p.trainable() ? of.of(p.value()).to(p.dtype()) : Gradient{});
  return out;
}

std::vector<std::size_t> ParameterStore::below(std::string_view prefix) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string_view name = parameters_[i].name();
    if (prefix.empty() || (name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/'))) found.push_back(i);
  }
  require<ConfigError>(!found.empty(), "parameters: no parameter has this path: ", prefix, " (", parameters_.size(),
                       " parameters, such as ", parameters_.empty() ? "none" : parameters_.front().name(), ")");
  return found;
}

std::int64_t ParameterStore::set_trainable(std::string_view prefix, bool trainable) const {
  std::int64_t count = 0;
  for (const std::size_t i : below(prefix)) {
    if (trainable && !made_trainable_[i]) continue;
    parameters_[i].set_trainable(trainable);
    ++count;
  }
  return count;
}

std::int64_t ParameterStore::scale_learning_rate(std::string_view prefix, double scale) const {
  require<ConfigError>(scale >= 0, "parameters: the scale of a learning rate must not be negative: ", prefix, ", scale ", scale);
  const std::vector<std::size_t> found = below(prefix);
  for (const std::size_t i : found) parameters_[i].set_learning_rate_scale(parameters_[i].learning_rate_scale() * scale);
  return static_cast<std::int64_t>(found.size());
}

void ParameterStore::decay_learning_rate_by_depth(double decay) const {
  const std::int64_t layers = depths_.empty() ? Scope::kBehindLayers : *std::ranges::max_element(depths_);
  require<ConfigError>(layers != Scope::kBehindLayers, "parameters: this model does not say which of its layers stand behind which");
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::int64_t depth = depths_[i] == Scope::kBehindLayers ? layers + 1 : depths_[i];
    parameters_[i].set_learning_rate_scale(parameters_[i].learning_rate_scale() * std::pow(decay, static_cast<double>(layers + 1 - depth)));
  }
}

const Parameter& ParameterStore::add(const std::string& name, const Shape& shape, const Initializer& init, const ParameterOptions& options,
                                     std::int64_t depth) {
  require<ConfigError>(!index_.contains(name), "parameters: every name may be used once: ", name, " ", shape, " exists already");
  const Tensor value(shape, dtype_);
  if (!values_wait_) init(value, random_key(seed_, name));
  index_.emplace(name, parameters_.size());
  parameters_.emplace_back(name, value, options);
  if (values_wait_) waiting_.push_back({parameters_.size() - 1, parameters_.back().version(), init});
  made_trainable_.push_back(options.trainable);
  depths_.push_back(depth);
  return parameters_.back();
}

void ParameterStore::draw_waiting() {
  for (const auto& [i, version, init] : waiting_)
    if (parameters_[i].version() == version) init(parameters_[i].write(), random_key(seed_, parameters_[i].name()));
  waiting_.clear();
}

Parameter Scope::parameter(std::string_view name, const Shape& shape, const Initializer& init, const ParameterOptions& options) const {
  return store_->add(join(name), shape, init, options, depth_);
}

std::uint64_t Scope::key() const { return random_key(0, path_); }

}  // namespace capstan::nn
