#include "autograd/kernels/conv.h"

#include <cstring>

#include "autograd/core/tensor.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/onednn/conv.h"
#include "autograd/kernels/onednn/engine.h"
#include "autograd/kernels/reference/conv.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

bool is_fast(const ConvProblem& p) { return p.dtype != DType::f64 && backend() == Backend::fast; }

void set_zero(void* to, std::int64_t count, DType dtype) {
  if (to != nullptr && count > 0) std::memset(to, 0, static_cast<std::size_t>(count) * size_of(dtype));
}

// bf16 on a processor without vectors for it: f32 copies are convolved, and the results rounded once.
bool must_widen(const ConvProblem& p) { return p.dtype == DType::bf16 && is_fast(p) && !onednn::computes_bfloat16(); }
ConvProblem widened(ConvProblem p) {
  p.dtype = DType::f32;
  return p;
}
class Wide {
 public:
  Wide(const void* from, std::int64_t count) : copy_(from == nullptr ? 0 : count), is_null_(from == nullptr) {
    if (!is_null_) convert_type(DType::bf16, from, Layout(Shape{count}), DType::f32, copy_.data());
  }
  operator const void*() const { return is_null_ ? nullptr : copy_.data(); }

 private:
  Scratch<float> copy_;
  bool is_null_;
};
void narrow(const Scratch<float>& from, void* to) {
  if (to != nullptr) convert_type(DType::f32, from.data(), Layout(Shape{from.size()}), DType::bf16, to);
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
  if (must_widen(p)) {
    const Scratch<float> wide_y(p.y_size());
    conv2d(widened(p), Wide(x, p.x_size()), Wide(weight, p.weight_size()), Wide(bias, p.out_channels), wide_y.data());
    return narrow(wide_y, y);
  }
  if (is_fast(p)) return onednn::conv2d(p, x, weight, bias, y);
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    reference::conv2d(p, as<T>(x), as<T>(weight), as<T>(bias), as<T>(y));
  });
}

void conv2d_backward_data(const ConvProblem& p, const void* dy, const void* weight, void* dx) {
  if (p.batch == 0) return;
  if (must_widen(p)) {
    const Scratch<float> wide_dx(p.x_size());
    conv2d_backward_data(widened(p), Wide(dy, p.y_size()), Wide(weight, p.weight_size()), wide_dx.data());
    return narrow(wide_dx, dx);
  }
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
  if (must_widen(p)) {
    const Scratch<float> wide_dweight(p.weight_size()), wide_dbias(dbias == nullptr ? 0 : p.out_channels);
    conv2d_backward_weights(widened(p), Wide(x, p.x_size()), Wide(dy, p.y_size()), wide_dweight.data(),
                            dbias == nullptr ? nullptr : wide_dbias.data());
    narrow(wide_dweight, dweight);
    return narrow(wide_dbias, dbias);
  }
  if (is_fast(p)) return onednn::conv2d_backward_weights(p, x, dy, dweight, dbias);
  dispatch_floating("conv2d", p.dtype, [&](auto zero) {
    using T = decltype(zero);
    reference::conv2d_backward_weights(p, as<T>(x), as<T>(dy), as<T>(dweight), as<T>(dbias));
  });
}

}  // namespace capstan::kernels
