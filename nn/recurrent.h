#pragma once
// Recurrent layers: cells, which compute one step or a whole sequence, and Recurrent, several layers of cells in one or two directions.
//     Lstm lstm(scope, {.cell = {.input = 64, .hidden = 128}, .layers = 2, .bidirectional = true});
//     const auto [output, last] = lstm(x, lengths, run);
// Formulas: autograd/kernels/recurrent.h.
//
// A cell splits what it computes: the input projection x W^T + b of all gates, one product for all steps, and the recurrence along the
// states. Weights are PyTorch's: "input/weight" [G H, in] and "state/weight" [G H, H] with G gates, r, z, n for GRU and i, f, g, o for
// LSTM; each gate's part starts on its own. Biases "input/bias" and "state/bias" start at 0.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "autograd/ops/recurrent.h"
#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

/// The parameters of a cell.
struct RecurrentWeights {
  /// `input` 0: without an input projection. `state_bias`: with a second bias, beside the input projection's.
  RecurrentWeights(const Scope& scope, std::int64_t input, std::int64_t hidden, std::int64_t gates, bool bias, bool state_bias,
                   const Initializer& init);

  /// The input projection: x [..., input] -> [..., G H]. Throws ShapeError if there is none.
  Tensor projection(const Tensor& x) const;

  std::optional<Linear> input;
  Parameter weight;  ///< [G H, H]
  Parameter bias;    ///< [G H], undefined without one
};

struct GruCellOptions {
  std::int64_t input = 0;  ///< width of the input; 0: none, the caller makes the input projection (step_from_projection)
  std::int64_t hidden = 0;
  bool bias = true;
  GruVariant variant = GruVariant::reset_after;
  Initializer init = glorot_uniform();  ///< of each gate's part of each weight
};

/// A reset_before cell has the input projection's bias only: there, the two are the same.
class GruCell {
 public:
  using Options = GruCellOptions;
  using State = Tensor;  ///< [B, H]
  GruCell(const Scope& scope, const GruCellOptions& options);

  /// x [B, input], state [B, H] -> the next state.
  Tensor step(const Tensor& x, const Tensor& state) const { return step_from_projection(input_projection(x), state); }
  /// The same from the input projection [B, 3H].
  Tensor step_from_projection(const Tensor& projection, const Tensor& state) const;
  /// x [..., input] -> [..., 3H].
  Tensor input_projection(const Tensor& x) const { return weights_.projection(x); }

  struct Sequence {
    Tensor output;  ///< [B, T, H]
    Tensor last;    ///< [B, H]
  };
  /// A whole sequence x [B, T, input]; lengths and reverse as in autograd/ops/recurrent.h. `first` may be undefined: zero.
  Sequence sequence(const Tensor& x, const Tensor& first, const Tensor& lengths, bool reverse) const;

  std::int64_t hidden() const { return weights_.weight.size(1); }

 private:
  RecurrentWeights weights_;
  GruVariant variant_;
};

struct LstmState {
  Tensor h, c;  ///< [B, H]
};

struct LstmCellOptions {
  std::int64_t input = 0;  ///< width of the input; 0: none, the caller makes the input projection (step_from_projection)
  std::int64_t hidden = 0;
  bool bias = true;
  Initializer init = glorot_uniform();  ///< of each gate's part of each weight
};

class LstmCell {
 public:
  using Options = LstmCellOptions;
  using State = LstmState;
  LstmCell(const Scope& scope, const LstmCellOptions& options);

  /// x [B, input] -> the next state.
  LstmState step(const Tensor& x, const LstmState& state) const { return step_from_projection(input_projection(x), state); }
  /// The same from the input projection [B, 4H].
  LstmState step_from_projection(const Tensor& projection, const LstmState& state) const;
  /// x [..., input] -> [..., 4H].
  Tensor input_projection(const Tensor& x) const { return weights_.projection(x); }

  struct Sequence {
    Tensor output;  ///< [B, T, H]
    LstmState last;
  };
  /// A whole sequence x [B, T, input]; lengths and reverse as in autograd/ops/recurrent.h. The tensors of `first` may be undefined: zero.
  Sequence sequence(const Tensor& x, const LstmState& first, const Tensor& lengths, bool reverse) const;

  std::int64_t hidden() const { return weights_.weight.size(1); }

 private:
  RecurrentWeights weights_;
};

template <class Cell>
struct RecurrentOptions {
  typename Cell::Options cell = {};  ///< of the first layer; the others read the layer before
  std::int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;  ///< of the outputs of every layer but the last
};

/// Layers of GruCell or LstmCell.
template <class Cell>
class Recurrent {
 public:
  using State = typename Cell::State;
  /// Parameters "<layer>/forward/..." and "<layer>/backward/...".
  Recurrent(const Scope& scope, const RecurrentOptions<Cell>& options);

  struct Result {
    Tensor output;            ///< [B, T, H], or [B, T, 2H]: forward, then backward
    std::vector<State> last;  ///< of each layer, forward before backward
  };
  /// x [B, T, input]. `lengths` i64 [B] ends sequences early: outputs at pads are 0, and the backward direction starts at each
  /// sequence's own last step. `first`: a state per layer and direction, or none.
  Result operator()(const Tensor& x, const Tensor& lengths = {}, const Run& run = {}, std::span<const State> first = {}) const;

 private:
  struct Layer {
    std::vector<Cell> directions;
    Dropout dropout;
  };
  std::vector<Layer> layers_;
};

extern template class Recurrent<GruCell>;
extern template class Recurrent<LstmCell>;
using Gru = Recurrent<GruCell>;
using Lstm = Recurrent<LstmCell>;

}  // namespace capstan::nn
