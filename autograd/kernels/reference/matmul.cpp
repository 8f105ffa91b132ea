// The specification of kernels/matmul.h.

#include "autograd/kernels/matmul.h"

#include <type_traits>

namespace capstan::kernels {
namespace {

// T is the type of the operands, Out that of C; sums are f64 for f64, else f32.
template <class T, class Out>
void multiply(const MatmulProblem& p, const void* a_data, const void* b_data, void* c_data, const void* bias_data) {
  const T *const a = static_cast<const T*>(a_data), *const b = static_cast<const T*>(b_data),
                 *const bias = static_cast<const T*>(bias_data);
  Out* const c = static_cast<Out*>(c_data);
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

}  // namespace

void Matmul::reference(const MatmulProblem& p, const void* a, const void* b, void* c, const void* bias) {
  if (p.in == DType::f64) return multiply<double, double>(p, a, b, c, bias);
  if (p.in == DType::f32) return multiply<float, float>(p, a, b, c, bias);
  p.out == DType::f32 ? multiply<bfloat16, float>(p, a, b, c, bias) : multiply<bfloat16, bfloat16>(p, a, b, c, bias);
}

}  // namespace capstan::kernels
