#pragma once
// Recurrent layers: GRU and LSTM, one step or a whole sequence.
//
// These ops take the input projections of the gates, `gates` = x * weight_ih^T + bias_ih, made for all steps by one linear op (or looked
// up in a table where x is one-hot); what is here is the recurrence over the states. Gate orders are PyTorch's: GRU r, z, n; LSTM i, f, g,
// o; weight_hh is [gates * H, H]. States, weight and bias have the element type of `gates`; bf16 is stored only, all arithmetic is in f32.
//
// `lengths` (i64 [B], in 0 .. T) ends each sequence early: outputs at pads are 0, no gradient comes from there, and the last state is
// that of the last real step. `reverse` goes from each sequence's own last step to its first. Optional arguments are undefined tensors.

#include <array>
#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// Where the reset gate r acts: on the state before its product with the weight (n from r o h), or on the product (n from r o a).
///   reset_before  h' = (1 - z) o h + z o n  (Cho et al., 2014, as in the Theano code of GRU4Rec)
///   reset_after   h' = (1 - z) o n + z o h  (cuDNN, PyTorch; z has the opposite meaning)
enum class GruVariant : std::uint8_t { reset_before, reset_after };

namespace ops {

struct GruCell {
  static constexpr std::string_view name = "gru_cell";
  struct Args {
    GruVariant variant = GruVariant::reset_after;
  };
  struct Saved {
    Tensor state, weight, activations;
  };
  static Spec spec(const Args&, const Spec& gates, const Spec& state, const Spec& weight, const Spec& bias);
  static Tensor forward(const Args&, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                        const Call<4>& call, Saved& saved);
  static Grads<4> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<4> needs);
};

struct Gru {
  static constexpr std::string_view name = "gru";
  struct Args {
    GruVariant variant = GruVariant::reset_after;
    bool reverse = false;
  };
  struct Saved {
    Tensor weight, lengths, activations, previous;
  };
  static std::array<Spec, 2> spec(const Args&, const Spec& gates, const Spec& state, const Spec& weight, const Spec& bias,
                                  const Spec& lengths);
  static std::array<Tensor, 2> forward(const Args&, const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias,
                                       const Tensor& lengths, const Call<5, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<5> backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs);
};

struct LstmCell {
  static constexpr std::string_view name = "lstm_cell";
  struct Args {};
  struct Saved {
    Tensor weight, activations, previous_h, previous_c;
  };
  static std::array<Spec, 2> spec(const Args&, const Spec& gates, const Spec& h, const Spec& c, const Spec& weight, const Spec& bias);
  static std::array<Tensor, 2> forward(const Args&, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                       const Tensor& bias, const Call<5, std::array<Spec, 2>>& call, Saved& saved);
  static Grads<5> backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<5> needs);
};

struct Lstm {
  static constexpr std::string_view name = "lstm";
  struct Args {
    bool reverse = false;
  };
  struct Saved {
    Tensor weight, lengths, activations, previous_h, previous_c;
  };
  static std::array<Spec, 3> spec(const Args&, const Spec& gates, const Spec& h, const Spec& c, const Spec& weight, const Spec& bias,
                                  const Spec& lengths);
  static std::array<Tensor, 3> forward(const Args&, const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                       const Tensor& bias, const Tensor& lengths, const Call<6, std::array<Spec, 3>>& call, Saved& saved);
  static Grads<6> backward(const Args&, const Saved& saved, const std::array<Tensor, 3>& dy, Needs<6> needs);
};

using RecurrentOps = TypeList<GruCell, Gru, LstmCell, Lstm>;

}  // namespace ops

/// One step: gates [B, 3H], state [B, H], weight [3H, H], bias [3H] or undefined. Returns the next state [B, H].
inline Tensor gru_cell(const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias = {},
                       GruVariant variant = GruVariant::reset_after) {
  return apply<ops::GruCell>({variant}, gates, state, weight, bias);
}

/// A sequence: gates [B, T, 3H], first state [B, H] or undefined (zero). Returns all outputs [B, T, H] and the last state [B, H].
inline std::array<Tensor, 2> gru(const Tensor& gates, const Tensor& state, const Tensor& weight, const Tensor& bias, const Tensor& lengths,
                                 const ops::Gru::Args& args = {}) {
  return apply<ops::Gru>(args, gates, state, weight, bias, lengths);
}

/// One step: gates [B, 4H], h and c [B, H], weight [4H, H]. Returns the next h and c.
inline std::array<Tensor, 2> lstm_cell(const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight,
                                       const Tensor& bias = {}) {
  return apply<ops::LstmCell>({}, gates, h, c, weight, bias);
}

/// A sequence: gates [B, T, 4H], first h and c [B, H] or undefined (zero). Returns all outputs [B, T, H], the last h and the last c.
inline std::array<Tensor, 3> lstm(const Tensor& gates, const Tensor& h, const Tensor& c, const Tensor& weight, const Tensor& bias,
                                  const Tensor& lengths, const ops::Lstm::Args& args = {}) {
  return apply<ops::Lstm>(args, gates, h, c, weight, bias, lengths);
}

}  // namespace capstan
