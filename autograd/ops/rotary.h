#pragma once
// Rotary positions (Su et al. 2021, "RoFormer"), as GPT-NeoX and Llama have them: before attention, the queries and keys of a token are
// turned by angles that grow with its place, so that their products depend on distances. With w_i = base^(-2 i / width) and a head's width
// in two halves,
//     y1 = x1 cos(t w) - x2 sin(t w);   y2 = x2 cos(t w) + x1 sin(t w)       for the token at place t

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {

/// Cosines and sines of the angles of the places from 0 on, [places, width / 2] each, at least as many places as asked for. Tables are made
/// once for a width, a base and a type (f32 or f64), and shared: not to be written to. Throws ArgumentError for an odd width or a base that
/// is not positive.
struct RotaryTable {
  Tensor cosines, sines;
};
RotaryTable rotary_table(std::int64_t places, std::int64_t width, double base, DType dtype = DType::f32);

namespace ops {

struct Rotary {
  static constexpr std::string_view name = "rotary";
  struct Args {
    double base = 10000;
    std::int64_t first = 0;  ///< place of the first token
  };
  struct Saved {};
  static Spec spec(const Args& args, const Spec& x);
  static Tensor forward(const Args& args, const Tensor& x, const Call<1>& call, Saved& saved);
  static Grads<1> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<1> needs);
};

using RotaryOps = TypeList<Rotary>;

}  // namespace ops

/// x [..., T, heads, width] -> the same shape, its tokens at the places first ... first + T - 1.
Tensor rotary(const Tensor& x, double base = 10000, std::int64_t first = 0);

}  // namespace capstan
