// Two passes forward and two backward. A block of rows stays in a core's cache while its mean and then its deviations from that are summed,
// so that the statistics cost one pass over memory; blocks are put together as by Chan, Golub and LeVeque ("Updating formulae and a
// pairwise algorithm for computing sample variances", 1979).

#include "autograd/kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kBlock = 1 << 14;  // elements whose f32 values fit into a core's cache beside those of another tensor

// Blocks of rows, whose number depends on the sizes alone.
struct Blocks {
  std::int64_t rows, height, count;
  explicit Blocks(std::int64_t rows_in_all, std::int64_t channels)
      : rows(rows_in_all),
        height(std::max<std::int64_t>(kBlock / std::max<std::int64_t>(channels, 1), 8)),
        count((rows + height - 1) / height) {}
  std::int64_t first(std::int64_t block) const { return block * height; }
  std::int64_t size(std::int64_t block) const { return std::min(height, rows - first(block)); }
};

// The loops over a row are never inlined: two copies might be vectorised differently, and a result depend on which one a thread took.

// mean[c] = the mean of x over rows, which are at least one. It is taken of differences from the first row, since a sum of numbers far from
// zero would be rounded by more than they differ.
template <class T>
[[gnu::noinline]] void mean_of_rows(const T* x, std::int64_t rows, std::int64_t channels, float* mean) {
  const T* const first = x;
  const float count = static_cast<float>(rows);
  std::fill_n(mean, channels, 0.0f);
  for (; rows >= 4; rows -= 4, x += 4 * channels) {
    const T *a = x, *b = x + channels, *c = b + channels, *d = c + channels;
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t i = 0; i < channels; ++i) {
      const float f = static_cast<float>(first[i]);
      mean[i] += ((static_cast<float>(a[i]) - f) + (static_cast<float>(b[i]) - f)) +
                 ((static_cast<float>(c[i]) - f) + (static_cast<float>(d[i]) - f));
    }
  }
  for (; rows > 0; --rows, x += channels)
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t i = 0; i < channels; ++i) mean[i] += static_cast<float>(x[i]) - static_cast<float>(first[i]);
  for (std::int64_t i = 0; i < channels; ++i) mean[i] = static_cast<float>(first[i]) + mean[i] / count;
}

// squares[c] = the sum of (x - mean)^2 over rows
template <class T>
[[gnu::noinline]] void sum_squares(const T* x, std::int64_t rows, std::int64_t channels, const float* mean, float* squares) {
  std::fill_n(squares, channels, 0.0f);
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2, x += 2 * channels) {
    const T *a = x, *b = x + channels;
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t i = 0; i < channels; ++i) {
      const float p = static_cast<float>(a[i]) - mean[i], q = static_cast<float>(b[i]) - mean[i];
      squares[i] += p * p + q * q;
    }
  }
  for (; r < rows; ++r, x += channels)
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t i = 0; i < channels; ++i) {
      const float p = static_cast<float>(x[i]) - mean[i];
      squares[i] += p * p;
    }
}

// A row of y = relu((x - mean) scale + shift + residual)
template <bool kRelu, bool kResidual, class T>
[[gnu::noinline]] void write_row(const T* x, const T* residual, const float* mean, const float* scale, const float* shift,
                                 std::int64_t channels, T* y) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < channels; ++i) {
    float v = (static_cast<float>(x[i]) - mean[i]) * scale[i] + shift[i];
    if constexpr (kResidual) v += static_cast<float>(residual[i]);
    if constexpr (kRelu) v = v < 0.0f ? 0.0f : v;
    store(y[i], v);
  }
}

// Adds a row to the sums of g and of g (x - mean), where g is dy, masked by y.
template <bool kRelu, class T>
[[gnu::noinline]] void add_products(const T* dy, const T* y, const T* x, const float* mean, std::int64_t channels, float* g_sums,
                                    float* product_sums) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < channels; ++i) {
    float g = static_cast<float>(dy[i]);
    if constexpr (kRelu) g = static_cast<float>(y[i]) > 0.0f ? g : 0.0f;
    g_sums[i] += g;
    product_sums[i] += g * (static_cast<float>(x[i]) - mean[i]);
  }
}

