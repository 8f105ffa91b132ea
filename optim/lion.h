#pragma once
// Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", algorithm 2): the sign of a momentum, with decoupled decay:
//     c = beta1 m + (1 - beta1) g;  p -= lr (sign(c) + weight_decay p);  m = beta2 m + (1 - beta2) g
// sign(0) = 0. Every element moves by lr whatever the gradient's size: the paper advises a learning rate 3 to 10 times smaller than
// AdamW's, and a weight decay as many times larger. One moment where Adam keeps two.
// Row-sparse gradients: options.sparse says which rows change; a row that rests moves on by the sign of its old momentum under `dense`.

#include "optim/optimizer.h"

namespace capstan::optim {

struct LionOptions {
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;
  SparsePolicy sparse = SparsePolicy::dense;  ///< dense or lazy
};

class Lion final : public Optimizer {
 public:
  /// Throws ConfigError for options out of range.
  explicit Lion(std::span<const Parameter> parameters, const LionOptions& options = {});

  bool moves_unnamed_rows(std::size_t) const override { return options_.sparse == SparsePolicy::dense; }

 private:
  void update(std::span<const Item> items, double learning_rate, double gradient_scale) override;

  LionOptions options_;
  Slot momentum_;
};

}  // namespace capstan::optim
