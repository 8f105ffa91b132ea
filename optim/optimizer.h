#pragma once
// Optimizer: what every update rule shares — parameters, step count, named state, the handling of absent and row-sparse gradients.
//
// An optimiser changes parameters in place and does nothing else: the learning rate comes from a schedule (schedule.h), the
// gradient scale from clipping (clip.h). A step is one fused pass over all tensors (autograd/kernels/optimizer_update.h).
// Invariants: gradients are aligned with the parameters; a parameter without a gradient, or that is not trainable, is not touched
// at all (no decay, no momentum); state exists from construction on, zero (see the rule), for every trainable parameter, and from its
// first step or state() on for one that becomes trainable later.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/parameter.h"

namespace capstan::optim {

/// What a row-sparse gradient does to the rows that it does not name. Duplicate indices are always summed first.
enum class SparsePolicy : std::uint8_t {
  dense,     ///< the same as a dense gradient with zeros: momentum moves and decay shrinks every row; cost grows with the table
  lazy,      ///< nothing: only named rows change; cost grows with the named rows
  catch_up,  ///< what dense does, but later: a row repeats its missed steps when it is next named or synchronised. Steps in which the
             ///< table is frozen or has no gradient are not missed
};

/// One state tensor; `value` shares memory with the optimiser.
struct OptimizerState {
  std::string slot;       ///< such as "first_moment"
  std::string parameter;  ///< its name
  Tensor value;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with gradients[i] * gradient_scale for parameter i. Throws ShapeError or DTypeError, before anything is changed, if a
  /// gradient does not fit its parameter; NumericalError, when all is changed, if a value is not finite any more.
  void step(std::span<const Gradient> gradients, double learning_rate, double gradient_scale = 1.0);
  std::int64_t step_count() const { return step_count_; }

  /// Brings all rows up to date (SparsePolicy::catch_up; otherwise nothing); before parameters are read other than by training.
  void synchronize();
  /// The same for some rows of parameters[index] only; before a forward pass that reads them.
  void synchronize_rows(std::size_t index, std::span<const std::int64_t> rows);

  /// Whether a step with a row-sparse gradient of parameters[index] changes rows that it does not name.
  virtual bool moves_unnamed_rows(std::size_t index) const = 0;

  /// All state, slot by slot, in the order of the parameters. Synchronises first, so that it fits the parameters as they are.
  std::vector<OptimizerState> state();
  /// Takes the values of a state() of the same parameters. Throws CheckpointError, and changes nothing, listing all entries that are
  /// missing, unexpected or of another shape. State of a parameter that is frozen now waits for it.
  void load_state(std::span<const OptimizerState> state, std::int64_t step_count);

  std::span<const Parameter> parameters() const { return parameters_; }
  std::string_view name() const { return name_; }

 protected:
  /// Throws DTypeError if a trainable parameter is not contiguous f32 or f64.
  Optimizer(std::string_view name, std::span<const Parameter> parameters);

  /// State tensors under one name, aligned with parameters(); undefined for a parameter that has never been trainable, and everywhere in a
  /// default slot. Copies are the same slot.
  class Slot {
   public:
    const Tensor& operator[](std::size_t index) const;

   private:
    friend class Optimizer;
    struct State {
      std::string name;
      std::function<Tensor(const Parameter&)> make;  // undefined: the slot has none for it
      std::vector<Tensor> tensors;
    };
    std::shared_ptr<State> state_;
  };
  /// Begins at `value`.
  Slot add_slot(std::string name, double value = 0.0);
  /// A slot of i64 zeros [rows, columns] for the tables (parameters with sparse_gradient) only.
  Slot add_row_slot(std::string name, std::int64_t columns);

  /// One parameter's part of a step; the gradient is dense and contiguous, or row-sparse with unique indices.
  struct Item {
    std::size_t index;
    Gradient gradient;
  };
  /// Updates parameters()[item.index] for each item. step_count() counts this step already (the first is 1).
  virtual void update(std::span<const Item> items, double learning_rate, double gradient_scale) = 0;
  /// Repeats the missed steps of some rows, or of all if `rows` is null.
  virtual void catch_up(std::size_t, const std::span<const std::int64_t>*) {}
  /// State was replaced by load_state: forget what was derived from the old one.
  virtual void loaded() {}

 private:
  Slot add(Slot::State state);
  void make_state(std::size_t index);  // what a parameter lacks
  std::vector<OptimizerState> entries() const;

  std::string name_;
  std::vector<Parameter> parameters_;
  std::vector<Slot> slots_;
  std::int64_t step_count_ = 0;
};

}  // namespace capstan::optim