// A row of g
template <class T>
[[gnu::noinline]] void mask_row(const T* dy, const T* y, std::int64_t channels, T* g) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < channels; ++i) store(g[i], static_cast<float>(y[i]) > 0.0f ? static_cast<float>(dy[i]) : 0.0f);
}

// A row of dx = p g + q (x - mean) + r
template <bool kRelu, class T>
[[gnu::noinline]] void gradient_row(const T* dy, const T* y, const T* x, const float* mean, const float* p, const float* q, const float* r,
                                    std::int64_t channels, T* dx) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < channels; ++i) {
    float g = static_cast<float>(dy[i]);
    if constexpr (kRelu) g = static_cast<float>(y[i]) > 0.0f ? g : 0.0f;
    store(dx[i], p[i] * g + q[i] * (static_cast<float>(x[i]) - mean[i]) + r[i]);
  }
}

template <bool kRelu, bool kResidual, class T>
void write_rows(const BatchNormProblem<T>& p, const T* x, const T* residual, const float* mean, const float* scale, const float* shift,
                T* y) {
  const std::int64_t n = p.channels;
  parallel_ranges(
      p.rows, std::max<std::int64_t>(kGrain / (2 * n), 1),
      [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t r = first; r < last; ++r)
          write_row<kRelu, kResidual>(x + r * n, kResidual ? residual + r * n : nullptr, mean, scale, shift, n, y + r * n);
      },
      1);
}

template <bool kRelu, class T>
void backward(const BatchNormProblem<T>& problem, const T* x, const T* y, const BatchNormStatistics<T>& statistics, const T* dy,
              const BatchNormStatistics<T>& dstatistics, const BatchNormGradients<T>& gradients) {
  const std::int64_t n = problem.channels;
  const Blocks blocks(problem.rows, n);
  const float* const mean = statistics.mean;
  const Scratch<float> g_blocks(blocks.count * n), product_blocks(blocks.count * n);
  parallel_tasks(blocks.count, problem.rows * n * 3, [&](std::int64_t b) {
    float *const g_sums = g_blocks.data() + b * n, *const product_sums = product_blocks.data() + b * n;
    std::fill_n(g_sums, n, 0.0f);
    std::fill_n(product_sums, n, 0.0f);
    for (std::int64_t r = blocks.first(b); r < blocks.first(b) + blocks.size(b); ++r) {
      add_products<kRelu>(dy + r * n, y + r * n, x + r * n, mean, n, g_sums, product_sums);
      if (kRelu && gradients.dresidual != nullptr) mask_row(dy + r * n, y + r * n, n, gradients.dresidual + r * n);
    }
  });
  const Scratch<float> g_sums(n), product_sums(n), p(n), q(n), r(n);
  std::fill_n(g_sums.data(), n, 0.0f);
  std::fill_n(product_sums.data(), n, 0.0f);
  for (std::int64_t b = 0; b < blocks.count; ++b)
    for (std::int64_t c = 0; c < n; ++c) {
      g_sums[c] += g_blocks[b * n + c];
      product_sums[c] += product_blocks[b * n + c];
    }
  const float rows = static_cast<float>(std::max<std::int64_t>(problem.rows, 1));
  for (std::int64_t c = 0; c < n; ++c) {
    const float inverse = 1.0f / std::sqrt(statistics.variance[c] + static_cast<float>(problem.eps));
    if (gradients.dgamma != nullptr) gradients.dgamma[c] = product_sums[c] * inverse;
    if (gradients.dbeta != nullptr) gradients.dbeta[c] = g_sums[c];
    p[c] = inverse * (problem.gamma != nullptr ? static_cast<float>(problem.gamma[c]) : 1.0f);
    q[c] = -p[c] * inverse * inverse * product_sums[c] / rows;
    r[c] = -p[c] * g_sums[c] / rows;
    if (dstatistics.mean != nullptr) r[c] += dstatistics.mean[c] / rows;
    if (dstatistics.variance != nullptr) q[c] += 2.0f * dstatistics.variance[c] / rows;
  }
  if (gradients.dx == nullptr) return;
  // What has been masked already is read as it is.
  const bool masked = kRelu && gradients.dresidual != nullptr;
  const T* const g = masked ? gradients.dresidual : dy;
  parallel_ranges(
      problem.rows, std::max<std::int64_t>(kGrain / (3 * n), 1),
      [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first * n; i < last * n; i += n) {
          if (kRelu && !masked)
            gradient_row<true>(g + i, y + i, x + i, mean, p.data(), q.data(), r.data(), n, gradients.dx + i);
          else
            gradient_row<false, T>(g + i, nullptr, x + i, mean, p.data(), q.data(), r.data(), n, gradients.dx + i);
        }
      },
      1);
}

}  // namespace

