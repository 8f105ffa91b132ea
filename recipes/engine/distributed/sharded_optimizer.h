#pragma once
// ShardedOptimizer: an optimiser whose state is shared out among the processes of a run (ZeRO-1; Rajbhandari et al., "ZeRO: Memory
// Optimizations Toward Training Trillion Parameter Models", 2020). Each process keeps and updates its shares of the parameters (shares.h)
// and tells the others their new values, so the state takes its size divided by the number of processes of each one's memory.
//
// Values and gradients stay whole on every process. The state of a whole parameter comes together for checkpoints alone, a tensor at a
// time, which makes files of the form that one process writes, and comes apart when they are read. The rules know nothing of it: a share is
// a parameter whose value lies in the memory of the whole one's. Whether a parameter is trained and at which rate is fixed from here on.
//
// All processes call step(), gather() and take_over() together.

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/core/gradient.h"
#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/distributed/shares.h"

namespace capstan::engine {

class ShardedOptimizer {
 public:
  using Make = std::function<std::unique_ptr<optim::Optimizer>(std::span<const Parameter>)>;
  /// `make` gives an optimiser of some parameters; not one with SparsePolicy::catch_up, which changes values between steps.
  ShardedOptimizer(Comm& comm, const nn::ParameterStore& parameters, Make make);

  const ParameterShares& shares() const { return shares_; }
  /// Of this process's shares, which have the names of the whole parameters. Its step() is part of the one here.
  optim::Optimizer& own() { return *own_; }
  const optim::Optimizer& own() const { return *own_; }

  /// Of gradients of whole parameters.
  std::vector<Gradient> share_of(std::span<const Gradient> whole) const;
  /// Updates this process's shares by their gradients, which have the same form (absent, dense, rows) on all processes, and makes the
  /// values whole. `tell` false: this process for itself, to measure what telling costs. Throws NumericalError as Optimizer::step, then on
  /// all processes.
  void step(std::span<const Gradient> mine, double learning_rate, double gradient_scale, bool tell = true);

  /// Which shape and type the state has whose share on this process is `mine`, an entry of own().state().
  Spec whole_spec(const optim::OptimizerState& mine) const;
  /// It, on the first process; undefined on the others.
  Tensor gather(const optim::OptimizerState& mine);
  /// All of own().state(), for the first process, which calls gather() for each in this order.
  void gather_for_first();
  /// This process's share of the state of the parameter of this name. Throws CheckpointError unless it has the parameter's shape.
  Tensor share_of(std::string_view parameter, const Tensor& state) const;
  /// Takes over the state that `change` leaves an optimiser of the whole parameters with, for a moment.
  void take_over(const std::function<void(optim::Optimizer&)>& change);

  /// Seconds that values have travelled.
  double wait_seconds() const { return wait_; }

 private:
  std::size_t index_of(std::string_view parameter) const;
  void share_values(std::span<const Gradient> mine);
  void share_together(std::span<const std::size_t> parameters);
  void share_rows(std::size_t parameter, const Gradient& mine);

  Comm& comm_;
  std::vector<Parameter> whole_;
  Make make_;
  ParameterShares shares_;
  std::unique_ptr<optim::Optimizer> own_;
  double wait_ = 0;
};

}  // namespace capstan::engine
