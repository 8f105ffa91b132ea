// The specification of the sums of kernels/accumulate.h.

#include "autograd/kernels/accumulate.h"

#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

template <class T>
void AddInto<T>::reference(const Strided<const T>& from, const Strided<T>& to) {
  const StridedLoop<2> loop({&from.layout, &to.layout});
  const std::int64_t s = loop.inner_stride(0), d = loop.inner_stride(1);
  loop.run(0, loop.numel(), [&](std::int64_t n, const auto& at) {
    for (std::int64_t i = 0; i < n; ++i)
      to.data[at[1] + i * d] = convert<T>(Compute<T>{to.data[at[1] + i * d]} + Compute<T>{from.data[at[0] + i * s]});
  });
}

// Summed in double.
template <class In, class Out>
void SumAxis<In, Out>::reference(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y) {
  for (std::int64_t a = 0; a < outer; ++a)
    for (std::int64_t b = 0; b < inner; ++b) {
      double total = 0;
      for (std::int64_t r = 0; r < count; ++r) total += convert<double>(x[(a * count + r) * inner + b]);
      y[a * inner + b] = convert<Out>(total);
    }
}

template AddInto<float>::Signature AddInto<float>::reference;
template AddInto<bfloat16>::Signature AddInto<bfloat16>::reference;
template AddInto<double>::Signature AddInto<double>::reference;
template SumAxis<float, float>::Signature SumAxis<float, float>::reference;
template SumAxis<bfloat16, float>::Signature SumAxis<bfloat16, float>::reference;
template SumAxis<float, bfloat16>::Signature SumAxis<float, bfloat16>::reference;
template SumAxis<bfloat16, bfloat16>::Signature SumAxis<bfloat16, bfloat16>::reference;
template SumAxis<double, double>::Signature SumAxis<double, double>::reference;

}  // namespace capstan::kernels
