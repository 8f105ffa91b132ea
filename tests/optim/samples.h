#pragma once
// What the tests over all optimisers need to know of each update rule: an instance of it, and the optimisers that apply it. The primary
// template is undefined, so that a rule of kernels/update_rules.h without samples does not compile.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "autograd/kernels/update_rules.h"
#include "optim/adagrad.h"
#include "optim/adam.h"
#include "optim/lion.h"
#include "optim/sgd.h"

namespace capstan::optim {

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(std::span<const Parameter>)>;

template <class O, class Options>
MakeOptimizer maker(const Options& options) {
  return [=](std::span<const Parameter> parameters) { return std::make_unique<O>(parameters, options); };
}

struct OptimizerSample {
  std::string name;
  MakeOptimizer make;
  /// What happens to rows that a row-sparse gradient does not name: as with a dense gradient to the bit, or up to rounding once
  /// synchronised, or nothing.
  enum class OtherRows { as_dense, as_dense_later, rest } other_rows = OtherRows::as_dense;
};

struct BadOptions {
  MakeOptimizer make;
  std::string message;  ///< a part of the ConfigError's text
};

template <class Rule>
struct Samples;

template <>
struct Samples<kernels::rules::Sgd> {
  static kernels::rules::Sgd rule(double learning_rate) { return {.learning_rate = learning_rate}; }
  static std::vector<OptimizerSample> optimizers() {
    return {{"plain", maker<Sgd>(SgdOptions{})}, {"decay", maker<Sgd>(SgdOptions{.weight_decay = .1})}};
  }
  static std::vector<BadOptions> bad() {
    return {{maker<Sgd>(SgdOptions{.weight_decay = -1}), "sgd: weight decay must not be negative: -1"},
            {maker<Sgd>(SgdOptions{.nesterov = true}), "sgd: Nesterov's form needs momentum > 0"},
            {maker<Sgd>(SgdOptions{.sparse = SparsePolicy::catch_up}), "sgd: the policy for sparse gradients must be dense or lazy"}};
  }
};

template <>
struct Samples<kernels::rules::SgdMomentum> {
  static kernels::rules::SgdMomentum rule(double learning_rate) {
    return {.learning_rate = learning_rate, .momentum = .9, .gradient_part = .75, .momentum_part = .5};
  }
  static std::vector<OptimizerSample> optimizers() {
    return {{"momentum", maker<Sgd>(SgdOptions{.momentum = .9, .weight_decay = .1})},
            {"nesterov", maker<Sgd>(SgdOptions{.momentum = .9, .nesterov = true, .weight_decay = .1})},
            {"lazy", maker<Sgd>(SgdOptions{.momentum = .9, .sparse = SparsePolicy::lazy}), OptimizerSample::OtherRows::rest}};
  }
  static std::vector<BadOptions> bad() { return {{maker<Sgd>(SgdOptions{.momentum = 1}), "sgd: momentum must be in [0, 1): 1"}}; }
};

template <>
struct Samples<kernels::rules::Adam> {
  static kernels::rules::Adam rule(double learning_rate) {
    return {.epsilon = 1e-3, .step_size = learning_rate, .root_scale = 2, .l2 = .5, .decay_rate = learning_rate};
  }
  static std::vector<OptimizerSample> optimizers() {
    using OtherRows = OptimizerSample::OtherRows;
    return {{"adam", maker<Adam>(AdamOptions{.epsilon = 1e-3, .weight_decay = .1})},
            {"adamw", maker<AdamW>(AdamWOptions{.epsilon = 1e-3, .placement = AdamEpsilon::before_correction, .weight_decay = .1})},
            {"bert_adam", maker<BertAdam>(BertAdamOptions{.epsilon = 1e-3, .weight_decay = .1})},
            {"lazy", maker<Adam>(AdamOptions{.epsilon = 1e-3, .sparse = SparsePolicy::lazy}), OtherRows::rest},
            {"catch_up", maker<Adam>(AdamOptions{.epsilon = 1e-3, .sparse = SparsePolicy::catch_up}), OtherRows::as_dense_later}};
  }
  static std::vector<BadOptions> bad() {
    return {{maker<Adam>(AdamOptions{.beta1 = 1}), "adam: beta1 must be in [0, 1): 1"},
            {maker<AdamW>(AdamWOptions{.beta2 = -.5}), "adamw: beta2 must be in [0, 1): -0.5"},
            {maker<BertAdam>(BertAdamOptions{.epsilon = 0}), "bert_adam: epsilon must be positive: 0"},
            {maker<AdamW>(AdamWOptions{.weight_decay = -1}), "adamw: weight decay must not be negative: -1"},
            {maker<AdamW>(AdamWOptions{.weight_decay = .1, .sparse = SparsePolicy::catch_up}),
             "adamw: catch_up does not go together with weight decay of tables"},
            {maker<Adam>(AdamOptions{.beta1 = .99, .beta2 = .9, .sparse = SparsePolicy::catch_up}),
             "adam: catch_up needs beta1 < sqrt(beta2)"}};
  }
};

template <>
struct Samples<kernels::rules::Adagrad> {
  static kernels::rules::Adagrad rule(double learning_rate) {
    return {.learning_rate = learning_rate, .epsilon_inside = 1e-2, .epsilon_outside = 1e-3};
  }
  static std::vector<OptimizerSample> optimizers() {
    return {{"inside_root", maker<Adagrad>(AdagradOptions{.epsilon = 1e-3})},
            {"outside_root", maker<Adagrad>(AdagradOptions{.epsilon = 1e-3, .placement = AdagradEpsilon::outside_root})},
            {"decay", maker<Adagrad>(AdagradOptions{.epsilon = 1e-3, .weight_decay = .1, .initial_accumulator = .1}),
             OptimizerSample::OtherRows::rest}};
  }
  static std::vector<BadOptions> bad() {
    return {{maker<Adagrad>(AdagradOptions{.epsilon = -1}), "adagrad: epsilon must be positive: -1"},
            {maker<Adagrad>(AdagradOptions{.weight_decay = -1}), "adagrad: weight decay must not be negative: -1"},
            {maker<Adagrad>(AdagradOptions{.initial_accumulator = -1}), "adagrad: the accumulator must not start below 0: -1"}};
  }
};

template <>
struct Samples<kernels::rules::AdagradMomentum> {
  static kernels::rules::AdagradMomentum rule(double learning_rate) {
    return {.adagrad = Samples<kernels::rules::Adagrad>::rule(learning_rate), .momentum = .5};
  }
  static std::vector<OptimizerSample> optimizers() {
    return {{"momentum", maker<Adagrad>(AdagradOptions{.momentum = .5, .epsilon = 1e-3}), OptimizerSample::OtherRows::rest}};
  }
  static std::vector<BadOptions> bad() {
    return {{maker<Adagrad>(AdagradOptions{.momentum = 1}), "adagrad: momentum must be in [0, 1): 1"}};
  }
};

template <>
struct Samples<kernels::rules::Lion> {
  static kernels::rules::Lion rule(double learning_rate) { return {.learning_rate = learning_rate}; }
  static std::vector<OptimizerSample> optimizers() {
    return {{"lion", maker<Lion>(LionOptions{})},
            {"decay", maker<Lion>(LionOptions{.beta1 = .95, .beta2 = .98, .weight_decay = .1})},
            {"lazy", maker<Lion>(LionOptions{.sparse = SparsePolicy::lazy}), OptimizerSample::OtherRows::rest}};
  }
  static std::vector<BadOptions> bad() {
    return {{maker<Lion>(LionOptions{.beta1 = 1}), "lion: beta1 must be in [0, 1): 1"},
            {maker<Lion>(LionOptions{.beta2 = -.5}), "lion: beta2 must be in [0, 1): -0.5"},
            {maker<Lion>(LionOptions{.weight_decay = -1}), "lion: weight decay must not be negative: -1"},
            {maker<Lion>(LionOptions{.sparse = SparsePolicy::catch_up}), "lion: the policy for sparse gradients must be dense or lazy"}};
  }
};

template <>
struct Samples<kernels::rules::MovingAverage> {
  static kernels::rules::MovingAverage rule(double) { return {.rate = .25}; }
  static std::vector<OptimizerSample> optimizers() { return {}; }
  static std::vector<BadOptions> bad() { return {}; }
};

/// testing::Types<rule...>, for typed tests.
template <class Variant>
struct RuleTypes;
template <class... Rules>
struct RuleTypes<std::variant<Rules...>> {
  using type = ::testing::Types<Rules...>;
};
struct RuleNames {
  template <class Rule>
  static std::string GetName(int) {
    std::string name(Rule::name);
    for (char& c : name)
      if (c == ' ') c = '_';
    return name;
  }
};

}  // namespace capstan::optim
