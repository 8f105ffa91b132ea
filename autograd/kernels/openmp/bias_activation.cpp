// Bias + activation of kernels/elementwise.h: an activation is read and written once, forward and backward.

#include "autograd/kernels/openmp/vector_math.h"

#include <algorithm>
#include <variant>

#include "autograd/core/storage.h"
#include "autograd/kernels/elementwise.h"
#include "autograd/kernels/openmp/inline_functions.h"
#include "autograd/kernels/openmp/map.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kTile = 512;      // columns at a time: their sums stay in the first-level cache
constexpr std::int64_t kGroup = 64;      // rows that are summed in one float before it is added to the total
constexpr std::int64_t kMaxBlocks = 16;  // partial sums of a column

// One block of rows and one tile of columns: writes dx and the sums of its columns.
template <class F, class T>
void gradient_tile(const F& f, std::int64_t rows, std::int64_t columns, std::int64_t width, const T* dy, const T* kept, const T* bias,
                   T* dx, float* __restrict sums) {
  alignas(64) float group[kTile], shift[kTile];
  std::fill_n(sums, width, 0.0f);
  for (std::int64_t j = 0; j < width; ++j) shift[j] = F::keeps == Keeps::input ? float{bias[j]} : 0.0f;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kGroup) {
    std::fill_n(group, width, 0.0f);
    for (std::int64_t r = r0; r < std::min(rows, r0 + kGroup); ++r) {
      const T *const dy_row = dy + r * columns, *const kept_row = kept + r * columns;
      T* const dx_row = dx + r * columns;
#pragma omp simd simdlen(kSimdLength <T>)
      for (std::int64_t j = 0; j < width; ++j) {
        const float seen = F::keeps == Keeps::input ? float{kept_row[j]} + shift[j] : float{kept_row[j]};
        const float d = float{dy_row[j]} * f.slope(seen);
        store(dx_row[j], d);
        group[j] += d;
      }
    }
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) sums[j] += group[j];
  }
}

}  // namespace

template <class T>
void BiasActivation<T>::fast(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* x, const T* bias, T* y) {
  const Shape shape{rows, columns};
  const Strided<const T> xs{x, Layout(shape)}, biases{bias, Layout(Shape{columns}).expand(shape)};
  std::visit([&](const auto& g) { map([h = written_out(g)](auto v, auto b) { return h.value(v + b); }, kGrain / 4, y, xs, biases); }, f);
}

template <class T>
void BiasActivationGradient<T>::fast(const BiasFunction& f, std::int64_t rows, std::int64_t columns, const T* dy, const T* kept,
                                     const T* bias, T* dx, Compute<T>* dbias) {
  const std::int64_t tiles = (columns + kTile - 1) / kTile, least = std::max(kGroup, kGrain / 2 / std::max<std::int64_t>(columns, 1));
  const std::int64_t blocks = std::clamp<std::int64_t>(rows / least, 1, kMaxBlocks);
  const Storage scratch(static_cast<std::size_t>(blocks * tiles * kTile) * sizeof(float));
  float* const sums = reinterpret_cast<float*>(scratch.data());
  std::visit(
      [&](const auto& g) {
        parallel_tasks(blocks * tiles, rows * columns * 4, [&](std::int64_t task) {
          const std::int64_t tile = task % tiles, block = task / tiles, first = rows * block / blocks, last = rows * (block + 1) / blocks;
          const std::int64_t column = tile * kTile, at = first * columns + column;
          gradient_tile(written_out(g), last - first, columns, std::min(kTile, columns - column), dy + at, kept + at, bias + column,
                        dx + at, sums + task * kTile);
        });
      },
      f);
  for (std::int64_t c = 0; c < columns; ++c) {
    double total = 0;
    for (std::int64_t block = 0; block < blocks; ++block)
      total += static_cast<double>(sums[(block * tiles + c / kTile) * kTile + c % kTile]);
    dbias[c] = convert<Compute<T>>(total);
  }
}

template BiasActivation<float>::Signature BiasActivation<float>::fast;
template BiasActivation<bfloat16>::Signature BiasActivation<bfloat16>::fast;
template BiasActivationGradient<float>::Signature BiasActivationGradient<float>::fast;
template BiasActivationGradient<bfloat16>::Signature BiasActivationGradient<bfloat16>::fast;

}  // namespace capstan::kernels
