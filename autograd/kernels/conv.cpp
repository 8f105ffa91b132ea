#include "autograd/kernels/conv.h"

#include <cstring>

#include "autograd/core/tensor.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/onednn/conv.h"
#include "autograd/kernels/reference/conv.h"

namespace capstan::kernels {
namespace {

bool is_fast(const ConvProblem& p) { return p.dtype != DType::f64 && backend() == Backend::fast; }

void set_zero(void* to, std::int64_t count, DType dtype) {
  if (to != nullptr && count > 0) std::memset(to, 0, static_cast<std::size_t>(count) * size_of(dtype));
}

template <class T>
const T* as(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* as(void* p) {
  return static_cast<T*>(p);
}

}  // namespace

void conv2d(const ConvProblem& p, const void* x, const void* weight, const void* bias, void* y) {
  if (p.y_size() == 0) return;
  if (is_fast(p)) return onednn::conv2d(p, x, weight, bias, y);
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    reference::conv2d(p, as<T>(x), as<T>(weight), as<T>(bias), as<T>(y));
  });
}

void conv2d_backward_data(const ConvProblem& p, const void* dy, const void* weight, void* dx) {
  if (p.batch == 0) return;
  if (is_fast(p)) return onednn::conv2d_backward_data(p, dy, weight, dx);
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    reference::conv2d_backward_data(p, as<T>(dy), as<T>(weight), as<T>(dx));
  });
}

void conv2d_backward_weights(const ConvProblem& p, const void* x, const void* dy, void* dweight, void* dbias) {
  if (p.batch == 0) {
    set_zero(dweight, p.weight_size(), p.dtype);
    set_zero(dbias, p.out_channels, p.dtype);
    return;
  }
  if (is_fast(p)) return onednn::conv2d_backward_weights(p, x, dy, dweight, dbias);
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    reference::conv2d_backward_weights(p, as<T>(x), as<T>(dy), as<T>(dweight), as<T>(dbias));
  });
}

}  // namespace capstan::kernels
