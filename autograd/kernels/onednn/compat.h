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

/// Appends y = f(y; alpha, beta) to what happens after a product.
inline void append_function(dnnl::post_ops& list, dnnl::algorithm f, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  list.append_eltwise(f, alpha, beta);
#else
  list.append_eltwise(1.0f, f, alpha, beta);
#endif
}

}  // namespace capstan::kernels::onednn
