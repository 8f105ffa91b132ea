#include "autograd/kernels/dropout.h"

#include <type_traits>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/dropout.h"
#include "autograd/kernels/reference/dropout.h"

namespace capstan::kernels {

template <class T>
void dropout(const T* x, const DropoutMask& mask, T* y, std::int64_t n) {
  if constexpr (!std::is_same_v<T, double>)
    if (backend() == Backend::fast) return openmp::dropout(x, mask, y, n);
  reference::dropout(x, mask, y, n);
}

template void dropout(const float*, const DropoutMask&, float*, std::int64_t);
template void dropout(const bfloat16*, const DropoutMask&, bfloat16*, std::int64_t);
template void dropout(const double*, const DropoutMask&, double*, std::int64_t);

}  // namespace capstan::kernels
