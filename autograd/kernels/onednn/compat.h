#pragma once
// The one file that knows the version of oneDNN. Its C++ interface changed between 2.x and 3.x; the functions here have one
// meaning for both.

#include <oneapi/dnnl/dnnl.hpp>

namespace capstan::kernels::onednn {

/// C = A * B, with a bias if its descriptor is not null.
inline dnnl::matmul::primitive_desc matmul_descriptor(const dnnl::engine& engine, const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                                      const dnnl::memory::desc* bias, const dnnl::memory::desc& c,
                                                      const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return bias == nullptr ? dnnl::matmul::primitive_desc(engine, a, b, c, attributes)
                         : dnnl::matmul::primitive_desc(engine, a, b, *bias, c, attributes);
#else
  const auto operation = bias == nullptr ? dnnl::matmul::desc(a, b, c) : dnnl::matmul::desc(a, b, *bias, c);
  return dnnl::matmul::primitive_desc(operation, attributes, engine);
#endif
}

/// What a convolution is, but for its operands: strides, dilations (0 is dense) and padding of height and width.
struct ConvWindow {
  dnnl::memory::dims strides, dilations, before, after;
};

inline dnnl::convolution_forward::primitive_desc convolution_descriptor(const dnnl::engine& engine, const dnnl::memory::desc& x,
                                                                        const dnnl::memory::desc& weight, const dnnl::memory::desc* bias,
                                                                        const dnnl::memory::desc& y, const ConvWindow& w,
                                                                        const dnnl::primitive_attr& attributes) {
  constexpr auto kind = dnnl::prop_kind::forward_training;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const dnnl::memory::desc b = bias == nullptr ? dnnl::memory::desc() : *bias;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kind, algorithm, x, weight, b, y, w.strides, w.dilations, w.before, w.after, attributes};
#else
  return {{kind, algorithm, x, weight, b, y, w.strides, w.dilations, w.before, w.after}, attributes, engine};
#endif
}

inline dnnl::convolution_backward_data::primitive_desc convolution_data_descriptor(const dnnl::engine& engine, const dnnl::memory::desc& dx,
                                                                                   const dnnl::memory::desc& weight,
                                                                                   const dnnl::memory::desc& dy, const ConvWindow& w,
                                                                                   const dnnl::convolution_forward::primitive_desc& forward,
                                                                                   const dnnl::primitive_attr& attributes) {
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, algorithm, dx, weight, dy, w.strides, w.dilations, w.before, w.after, forward, attributes};
#else
  return {{algorithm, dx, weight, dy, w.strides, w.dilations, w.before, w.after}, attributes, engine, forward};
#endif
}

inline dnnl::convolution_backward_weights::primitive_desc convolution_weights_descriptor(
    const dnnl::engine& engine, const dnnl::memory::desc& x, const dnnl::memory::desc& dweight, const dnnl::memory::desc* dbias,
    const dnnl::memory::desc& dy, const ConvWindow& w, const dnnl::convolution_forward::primitive_desc& forward,
    const dnnl::primitive_attr& attributes) {
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const dnnl::memory::desc b = dbias == nullptr ? dnnl::memory::desc() : *dbias;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, algorithm, x, dweight, b, dy, w.strides, w.dilations, w.before, w.after, forward, attributes};
#else
  return {{algorithm, x, dweight, b, dy, w.strides, w.dilations, w.before, w.after}, attributes, engine, forward};
#endif
}

/// Appends y = f(y; alpha, beta) to what happens after a product.
inline void append_function(dnnl::post_ops& list, dnnl::algorithm f, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  list.append_eltwise(f, alpha, beta);
#else
  list.append_eltwise(1.0f, f, alpha, beta);
#endif
}

}  // namespace capstan::kernels::onednn
