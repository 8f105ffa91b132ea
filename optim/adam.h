#pragma once
// Adam and its relatives. All keep m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2 and differ in three places:
//
//   Adam (Kingma & Ba 2015)   p -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + epsilon)      AdamEpsilon::after_correction
//                             p -= lr sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon)    AdamEpsilon::before_correction
//                             weight decay is part of the gradient: g += weight_decay p
//   AdamW (Loshchilov & Hutter 2019)   as Adam, but decay is decoupled from it: p -= lr weight_decay p (the p from before the step)
//   BertAdam (Devlin et al. 2018)      p -= lr (m / (sqrt(v) + epsilon) + weight_decay p): decoupled decay, no bias correction
//
// t counts the steps of the optimiser from 1. Parameters with decay = false do not decay.
// Row-sparse gradients: see SparsePolicy. catch_up gives what dense gives, up to rounding, if synchronize_rows is called before a
// forward pass reads rows; it stops moving a row when a further step would be less than kIdle of the first (momentum is a geometric
// tail), and does not go together with weight decay.

#include "optim/optimizer.h"

namespace capstan::kernels::rules {
struct Adam;
struct AdamMissedStep;
}  // namespace capstan::kernels::rules

namespace capstan::optim {

enum class AdamEpsilon : std::uint8_t {
  after_correction,   ///< added to the corrected root: PyTorch, the paper's algorithm 1
  before_correction,  ///< added to the uncorrected root: TensorFlow, the paper's "epsilon hat"
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  AdamEpsilon placement = AdamEpsilon::after_correction;
  double weight_decay = 0;
  SparsePolicy sparse = SparsePolicy::dense;
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  AdamEpsilon placement = AdamEpsilon::after_correction;
  double weight_decay = 0.01;
  SparsePolicy sparse = SparsePolicy::dense;
};

struct BertAdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6;
  double weight_decay = 0.01;
  SparsePolicy sparse = SparsePolicy::dense;
};

/// What the three have in common. Not for direct use.
class AdamFamily : public Optimizer {
 public:
  ~AdamFamily() override;

  bool moves_unnamed_rows(std::size_t) const override { return options_.sparse != SparsePolicy::lazy; }

 protected:
  enum class Decay : std::uint8_t { in_gradient, decoupled };
  AdamFamily(std::string_view name, std::span<const Parameter> parameters, const AdamOptions& options, Decay decay, bool bias_correction);

 private:
  void update(std::span<const Item> items, double learning_rate, double gradient_scale) override;
  void catch_up(std::size_t index, const std::span<const std::int64_t>* rows) override;
  void loaded() override;
  /// catch_up: a step of the tables that get no gradient or are frozen.
  void pass_over_tables_without(std::span<const Item> items);
  /// Makes good the missed steps up to `until`; with `idle` also the decay of m and v after them, as a row needs that is named next.
  void catch_up_rows(std::size_t index, const std::span<const std::int64_t>* rows, std::int64_t until, bool idle);
  template <class T>
  void catch_up_rows_of(std::size_t index, const std::span<const std::int64_t>* rows, std::int64_t until, bool idle);
  kernels::rules::Adam rule(double learning_rate) const;
  /// The rows of a table whose moments may be other than 0, those named now among them; empty where no row can be at rest.
  std::span<const std::uint8_t> moving_rows(const Item& item, SparsePolicy policy);

  AdamOptions options_;
  Decay decay_;
  bool bias_correction_;
  Slot first_, second_;
  std::vector<std::vector<std::uint8_t>> moving_;  ///< see moving_rows; by parameter, empty: to be found out from the moments
  // catch_up: for every row the step that named it last, and the step up to which its missed steps have been made good (0: never named);
  // both move on by one with every step that the table takes no part in.
  Slot row_steps_;
  std::int64_t tail_ = 0;           ///< number of missed steps after which a row rests
  std::int64_t history_start_ = 0;  ///< history_[i] belongs to step history_start_ + 1 + i; all rows are up to date at history_start_
  std::vector<kernels::rules::AdamMissedStep> history_;
};

class Adam final : public AdamFamily {
 public:
  /// Throws ConfigError for options out of range.
  explicit Adam(std::span<const Parameter> parameters, const AdamOptions& options = {})
      : AdamFamily("adam", parameters, options, Decay::in_gradient, true) {}
};

class AdamW final : public AdamFamily {
 public:
  explicit AdamW(std::span<const Parameter> parameters, const AdamWOptions& o = {})
      : AdamFamily("adamw", parameters, {o.beta1, o.beta2, o.epsilon, o.placement, o.weight_decay, o.sparse}, Decay::decoupled, true) {}
};

class BertAdam final : public AdamFamily {
 public:
  explicit BertAdam(std::span<const Parameter> parameters, const BertAdamOptions& o = {})
      : AdamFamily("bert_adam", parameters, {o.beta1, o.beta2, o.epsilon, AdamEpsilon::before_correction, o.weight_decay, o.sparse},
                   Decay::decoupled, false) {}
};

}  // namespace capstan::optim
