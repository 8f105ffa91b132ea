#pragma once
// Stochastic gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013, deep-learning variant):
//     g += weight_decay p;  m = momentum m + g;  p -= lr m          or, Nesterov,  p -= lr (g + momentum m)
// Row-sparse gradients: without momentum and decay only named rows can change; otherwise options.sparse says which do.

#include "optim/optimizer.h"

namespace capstan::optim {

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  SparsePolicy sparse = SparsePolicy::dense;  ///< dense or lazy
};

class Sgd final : public Optimizer {
 public:
  /// Throws ConfigError for options out of range.
  explicit Sgd(std::span<const Parameter> parameters, const SgdOptions& options = {});

  bool moves_unnamed_rows(std::size_t index) const override { return policy(index) == SparsePolicy::dense; }

 private:
  SparsePolicy policy(std::size_t index) const;
  void update(std::span<const Item> items, double learning_rate, double gradient_scale) override;

  SgdOptions options_;
  Slot momentum_;
};

}  // namespace capstan::optim
