#pragma once
// UnaryOp<F>, BinaryOp<F>: an op from a function of kernels/functions.h. The ops themselves are named in elementwise.h and activation.h.

#include <string_view>

#include "autograd/kernels/elementwise.h"
#include "autograd/tape/op.h"

namespace capstan {
namespace detail {

void check_floating(std::string_view op, const Spec& x);
/// The specification of an op on two floating operands of one type that broadcast.
Spec broadcast_spec(std::string_view op, const Spec& a, const Spec& b);

Tensor map_unary(const kernels::UnaryFunction& f, const Tensor& x);
/// dy * f.slope(kept)
Tensor map_unary_gradient(const kernels::UnaryFunction& f, const Tensor& dy, const Tensor& kept);
Tensor map_binary(const kernels::BinaryFunction& f, const Tensor& a, const Tensor& b);
/// dy * f.slope_a(a, b) or dy * f.slope_b(a, b)
Tensor map_binary_gradient(const kernels::BinaryFunction& f, kernels::Operand of, const Tensor& dy, const Tensor& a, const Tensor& b);

}  // namespace detail

/// y = f(x), dx = dy f'(x). The function is its own Args: its constants are its members.
template <class F>
struct UnaryOp {
  static constexpr std::string_view name = F::name;
  using Args = F;
  struct Saved { Tensor kept; };  ///< x, y or nothing: what F::keeps says

  static Spec spec(const Args&, const Spec& x) {
    detail::check_floating(name, x);
    return x;
  }
  static Tensor forward(const Args& f, const Tensor& x, Saved& saved) {
    const Tensor y = detail::map_unary(f, x);
    if constexpr (F::keeps == kernels::Keeps::input) saved.kept = x;
    if constexpr (F::keeps == kernels::Keeps::output) saved.kept = y;
    return y;
  }
  static Grads<1> backward(const Args& f, const Saved& saved, const Tensor& dy, Needs<1>) {
    return {detail::map_unary_gradient(f, dy, saved.kept)};
  }
};

/// y = f(a, b) on broadcast operands; da = dy df/da, db = dy df/db, summed over the broadcast axes by the tape.
template <class F>
struct BinaryOp {
  static constexpr std::string_view name = F::name;
  static constexpr bool is_sum = std::is_same_v<F, kernels::functions::Add> || std::is_same_v<F, kernels::functions::Sub>;
  struct Args {};
  struct Saved { Tensor a, b; };  ///< nothing for a sum

  static Spec spec(const Args&, const Spec& a, const Spec& b) { return detail::broadcast_spec(name, a, b); }
  static Tensor forward(const Args&, const Tensor& a, const Tensor& b, Saved& saved) {
    if constexpr (!is_sum) saved = {a, b};
    return detail::map_binary(F{}, a, b);
  }
  static Grads<2> backward(const Args&, const Saved& saved, const Tensor& dy, Needs<2> needs) {
    Grads<2> d;
    if constexpr (is_sum) {
      if (needs[0]) d[0] = dy;
      if (needs[1]) d[1] = std::is_same_v<F, kernels::functions::Add> ? dy : detail::map_unary(kernels::functions::Neg{}, dy);
    } else {
      if (needs[0]) d[0] = detail::map_binary_gradient(F{}, kernels::Operand::a, dy, saved.a, saved.b);
      if (needs[1]) d[1] = detail::map_binary_gradient(F{}, kernels::Operand::b, dy, saved.a, saved.b);
    }
    return d;
  }
};

}  // namespace capstan
