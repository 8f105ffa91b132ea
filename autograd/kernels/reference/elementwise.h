#pragma once
// Reference kernels of elementwise.h: plain loops over the functions of functions.h.

#include <cstdint>
#include <tuple>
#include <utility>

#include "autograd/kernels/functions.h"
#include "autograd/kernels/numeric.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels::reference {

/// y[i] = f(x[i]...), y contiguous.
template <class F, class Out, class... In>
void map(const F& f, Out* y, const Strided<const In>&... x) {
  const Layout dense(std::get<0>(std::tie(x.layout...)).shape());
  const StridedLoop<1 + sizeof...(In)> loop({&dense, &x.layout...});
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    loop.run(0, loop.numel(), [&](std::int64_t n, const auto& at) {
      for (std::int64_t i = 0; i < n; ++i) y[at[0] + i] = convert<Out>(f(Compute<In>{x.data[at[K + 1] + i * loop.inner_stride(K + 1)]}...));
    });
  }(std::index_sequence_for<In...>{});
}

template <class F, class T>
void bias_activation_gradient(const F& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept, const T* bias, T* dx,
                              T* dbias) {
  using C = Compute<T>;
  for (std::int64_t c = 0; c < columns; ++c) {
    double total = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t i = r * columns + c;
      const C seen = F::keeps == Keeps::input ? C{kept[i]} + C{bias[c]} : C{kept[i]};
      const C d = C{dy[i]} * f.slope(seen);
      dx[i] = convert<T>(d);
      total += static_cast<double>(d);
    }
    dbias[c] = convert<T>(total);
  }
}

}  // namespace capstan::kernels::reference
