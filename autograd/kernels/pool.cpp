#include "autograd/kernels/pool.h"

#include "autograd/kernels/backend.h"
#include "autograd/kernels/openmp/planes.h"
#include "autograd/kernels/reference/pool.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// Calls f(plane), on several threads if the fast back end runs and the work is worth it. Planes do not share anything.
template <class T, class F>
void for_each_plane(const PoolProblem& p, const F& f) {
  if (!std::is_same_v<T, double> && backend() == Backend::fast) {
    openmp::for_each_plane(p.planes, p.out_size() * p.height.kernel * p.width.kernel, f);
  } else {
    for (std::int64_t plane = 0; plane < p.planes; ++plane) f(plane);
  }
}

// A plane of a gradient is summed in Compute<T> and rounded once.
template <class T, class F>
void sum_plane(T* to, std::int64_t size, const F& sum) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    sum(to);
  } else {
    const Scratch<Compute<T>> sums(size);
    sum(sums.data());
    for (std::int64_t i = 0; i < size; ++i) to[i] = convert<T>(sums[i]);
  }
}

}  // namespace

template <class T>
void max_pool2d(const PoolProblem& p, const T* x, T* y, std::int32_t* places) {
  for_each_plane<T>(
      p, [&](std::int64_t i) { reference::max_pool_plane(p, x + i * p.in_size(), y + i * p.out_size(), places + i * p.out_size()); });
}

template <class T>
void max_pool2d_backward(const PoolProblem& p, const T* dy, const std::int32_t* places, T* dx) {
  for_each_plane<T>(p, [&](std::int64_t i) {
    sum_plane(dx + i * p.in_size(), p.in_size(),
              [&](Compute<T>* to) { reference::max_pool_plane_backward(p, dy + i * p.out_size(), places + i * p.out_size(), to); });
  });
}

template <class T>
void avg_pool2d(const PoolProblem& p, bool count_padding, const T* x, T* y) {
  for_each_plane<T>(p, [&](std::int64_t i) { reference::avg_pool_plane(p, count_padding, x + i * p.in_size(), y + i * p.out_size()); });
}

template <class T>
void avg_pool2d_backward(const PoolProblem& p, bool count_padding, const T* dy, T* dx) {
  for_each_plane<T>(p, [&](std::int64_t i) {
    sum_plane(dx + i * p.in_size(), p.in_size(),
              [&](Compute<T>* to) { reference::avg_pool_plane_backward(p, count_padding, dy + i * p.out_size(), to); });
  });
}

template void max_pool2d(const PoolProblem&, const float*, float*, std::int32_t*);
template void max_pool2d(const PoolProblem&, const bfloat16*, bfloat16*, std::int32_t*);
template void max_pool2d(const PoolProblem&, const double*, double*, std::int32_t*);
template void max_pool2d_backward(const PoolProblem&, const float*, const std::int32_t*, float*);
template void max_pool2d_backward(const PoolProblem&, const bfloat16*, const std::int32_t*, bfloat16*);
template void max_pool2d_backward(const PoolProblem&, const double*, const std::int32_t*, double*);
template void avg_pool2d(const PoolProblem&, bool, const float*, float*);
template void avg_pool2d(const PoolProblem&, bool, const bfloat16*, bfloat16*);
template void avg_pool2d(const PoolProblem&, bool, const double*, double*);
template void avg_pool2d_backward(const PoolProblem&, bool, const float*, float*);
template void avg_pool2d_backward(const PoolProblem&, bool, const bfloat16*, bfloat16*);
template void avg_pool2d_backward(const PoolProblem&, bool, const double*, double*);

}  // namespace capstan::kernels
