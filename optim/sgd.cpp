#include "optim/sgd.h"

#include "optim/update_list.h"

namespace capstan::optim {

Sgd::Sgd(std::span<const Parameter> parameters, const SgdOptions& options) : Optimizer("sgd", parameters), options_(options) {
  require<ConfigError>(options.momentum >= 0 && options.momentum < 1, "sgd: momentum must be in [0, 1): ", options.momentum);
  require<ConfigError>(options.weight_decay >= 0, "sgd: weight decay must not be negative: ", options.weight_decay);
  require<ConfigError>(!options.nesterov || options.momentum > 0, "sgd: Nesterov's form needs momentum > 0");
  require<ConfigError>(options.sparse != SparsePolicy::catch_up, "sgd: the policy for sparse gradients must be dense or lazy");
  if (options.momentum > 0) momentum_ = add_slot("momentum");
}

SparsePolicy Sgd::policy(std::size_t index) const {
  const bool others_rest = options_.momentum == 0 && (options_.weight_decay == 0 || !parameters()[index].decay());
  return others_rest ? SparsePolicy::lazy : options_.sparse;
}

void Sgd::update(std::span<const Item> items, double learning_rate, double gradient_scale) {
  UpdateList list;
  for (const Item& item : items) {
    const Parameter& p = parameters()[item.index];
    list.add(p, item.gradient, {momentum_[item.index]}, policy(item.index), options_.weight_decay);
  }
  if (options_.momentum > 0) {
    list.run(kernels::rules::SgdMomentum{.learning_rate = learning_rate,
                                         .momentum = options_.momentum,
                                         .gradient_part = options_.nesterov ? 1.0 : 0.0,
                                         .momentum_part = options_.nesterov ? options_.momentum : 1.0},
             gradient_scale);
  } else {
    list.run(kernels::rules::Sgd{.learning_rate = learning_rate}, gradient_scale);
  }
}

}  // namespace capstan::optim
