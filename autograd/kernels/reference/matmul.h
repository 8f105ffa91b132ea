#pragma once
// Matrix products by plain loops: the specification. T is the type of the operands, Out that of C; sums are f64 for f64, else f32.

#include <array>
#include <type_traits>

#include "autograd/kernels/matmul.h"

namespace capstan::kernels::reference {

template <class T, class Out>
void matmul(const MatmulProblem& p, const T* a, const T* b, Out* c, const T* bias) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto alpha = static_cast<Sum>(p.alpha), beta = static_cast<Sum>(p.beta);
  for (std::int64_t n = 0; n < p.batch.numel(); ++n) {
    const T* a_n = a;
    const T* b_n = b;
    Out* c_n = c;
    std::int64_t rest = n;
    for (int axis = p.batch.rank() - 1; axis >= 0; --axis) {
      const std::int64_t index = rest % p.batch[axis];
      rest /= p.batch[axis];
      const auto s = static_cast<std::size_t>(axis);
      a_n += index * p.a.batch[s];
      b_n += index * p.b.batch[s];
      c_n += index * p.c.batch[s];
    }
    for (std::int64_t i = 0; i < p.rows; ++i) {
      for (std::int64_t j = 0; j < p.columns; ++j) {
        Sum sum = 0;
        for (std::int64_t k = 0; k < p.depth; ++k)
          sum += static_cast<Sum>(a_n[i * p.a.row + k * p.a.column]) * static_cast<Sum>(b_n[k * p.b.row + j * p.b.column]);
        Out& to = c_n[i * p.c.row + j * p.c.column];
        Sum y = alpha * sum;
        if (p.beta != 0.0) y += beta * static_cast<Sum>(to);
        if (bias != nullptr) y += static_cast<Sum>(bias[j]);
        to = static_cast<Out>(y);
      }
    }
  }
}

}  // namespace capstan::kernels::reference
