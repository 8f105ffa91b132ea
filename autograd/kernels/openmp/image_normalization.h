#pragma once
// The loops over a plane that kernels/reference/image_normalization.h is a pattern for, vectorised. T: float, bfloat16.

#include <cstdint>
#include <functional>

#include "autograd/kernels/openmp/planes.h"
#include "autograd/kernels/reference/image_normalization.h"

namespace capstan::kernels::openmp {

template <class T>
struct PlaneLoops {
  static float sum(const T* x, std::int64_t n);
  static float squares(const T* x, float mean, std::int64_t n);
  static reference::TwoSums<float> products(const T* dy, const T* x, float mean, std::int64_t n);
  static void write(T* y, const T* x, float mean, float scale, float shift, std::int64_t n);
  static void write_gradient(T* dx, const T* dy, const T* x, float mean, float p, float q, float r, std::int64_t n);
  template <class F>
  static void for_each_plane(std::int64_t planes, std::int64_t work, const F& f) {
    openmp::for_each_plane(planes, work, f);
  }
};

}  // namespace capstan::kernels::openmp
