#pragma once
// LSTM layers: one step (LstmCell) and whole sequences (Lstm: several layers, one or two directions). Formulas: autograd/kernels/recurrent.h.
//
// Weights are PyTorch's: "input/weight" [4H, in], "state/weight" [4H, H], biases "input/bias" and "state/bias"; gates i, f, g, o. Each
// gate's part of a weight starts on its own; biases start at 0.

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/ops/recurrent.h"
#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct LstmState {
  Tensor h, c;  ///< [B, H]
};

struct LstmCellOptions {
  std::int64_t input = 0, hidden = 0;
  bool bias = true;
  Initializer init = glorot_uniform();  ///< of each gate's part of each weight
};

class LstmCell {
 public:
  LstmCell(const Scope& scope, const LstmCellOptions& options);

  /// x [B, input] -> the next state.
  LstmState step(const Tensor& x, const LstmState& state) const;
  struct Walk {
    Tensor output;  ///< [B, T, H]
    LstmState last;
  };
  /// A whole sequence; see ops/recurrent.h. The tensors of `first` may be undefined: zero.
  Walk walk(const Tensor& x, const LstmState& first, const Tensor& lengths, bool reverse) const;

 private:
  Linear input_;
  Tensor weight_, bias_;
};

struct LstmOptions {
  std::int64_t input = 0, hidden = 0, layers = 1;
  bool bidirectional = false;
  bool bias = true;
  double dropout = 0;  ///< of the outputs of every layer but the last
  Initializer init = glorot_uniform();
};

class Lstm {
 public:
  /// Parameters "<layer>/forward/..." and "<layer>/backward/...".
  Lstm(const Scope& scope, const LstmOptions& options);

  struct Result {
    Tensor output;                ///< [B, T, H], or [B, T, 2H]: forward, then backward
    std::vector<LstmState> last;  ///< of each layer, forward before backward
  };
  /// x [B, T, input]. `lengths` i64 [B] ends sequences early: outputs at pads are 0, and the backward direction starts at each
  /// sequence's own last step. `first`: a state per layer and direction, or none.
  Result operator()(const Tensor& x, const Tensor& lengths = {}, const Run& run = {}, std::span<const LstmState> first = {}) const;

 private:
  struct Layer {
    std::vector<LstmCell> directions;
    Dropout dropout;
  };
  std::vector<Layer> layers_;
};

}  // namespace capstan::nn
