#include "autograd/kernels/session_loss.h"

#include <algorithm>
#include <cmath>

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

constexpr float kLowest = -kInfinity<float>;

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float slope(float s) { return s * (1.0f - s); }

// One row: the scores r (which the gradient replaces), its target's column, and scratch of n floats each.
struct Row {
  float* r;
  std::int64_t n, i;
  float *keep, *e, *s;  // keep: 1 for a negative, else 0
};

// Sums of one pass over the negatives, for the losses that weight them by a softmax.
struct MaxSums {
  float weight = 0, value = 0, square = 0;
};

// exp(r - max) where keep is 1, else 0; a column that does not count may be above the largest that does.
float weight_of(float keep, float r, float max) { return keep * exp_or_zero(std::min(r - max, 0.0f)); }

// row.s is used up.
float largest_negative(const Row& row) {
#pragma omp simd
  for (std::int64_t j = 0; j < row.n; ++j) row.s[j] = row.keep[j] > 0 ? row.r[j] : kLowest;
  return max_of(row.s, row.n, kLowest);
}

// The only loss that makes no other use of keep: a column that does not count has the lowest score.
float cross_entropy(const Row& row, bool all_count) {
  const float t = row.r[row.i];
  if (!all_count) {
    row.keep[row.i] = 1;
#pragma omp simd
    for (std::int64_t j = 0; j < row.n; ++j) row.r[j] = row.keep[j] > 0 ? row.r[j] : kLowest;
  }
  const float max = max_of(row.r, row.n, kLowest), sum = exp_in_place(row.r, row.n, max), inverse = 1.0f / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < row.n; ++j) row.r[j] *= inverse;
  row.r[row.i] -= 1.0f;
  return std::log(sum) + max - t;
}

float bpr(const Row& row) {
  const float t = row.r[row.i];
  float loss = 0, above = 0;
#pragma omp simd reduction(+ : loss, above)
  for (std::int64_t j = 0; j < row.n; ++j) {
    const float x = row.r[j] - t, g = row.keep[j] * sigmoid(x);
    loss += row.keep[j] * (std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x))));
    above += g;
    row.r[j] = g;
  }
  row.r[row.i] = -above;
  return loss + std::log(2.0f);
}

float top1(const Row& row) {
  const float t = row.r[row.i];
  float loss = 0, slopes = 0, count = 1;
#pragma omp simd reduction(+ : loss, slopes, count)
  for (std::int64_t j = 0; j < row.n; ++j) {
    const float r = row.r[j], keep = row.keep[j], above = sigmoid(r - t), size = sigmoid(r * r);
    loss += keep * (above + size);
    slopes += keep * slope(above);
    count += keep;
    row.r[j] = keep * (slope(above) + 2 * r * slope(size));
  }
  const float scale = 1.0f / count;
#pragma omp simd
  for (std::int64_t j = 0; j < row.n; ++j) row.r[j] *= scale;
  row.r[row.i] = -slopes * scale;
  return (loss + 0.5f) * scale;
}

float top1_max(const Row& row) {
  const float t = row.r[row.i], max = largest_negative(row);
  MaxSums sums;
  float slopes = 0;
  if (max > kLowest) {
    float weight = 0, value = 0;
#pragma omp simd reduction(+ : weight, value, slopes)
    for (std::int64_t j = 0; j < row.n; ++j) {
      const float r = row.r[j], above = sigmoid(r - t), size = sigmoid(r * r);
      const float e = weight_of(row.keep[j], r, max);
      weight += e;
      value += e * (above + size);
      slopes += e * slope(above);
      row.e[j] = e;
      row.s[j] = above + size + slope(above) + 2 * r * slope(size);
    }
    sums = {weight, value / weight, 0};
  } else {
    std::fill_n(row.e, row.n, 0.0f);
    std::fill_n(row.s, row.n, 0.0f);
  }
  const float scale = sums.weight > 0 ? 1.0f / sums.weight : 0.0f;
#pragma omp simd
  for (std::int64_t j = 0; j < row.n; ++j) row.r[j] = row.e[j] * scale * (row.s[j] - sums.value);
  row.r[row.i] = -slopes * scale;
  return sums.value;
}

