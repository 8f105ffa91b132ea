// Planes do not depend on each other: threads divide them, and each runs the plain loops of the reference on its planes.

#include "autograd/kernels/pool.h"

#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels {
namespace {

// Calls f(one plane as a problem of its own, where the plane begins in x, where it begins in y).
template <class F>
void for_each_plane(const PoolProblem& p, const F& f) {
  PoolProblem plane = p;
  plane.planes = 1;
  parallel_tasks(p.planes, p.planes * p.out_size() * p.height.kernel * p.width.kernel,
                 [&](std::int64_t i) { f(plane, i * p.in_size(), i * p.out_size()); });
}

}  // namespace

template <class T>
void MaxPool2d<T>::fast(const PoolProblem& p, const T* x, T* y, std::int32_t* indices) {
  for_each_plane(p, [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, x + in, y + out, indices + out); });
}

template <class T>
void MaxPool2dBackward<T>::fast(const PoolProblem& p, const T* dy, const std::int32_t* indices, T* dx) {
  for_each_plane(p,
                 [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, dy + out, indices + out, dx + in); });
}

template <class T>
void AvgPool2d<T>::fast(const PoolProblem& p, bool count_padding, const T* x, T* y) {
  for_each_plane(p, [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, count_padding, x + in, y + out); });
}

template <class T>
void AvgPool2dBackward<T>::fast(const PoolProblem& p, bool count_padding, const T* dy, T* dx) {
  for_each_plane(p,
                 [=](const PoolProblem& plane, std::int64_t in, std::int64_t out) { reference(plane, count_padding, dy + out, dx + in); });
}

template MaxPool2d<float>::Signature MaxPool2d<float>::fast;
template MaxPool2d<bfloat16>::Signature MaxPool2d<bfloat16>::fast;
template MaxPool2dBackward<float>::Signature MaxPool2dBackward<float>::fast;
template MaxPool2dBackward<bfloat16>::Signature MaxPool2dBackward<bfloat16>::fast;
template AvgPool2d<float>::Signature AvgPool2d<float>::fast;
template AvgPool2d<bfloat16>::Signature AvgPool2d<bfloat16>::fast;
template AvgPool2dBackward<float>::Signature AvgPool2dBackward<float>::fast;
template AvgPool2dBackward<bfloat16>::Signature AvgPool2dBackward<bfloat16>::fast;

}  // namespace capstan::kernels
