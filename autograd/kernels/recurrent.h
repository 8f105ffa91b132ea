#pragma once
// Recurrent kernels: a GRU or LSTM layer over all steps of a batch, forward and backward.
//
// The input projection of the gates is given (one matrix product for all steps, outside), so a step is one product with the
// state and one fused pass over the gates. A single step is the case time = 1. All arrays are contiguous, batch first. The products are
// calls of `multiply`, which tell a profile of their work.
// Sequences may have lengths: outputs at pads are 0, and the last state is that of the last real step. `reverse` runs each
// sequence from its own last step to its first. Types: float, double (double always runs on the reference).
//
// GRU, gates in the order r, z, n; x is the input projection, a = previous h * weight^T + bias:
//   reset_before  r = s(x + a), z = s(x + a), n = tanh(x + (r o h) * weight_n^T + bias_n), h' = (1 - z) o h + z o n
//                 (Cho et al., 2014, as in the Theano code of GRU4Rec)
//   reset_after   r, z as above,              n = tanh(x + r o a),                         h' = (1 - z) o n + z o h
//                 (cuDNN, PyTorch; note that z has the opposite meaning)
// LSTM, gates i, f, g, o: c' = s(f) o c + s(i) o tanh(g), h' = s(o) o tanh(c').

#include <cstdint>

#include "autograd/kernels/backend.h"

namespace capstan::kernels {

enum class GruVariant : std::uint8_t { reset_before, reset_after };

struct RecurrentSizes {
  std::int64_t batch = 0, time = 0, hidden = 0;  // B, T, H
  bool reverse = false;
  const std::int64_t* lengths = nullptr;  ///< [B] in 0 .. T; null: all T
};

template <class T>
struct GruForward {
  RecurrentSizes sizes;
  GruVariant variant = GruVariant::reset_after;
  const T* input = nullptr;   ///< [B, T, 3H] the input projection of the gates
  const T* h0 = nullptr;      ///< [B, H]; null: zero
  const T* weight = nullptr;  ///< [3H, H]
  const T* bias = nullptr;    ///< [3H] or null
  T* y = nullptr;             ///< [B, T, H]
  T* last = nullptr;          ///< [B, H] or null
  // For backward:
  T* gates = nullptr;     ///< [B, T, 4H]: r, z, n and r o h (reset_before) or a_n (reset_after)
  T* previous = nullptr;  ///< [B, T, H] the state before each step; null: not wanted

  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const GruForward& k);
  static Signature fast, reference;
};

template <class T>
struct GruBackward {
  RecurrentSizes sizes;
  GruVariant variant = GruVariant::reset_after;
  const T* weight = nullptr;
  const T* gates = nullptr;
  const T* previous = nullptr;
  const T* dy = nullptr;     ///< [B, T, H]
  const T* dlast = nullptr;  ///< [B, H]; null: zero
  T* dinput = nullptr;       ///< [B, T, 3H], always written
  T* dh0 = nullptr;          ///< this and the following: null if not wanted
  T* dweight = nullptr;
  T* dbias = nullptr;

  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const GruBackward& k);
  static Signature fast, reference;
};

template <class T>
struct LstmForward {
  RecurrentSizes sizes;
  const T* input = nullptr;   ///< [B, T, 4H]
  const T* h0 = nullptr;      ///< [B, H]; null: zero
  const T* c0 = nullptr;      ///< [B, H]; null: zero
  const T* weight = nullptr;  ///< [4H, H]
  const T* bias = nullptr;    ///< [4H] or null
  T* y = nullptr;             ///< [B, T, H]
  T* last_h = nullptr;        ///< [B, H]
  T* last_c = nullptr;        ///< [B, H]
  T* gates = nullptr;         ///< [B, T, 4H]: i, f, g, o after their activations
  T* previous_h = nullptr;    ///< [B, T, H]
  T* previous_c = nullptr;    ///< [B, T, H]

  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const LstmForward& k);
  static Signature fast, reference;
};

template <class T>
struct LstmBackward {
  RecurrentSizes sizes;
  const T* weight = nullptr;
  const T* gates = nullptr;
  const T* previous_h = nullptr;
  const T* previous_c = nullptr;
  const T* dy = nullptr;
  const T* dlast_h = nullptr;  ///< [B, H]; null: zero
  const T* dlast_c = nullptr;  ///< [B, H]; null: zero
  T* dinput = nullptr;         ///< [B, T, 4H], always written
  T* dh0 = nullptr;            ///< this and the following: null if not wanted
  T* dc0 = nullptr;
  T* dweight = nullptr;
  T* dbias = nullptr;

  static constexpr profile::Kind kind = profile::Kind::product;
  using Signature = void(const LstmBackward& k);
  static Signature fast, reference;
};

inline constexpr Kernel<GruForward, float, double> gru_forward;
inline constexpr Kernel<GruBackward, float, double> gru_backward;
inline constexpr Kernel<LstmForward, float, double> lstm_forward;
inline constexpr Kernel<LstmBackward, float, double> lstm_backward;

}  // namespace capstan::kernels
