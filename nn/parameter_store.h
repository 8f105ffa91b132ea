#pragma once
// ParameterStore and Scope: names, shapes and initial values of parameters, written exactly once.
//
// A module is a plain class constructed from a Scope, which is a path into a store:
//     Linear::Linear(const Scope& scope, ...) : weight_(scope.parameter("weight", {out, in}, glorot_uniform())) {}
// There is no base class and no registration; tying two modules means passing the parameter.
// Invariants: names are unique; the order is the order of construction and never changes.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"
#include "autograd/tape/tape.h"

namespace capstan::nn {

/// Fills a new parameter; `key` is random_key(seed, name) (autograd/core/rng.h), so the value depends on seed and name alone.
using Initializer = std::function<void(const Tensor& value, std::uint64_t key)>;

class Scope;

class ParameterStore {
 public:
  explicit ParameterStore(std::uint64_t seed = 0, DType dtype = DType::f32) : seed_(seed), dtype_(dtype) {}
  ParameterStore(const ParameterStore&) = delete;  // two stores must not share values
  ParameterStore& operator=(const ParameterStore&) = delete;
  ParameterStore(ParameterStore&&) = default;
  ParameterStore& operator=(ParameterStore&&) = default;

  Scope root();
  /// Parameters made from now on get no value before draw_waiting(): for a model that is then read from a file, whole or in part, and need
  /// not draw what is overwritten.
  void let_values_wait() { values_wait_ = true; }
  /// Draws the initial values of those that wait and that nobody has written to; the others keep what they have. A value depends on seed
  /// and name, not on when it is drawn.
  void draw_waiting();
  std::span<const Parameter> parameters() const { return parameters_; }
  /// Throws ConfigError naming the nearest parameter if there is none of this name.
  const Parameter& find(std::string_view name) const;
  std::int64_t numel() const;  ///< of all parameters
  std::uint64_t seed() const { return seed_; }
  DType dtype() const { return dtype_; }

  /// The gradients of all parameters in the store's order and the parameters' types; absent where nothing flowed.
  std::vector<Gradient> gradients(const Gradients& of) const;

  /// All parameters below a path ("encoder/0", also a whole name; "" is all) become constants, or trainable again; those that were made as
  /// constants (running statistics) stay so. In effect from the next forward pass on, everywhere. Throws ConfigError if there is none.
  /// Returns how many there are, or, of unfreeze, how many are trainable now.
  std::int64_t freeze(std::string_view prefix) const { return set_trainable(prefix, false); }
  std::int64_t unfreeze(std::string_view prefix) const { return set_trainable(prefix, true); }
  /// Multiplies the learning rate of all parameters below a path by `scale` (layer-wise decay). Throws ConfigError if there is none or the
  /// scale is negative.
  std::int64_t scale_learning_rate(std::string_view prefix, double scale) const;
  /// Layer-wise decay: multiplies the learning rate of every parameter by decay^(layers + 1 - depth), where the depth is what the model
  /// declared (Scope::at_depth) and layers the greatest of these: decay^(layers + 1) for embeddings (0), decay for the last layer, 1 for
  /// all that stands behind, the last normalisation and the head. That is the rule of BEiT and MAE; timm counts the last normalisation with
  /// the last layer. Throws ConfigError if the model declares no depths.
  void decay_learning_rate_by_depth(double decay) const;

 private:
  friend class Scope;
  std::int64_t set_trainable(std::string_view prefix, bool trainable) const;
  std::vector<std::size_t> below(std::string_view prefix) const;
  const Parameter& add(const std::string& name, const Shape& shape, const Initializer& init, const ParameterOptions& options,
                       std::int64_t depth);

  struct Waiting {
    std::size_t parameter;
    std::uint64_t version;  // that it has while nobody has written to it
    Initializer init;
  };

  std::uint64_t seed_;
  DType dtype_;
  bool values_wait_ = false;
  std::vector<Waiting> waiting_;
  std::vector<Parameter> parameters_;
  std::vector<bool> made_trainable_;  // aligned with parameters_
  std::vector<std::int64_t> depths_;  // likewise; kBehindLayers where nothing was declared
  std::unordered_map<std::string, std::size_t> index_;
};

class Scope {
 public:
  /// A path one level deeper: scope / "encoder" / i / "query".
  Scope operator/(std::string_view name) const { return Scope(store_, join(name), depth_); }
  Scope operator/(std::int64_t index) const { return Scope(store_, join(std::to_string(index)), depth_); }
  /// The same path, whose parameters stand at this depth of the model: embeddings 0, the layers from 1 on. Without it they stand behind the
  /// layers. For decay_learning_rate_by_depth.
  Scope at_depth(std::int64_t depth) const { return Scope(store_, path_, depth); }

  /// A new parameter under this path. Throws ConfigError if the name is taken.
  Parameter parameter(std::string_view name, const Shape& shape, const Initializer& init, const ParameterOptions& options = {}) const;
  const std::string& path() const { return path_; }
  /// A key for random numbers that belong to this place (dropout); depends on the path alone.
  std::uint64_t key() const;

 private:
  friend class ParameterStore;
  static constexpr std::int64_t kBehindLayers = -1;
  Scope(ParameterStore* store, std::string path, std::int64_t depth) : store_(store), path_(std::move(path)), depth_(depth) {}
  std::string join(std::string_view name) const { return path_.empty() ? std::string(name) : path_ + "/" + std::string(name); }

  ParameterStore* store_;
  std::string path_;
  std::int64_t depth_;
};

}  // namespace capstan::nn
