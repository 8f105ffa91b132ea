#include "nn/parameter_store.h"

#include <algorithm>

#include "autograd/core/rng.h"

namespace capstan::nn {

Scope ParameterStore::root() { return Scope(this, ""); }

const Parameter& ParameterStore::find(std::string_view name) const {
  const auto it = index_.find(std::string(name));
  require<ConfigError>(it != index_.end(), "parameters: no parameter of this name: ", name, " (", parameters_.size(), " parameters)");
  return parameters_[it->second];
}

std::int64_t ParameterStore::numel() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.value.numel();
  return n;
}

std::vector<Gradient> ParameterStore::gradients(const Gradients& of) const {
  std::vector<Gradient> out;
  out.reserve(parameters_.size());
  for (const Parameter& p : parameters_) out.push_back(p.trainable ? of.of(p.value) : Gradient{});
  return out;
}

const Tensor& ParameterStore::add(const std::string& name, const Shape& shape, const Initializer& init, const ParameterOptions& options) {
  require<ConfigError>(!index_.contains(name), "parameters: every name may be used once: ", name, " ", shape, " exists already");
  const Tensor value(shape, dtype_);
  init(value, random_key(seed_, name));
  index_.emplace(name, parameters_.size());
  parameters_.push_back({name, options.trainable ? make_leaf(value) : value, options.trainable, options.decay, options.sparse_gradient});
  return parameters_.back().value;
}

Tensor Scope::parameter(std::string_view name, const Shape& shape, const Initializer& init, const ParameterOptions& options) const {
  return store_->add(join(name), shape, init, options);
}

std::uint64_t Scope::key() const { return random_key(0, path_); }

}  // namespace capstan::nn
