#include "autograd/kernels/normalization.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

// z = the row to normalise, which is written to `sum` in T first so that backward, which reads it there, sees the same numbers.
template <class T>
void add_residual(const NormalizationInput<T>& in, const std::uint8_t* keep, std::int64_t at, std::int64_t n, T* sum, float* z) {
  const T* const x = in.x + at;
  const T* const residual = in.residual + at;
  const T* const bias = in.bias;
  const float scale = static_cast<float>(in.dropout.rate.scale);
  const auto put = [=](std::int64_t j, float branch) {
    store(sum[j], static_cast<float>(residual[j]) + branch);
    z[j] = static_cast<float>(sum[j]);
  };
  if (keep != nullptr && bias != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) put(j, keep_or_zero((static_cast<float>(x[j]) + static_cast<float>(bias[j])) * scale, keep[j]));
  } else if (keep != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) put(j, keep_or_zero(static_cast<float>(x[j]) * scale, keep[j]));
  } else if (bias != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) put(j, static_cast<float>(x[j]) + static_cast<float>(bias[j]));
  } else {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) put(j, static_cast<float>(x[j]));
  }
}

// Mean and variance in two passes; the second also corrects the rounding error of the first. Not centred: the mean is 0.
struct Statistics {
  float mean = 0, variance = 0;

  Statistics(const float* z, std::int64_t n, bool centered) {
    const float inverse_n = 1.0f / static_cast<float>(std::max<std::int64_t>(n, 1));
    float sum = 0;
    if (!centered) {
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
      for (std::int64_t j = 0; j < n; ++j) sum += z[j] * z[j];
      variance = sum * inverse_n;
      return;
    }
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
    for (std::int64_t j = 0; j < n; ++j) sum += z[j];
    mean = sum * inverse_n;
    float first = 0, second = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : first, second)
    for (std::int64_t j = 0; j < n; ++j) {
      const float d = z[j] - mean;
      first += d;
      second += d * d;
    }
    const float shift = first * inverse_n;
    mean += shift;
    variance = std::max(second * inverse_n - shift * shift, 0.0f);
  }
};

// A fixed number of consecutive blocks of rows, whatever the number of threads.
struct RowBlocks {
  std::int64_t rows, count;
  explicit RowBlocks(std::int64_t all_rows) : rows(all_rows), count(std::clamp<std::int64_t>(all_rows / 32, 1, 64)) {}
  std::int64_t begin(std::int64_t block) const { return rows * block / count; }
};

// out[j] = the sum over blocks of partial[block * stride + j], in their order; out may be null.
void add_up(const float* partial, std::int64_t stride, std::int64_t blocks, float* out, std::int64_t n) {
  if (out == nullptr) return;
  std::fill_n(out, n, 0.0f);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const float* const part = partial + block * stride;
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t j = 0; j < n; ++j) out[j] += part[j];
  }
}

// Rows of partial sums begin at multiples of a cache line.
std::int64_t padded(std::int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace

template <class T>
void LayerNorm<T>::fast(const NormalizationInput<T>& in, const NormalizationWeights<T>& w, T* sum, T* y, const RowStatistics<T>& s,
                        std::int64_t rows, std::int64_t n) {
  const bool drops = in.residual != nullptr && in.dropout.drops();
  parallel_row_blocks(rows, n, 4, [&](std::int64_t begin, std::int64_t end) {
    const Scratch<float> z(n);
    const Scratch<std::uint8_t> keep(drops ? (end - begin) * n : 0);
    if (drops) in.dropout.decide(begin * n, (end - begin) * n, keep.data());
    for (std::int64_t r = begin; r < end; ++r) {
      const float* row = z.data();
      if (in.residual != nullptr) {
        add_residual(in, drops ? keep.data() + (r - begin) * n : nullptr, r * n, n, sum + r * n, z.data());
      } else if constexpr (std::is_same_v<T, float>) {
        row = in.x + r * n;
      } else {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) z[j] = static_cast<float>(in.x[r * n + j]);
      }
      const Statistics stats(row, n, w.centered);
      const float mean = stats.mean, inverse = 1.0f / std::sqrt(stats.variance + static_cast<float>(w.eps));
      if (s.mean != nullptr) s.mean[r] = mean, s.inverse_deviation[r] = inverse;
      T* const out = y + r * n;
      const T* const gamma = w.gamma;
      const T* const beta = w.beta;
      if (beta != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j)
          store(out[j], (row[j] - mean) * inverse * static_cast<float>(gamma[j]) + static_cast<float>(beta[j]));
      } else {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) store(out[j], (row[j] - mean) * inverse * static_cast<float>(gamma[j]));
      }
    }
  });
}

