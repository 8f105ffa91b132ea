#pragma once
// Adagrad (Duchi et al. 2011) with optional classical momentum, as session-based recommenders use it:
//     g += weight_decay p;  a += g^2;  s = lr g / sqrt(a + epsilon);  p -= s        or, with momentum,  m = momentum m - s;  p += m
// The accumulator starts at 0 and epsilon stands inside the root; outside_root gives s = lr g / (sqrt(a) + epsilon).
// Row-sparse gradients: only named rows change — value, accumulator and momentum alike. Without momentum and decay that is what a dense
// gradient would do; with momentum an unnamed row's velocity rests. The cost of a step does not depend on the size of the table.

#include "optim/optimizer.h"

namespace capstan::optim {

enum class AdagradEpsilon : std::uint8_t { inside_root, outside_root };

struct AdagradOptions {
  double momentum = 0;
  double epsilon = 1e-6;
  AdagradEpsilon placement = AdagradEpsilon::inside_root;
  double weight_decay = 0;
  double initial_accumulator = 0;
};

class Adagrad final : public Optimizer {
 public:
  /// Throws ConfigError for options out of range.
  explicit Adagrad(std::span<const Parameter> parameters, const AdagradOptions& options = {});

  bool moves_unnamed_rows(std::size_t) const override { return false; }

 private:
  void update(std::span<const Item> items, double learning_rate, double gradient_scale) override;

  AdagradOptions options_;
  Slot accumulator_, momentum_;
};

}  // namespace capstan::optim
