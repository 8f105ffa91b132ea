#pragma once
// GRU layers: one step (GruCell) and whole sequences (Gru: several layers, one or two directions). Formulas: autograd/kernels/recurrent.h.
//
// Weights are PyTorch's: "input/weight" [3H, in] and "state/weight" [3H, H], gates r, z, n; each gate's part starts on its own. Biases
// "input/bias" and "state/bias" start at 0; a reset_before cell has the first only, since there they are the same.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/ops/recurrent.h"
#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct GruCellOptions {
  std::int64_t input = 0;  ///< width of the input; 0: none, the caller makes the input's share of the gates (step_from_gates)
  std::int64_t hidden = 0;
  bool bias = true;
  GruVariant variant = GruVariant::reset_after;
  Initializer init = glorot_uniform();  ///< of each gate's part of each weight
};

class GruCell {
 public:
  GruCell(const Scope& scope, const GruCellOptions& options);

  /// x [B, input], state [B, H] -> the next state.
  Tensor step(const Tensor& x, const Tensor& state) const { return step_from_gates(gates(x), state); }
  /// The same from the input's share of the gates [B, 3H].
  Tensor step_from_gates(const Tensor& gates, const Tensor& state) const;
  /// The input's share of the gates: x [..., input] -> [..., 3H].
  Tensor gates(const Tensor& x) const { return input_.front()(x); }
  /// A whole sequence; see ops/recurrent.h. Returns the outputs and the last state.
  std::array<Tensor, 2> walk(const Tensor& x, const Tensor& first, const Tensor& lengths, bool reverse) const;

  std::int64_t hidden() const { return weight_.size(1); }

 private:
  std::vector<Linear> input_;  // none or one
  Tensor weight_, bias_;
  GruVariant variant_;
};

struct GruOptions {
  std::int64_t input = 0, hidden = 0, layers = 1;
  bool bidirectional = false;
  bool bias = true;
  double dropout = 0;  ///< of the outputs of every layer but the last
  GruVariant variant = GruVariant::reset_after;
  Initializer init = glorot_uniform();
};

class Gru {
 public:
  /// Parameters "<layer>/forward/..." and "<layer>/backward/...".
  Gru(const Scope& scope, const GruOptions& options);

  struct Result {
    Tensor output;             ///< [B, T, H], or [B, T, 2H]: forward, then backward
    std::vector<Tensor> last;  ///< [B, H] of each layer, forward before backward
  };
  /// x [B, T, input]. `lengths` i64 [B] ends sequences early: outputs at pads are 0, and the backward direction starts at each
  /// sequence's own last step. `first`: a state per layer and direction, or none.
  Result operator()(const Tensor& x, const Tensor& lengths = {}, const Run& run = {}, std::span<const Tensor> first = {}) const;

 private:
  struct Layer {
    std::vector<GruCell> directions;
    Dropout dropout;
  };
  std::vector<Layer> layers_;
};

}  // namespace capstan::nn
