#pragma once
// What the tape itself needs: copies, sums over broadcast axes, accumulation. Types: f32, bf16, f64 (copy: all).

#include <cstdint>

#include "autograd/core/tensor.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/strided.h"

namespace capstan::kernels {

/// to = from; equal shapes and element types, any strides.
void copy(const Tensor& from, const Tensor& to);
/// to = from in to's element type; equal shapes, `from` of any strides, `to` contiguous.
void convert(const Tensor& from, const Tensor& to);
/// to += from; equal shapes and element types, any strides.
void add_into(const Tensor& from, const Tensor& to);
/// to = the sum of `from` over the axes along which to's shape was broadcast to from's; `to` contiguous, of from's type or f32
/// for bf16.
void sum_to_shape(const Tensor& from, const Tensor& to);
/// to = from for elements of any type of that size: nothing is computed, so there is one form for every back end. Word:
/// std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t.
template <class Word>
void copy_words(const Strided<const Word>& from, const Strided<Word>& to);

/// to += from.
template <class T>
struct AddInto {
  using Signature = void(const Strided<const T>& from, const Strided<T>& to);
  static Signature fast, reference;
};

/// y[a, b] = sum over r of x[a, r, b]; contiguous. In, Out: float, bfloat16 (summed in float), or both double. The order of summation
/// depends on the sizes alone.
template <class In, class Out>
struct SumAxis {
  using Signature = void(std::int64_t outer, std::int64_t count, std::int64_t inner, const In* x, Out* y);
  static Signature fast, reference;
};

}  // namespace capstan::kernels
