#include "optim/adagrad.h"

#include "optim/update_list.h"

namespace capstan::optim {

Adagrad::Adagrad(std::span<const Parameter> parameters, const AdagradOptions& options)
    : Optimizer("adagrad", parameters), options_(options) {
  require<ConfigError>(options.momentum >= 0 && options.momentum < 1, "adagrad: momentum must be in [0, 1): ", options.momentum);
  require<ConfigError>(options.epsilon > 0, "adagrad: epsilon must be positive: ", options.epsilon);
  require<ConfigError>(options.weight_decay >= 0, "adagrad: weight decay must not be negative: ", options.weight_decay);
  require<ConfigError>(options.initial_accumulator >= 0, "adagrad: the accumulator must not start below 0: ", options.initial_accumulator);
  accumulator_ = add_slot("accumulator", options.initial_accumulator);
  if (options.momentum > 0) momentum_ = add_slot("momentum");
}

void Adagrad::update(std::span<const Item> items, double learning_rate, double gradient_scale) {
  UpdateList list;
  for (const Item& item : items)
    list.add(parameters()[item.index], item.gradient, {accumulator_[item.index], momentum_[item.index]}, SparsePolicy::lazy,
             options_.weight_decay);
  const bool inside = options_.placement == AdagradEpsilon::inside_root;
  const kernels::rules::Adagrad rule{
      .learning_rate = learning_rate, .epsilon_inside = inside ? options_.epsilon : 0, .epsilon_outside = inside ? 0 : options_.epsilon};
  if (options_.momentum > 0) {
    list.run(kernels::rules::AdagradMomentum{.adagrad = rule, .momentum = options_.momentum}, gradient_scale);
  } else {
    list.run(rule, gradient_scale);
  }
}

}  // namespace capstan::optim