template <class T>
void LayerNormBackward<T>::fast(const T* sum, const T* gamma, const RowStatistics<T>& s, const T* dy, const T* dsum,
                                const DropoutMask& dropout, const NormalizationGradients<T>& d, std::int64_t rows, std::int64_t n) {
  const RowBlocks blocks(rows);
  const std::int64_t width = padded(n);
  const Scratch<float> partial(blocks.count * 3 * width);  // [block, {dgamma, dbeta, dbias}, n]
  const bool drops = dropout.drops() && (d.dx != nullptr || d.dbias != nullptr);
  const float scale = static_cast<float>(dropout.rate.scale), inverse_n = 1.0f / static_cast<float>(std::max<std::int64_t>(n, 1));

  parallel_tasks(blocks.count, 4 * rows * n, [&](std::int64_t block) {
    float* const dgamma = partial.data() + block * 3 * width;
    float* const dbeta = dgamma + width;
    float* const dbias = dbeta + width;
    std::fill_n(dgamma, 3 * width, 0.0f);
    const Scratch<float> ds_row(n);
    float* const ds = ds_row.data();
    // As locals: what is read through the closure is taken for something that a store may change.
    const T* const weight = gamma;
    const std::int64_t begin = blocks.begin(block), end = blocks.begin(block + 1), decided = 4096 / std::clamp<std::int64_t>(n, 1, 4096);
    const Scratch<std::uint8_t> keep(drops ? decided * n : 0);  // decisions of several rows are drawn together
    for (std::int64_t r = begin; r < end; ++r) {
      const T* const x = sum + r * n;
      const T* const g = dy + r * n;
      const float mean = s.mean[r], inverse = s.inverse_deviation[r];
      float sum_g = 0, sum_gx = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum_g, sum_gx)
      for (std::int64_t j = 0; j < n; ++j) {
        const float gj = static_cast<float>(g[j]), normal = (static_cast<float>(x[j]) - mean) * inverse,
                    weighted = gj * static_cast<float>(weight[j]);
        sum_g += weighted;
        sum_gx += weighted * normal;
        dgamma[j] += gj * normal;
        dbeta[j] += gj;
      }
      sum_g = s.centered ? sum_g * inverse_n : 0.0f;
      sum_gx *= inverse_n;
      const auto gradient = [=](std::int64_t j) {
        const float normal = (static_cast<float>(x[j]) - mean) * inverse;
        return (static_cast<float>(g[j]) * static_cast<float>(weight[j]) - sum_g - normal * sum_gx) * inverse;
      };
      if (dsum != nullptr) {
        const T* const more = dsum + r * n;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) ds[j] = gradient(j) + static_cast<float>(more[j]);
      } else {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) ds[j] = gradient(j);
      }
      if (d.dresidual != nullptr) {
        T* const out = d.dresidual + r * n;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) store(out[j], ds[j]);
      }
      if (drops) {
        const std::int64_t row = (r - begin) % decided;
        if (row == 0) dropout.decide(r * n, std::min(decided, end - r) * n, keep.data());
        const std::uint8_t* const kept = keep.data() + row * n;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) ds[j] = keep_or_zero(ds[j] * scale, kept[j]);
      }
      if (d.dx != nullptr) {
        T* const out = d.dx + r * n;
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) store(out[j], ds[j]);
      }
      if (d.dbias != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < n; ++j) dbias[j] += ds[j];
      }
    }
  });

  add_up(partial.data(), 3 * width, blocks.count, d.dgamma, n);
  add_up(partial.data() + width, 3 * width, blocks.count, d.dbeta, n);
  add_up(partial.data() + 2 * width, 3 * width, blocks.count, d.dbias, n);
}

template LayerNorm<float>::Signature LayerNorm<float>::fast;
template LayerNorm<bfloat16>::Signature LayerNorm<bfloat16>::fast;
template LayerNormBackward<float>::Signature LayerNormBackward<float>::fast;
template LayerNormBackward<bfloat16>::Signature LayerNormBackward<bfloat16>::fast;

}  // namespace capstan::kernels
