#include "optim/lion.h"

#include "optim/update_list.h"

namespace capstan::optim {

Lion::Lion(std::span<const Parameter> parameters, const LionOptions& options) : Optimizer("lion", parameters), options_(options) {
  require<ConfigError>(options.beta1 >= 0 && options.beta1 < 1, "lion: beta1 must be in [0, 1): ", options.beta1);
  require<ConfigError>(options.beta2 >= 0 && options.beta2 < 1, "lion: beta2 must be in [0, 1): ", options.beta2);
  require<ConfigError>(options.weight_decay >= 0, "lion: weight decay must not be negative: ", options.weight_decay);
  require<ConfigError>(options.sparse != SparsePolicy::catch_up, "lion: the policy for sparse gradients must be dense or lazy");
  momentum_ = add_slot("momentum");
}

void Lion::update(std::span<const Item> items, double learning_rate, double gradient_scale) {
  UpdateList list;
  for (const Item& item : items)
    list.add(parameters()[item.index], item.gradient, {momentum_[item.index]}, options_.sparse, options_.weight_decay);
  list.run(kernels::rules::Lion{.learning_rate = learning_rate, .beta1 = options_.beta1, .beta2 = options_.beta2}, gradient_scale);
}

}  // namespace capstan::optim