template <class T>
void BatchNormRows<T>::fast(const BatchNormProblem<T>& p, const T* x, const T* beta, const T* residual,
                            const BatchNormStatistics<T>& statistics, T* y) {
  const std::int64_t n = p.channels;
  const Blocks blocks(p.rows, n);
  const Scratch<float> means(blocks.count * n), squares(blocks.count * n);
  parallel_tasks(blocks.count, p.rows * n * 2, [&](std::int64_t b) {
    float* const mean = means.data() + b * n;
    const T* const from = x + blocks.first(b) * n;
    mean_of_rows(from, blocks.size(b), n, mean);
    sum_squares(from, blocks.size(b), n, mean, squares.data() + b * n);
  });
  // Of the first m rows with mean and squares, and a block of k rows with theirs: d apart, they have mean + d k / (m + k), and the squares
  // of both and d^2 m k / (m + k).
  const Scratch<float> scale(n), shift(n);
  std::fill_n(statistics.mean, n, 0.0f);
  std::fill_n(statistics.variance, n, 0.0f);
  for (std::int64_t b = 0; b < blocks.count; ++b) {
    const float before = static_cast<float>(blocks.first(b)), size = static_cast<float>(blocks.size(b));
    const float share = size / (before + size);
    for (std::int64_t c = 0; c < n; ++c) {
      const float d = means[b * n + c] - statistics.mean[c];
      statistics.mean[c] += d * share;
      statistics.variance[c] += squares[b * n + c] + d * d * before * share;
    }
  }
  const float rows = static_cast<float>(std::max<std::int64_t>(p.rows, 1));
  for (std::int64_t c = 0; c < n; ++c) {
    statistics.variance[c] /= rows;
    scale[c] = (p.gamma != nullptr ? static_cast<float>(p.gamma[c]) : 1.0f) / std::sqrt(statistics.variance[c] + static_cast<float>(p.eps));
    shift[c] = beta != nullptr ? static_cast<float>(beta[c]) : 0.0f;
  }
  const auto write = [&](auto rows_writer) { rows_writer(p, x, residual, statistics.mean, scale.data(), shift.data(), y); };
  if (p.relu)
    write(residual != nullptr ? write_rows<true, true, T> : write_rows<true, false, T>);
  else
    write(residual != nullptr ? write_rows<false, true, T> : write_rows<false, false, T>);
}

// The derivation stands above the reference.
template <class T>
void BatchNormRowsBackward<T>::fast(const BatchNormProblem<T>& p, const T* x, const T* y, const BatchNormStatistics<T>& statistics,
                                    const T* dy, const BatchNormStatistics<T>& dstatistics, const BatchNormGradients<T>& gradients) {
  p.relu ? backward<true>(p, x, y, statistics, dy, dstatistics, gradients)
         : backward<false>(p, x, x, statistics, dy, dstatistics, gradients);
}

template BatchNormRows<float>::Signature BatchNormRows<float>::fast;
template BatchNormRows<bfloat16>::Signature BatchNormRows<bfloat16>::fast;
template BatchNormRowsBackward<float>::Signature BatchNormRowsBackward<float>::fast;
template BatchNormRowsBackward<bfloat16>::Signature BatchNormRowsBackward<bfloat16>::fast;

}  // namespace capstan::kernels