float bpr_max(const Row& row, float bpreg) {
  const float t = row.r[row.i], max = largest_negative(row);
  if (!(max > kLowest)) {
    std::fill_n(row.r, row.n, 0.0f);
    return 0;
  }
  float weight = 0, below = 0, square = 0, slopes = 0;
#pragma omp simd reduction(+ : weight, below, square, slopes)
  for (std::int64_t j = 0; j < row.n; ++j) {
    const float r = row.r[j], s = sigmoid(t - r), e = weight_of(row.keep[j], r, max);
    weight += e;
    below += e * s;
    square += e * r * r;
    slopes += e * slope(s);
    row.e[j] = e;
    row.s[j] = s;
  }
  const float scale = 1.0f / weight;
  below *= scale;
  square *= scale;
  const float p = below + 1e-24f, inverse = 1.0f / p;
#pragma omp simd
  for (std::int64_t j = 0; j < row.n; ++j) {
    const float r = row.r[j], s = row.s[j];
    row.r[j] = row.e[j] * scale * ((below - s + slope(s)) * inverse + bpreg * (r * r - square + 2 * r));
  }
  row.r[row.i] = -slopes * scale * inverse;
  return bpreg * square - std::log(p);
}

}  // namespace

template <class T>
double SessionLoss<T>::fast(const SessionScores<T>& k, const SessionLossRule& rule) {
  const std::int64_t n = k.columns, width = (n + 15) / 16 * 16;
  const int team = 8 * k.rows * n < 2 * kGrain ? 1 : omp_get_max_threads();
  const Scratch<float> scratch(4 * width * team);
  const Scratch<float> losses(k.rows);
  const auto elu = static_cast<float>(rule.elu), bpreg = static_cast<float>(rule.bpreg);
#pragma omp parallel for num_threads(team) schedule(static)
  for (std::int64_t i = 0; i < k.rows; ++i) {
    float* const mine = scratch.data() + 4 * width * omp_get_thread_num();
    float* const slopes = mine + 3 * width;  // of the ELU
    const Row row{k.scores + i * n, n, i, mine, mine + width, mine + 2 * width};
    if (k.column_add != nullptr) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) row.r[j] += k.column_add[j];
    }
    if (k.items != nullptr) {
      const std::int64_t own = k.items[i];
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) row.keep[j] = k.items[j] != own ? 1.0f : 0.0f;
    } else if (rule.kind != SessionLossKind::cross_entropy) {
      std::fill_n(row.keep, n, 1.0f);
    }
    row.keep[i] = 0;
    if (elu > 0) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) {
        const float r = row.r[j], low = elu * std::expm1(std::min(r, 0.0f));
        row.r[j] = r < 0 ? low : r;
        slopes[j] = r < 0 ? low + elu : 1.0f;
      }
    }
    float loss = 0;
    switch (rule.kind) {
      case SessionLossKind::cross_entropy: loss = cross_entropy(row, k.items == nullptr); break;
      case SessionLossKind::bpr: loss = bpr(row); break;
      case SessionLossKind::top1: loss = top1(row); break;
      case SessionLossKind::top1_max: loss = top1_max(row); break;
      case SessionLossKind::bpr_max: loss = bpr_max(row, bpreg); break;
    }
    losses[i] = loss;
    if (elu > 0) {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) row.r[j] *= slopes[j];
    }
  }
  double total = 0;
  for (const float loss : losses.span()) total += static_cast<double>(loss);
  return total;
}

template SessionLoss<float>::Signature SessionLoss<float>::fast;

}  // namespace capstan::kernels
