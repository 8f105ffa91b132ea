#include "autograd/kernels/openmp/optimizer_update.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/kernels/openmp/parallel.h"

// Work is cut into pieces of rows, and long rows at multiples of kBlock, wherever the threads end: an element is always computed at the
// same distance from the start of its run, hence by the same (vector or scalar) instructions, whatever the number of threads.

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kBlock = 8192;         // elements of a long row in one piece
constexpr std::int64_t kAhead = 4;            // rows whose memory is asked for beforehand
constexpr std::int64_t kSerialBelow = 32768;  // elements below which starting threads costs more than it gains

struct Piece {
  const UpdateTensor<float>* tensor;
  std::int64_t row, column;  // the first visited
  std::int64_t count;        // of rows, or of elements of one row if the row is long
};

std::int64_t element_count(std::span<const UpdateTensor<float>> tensors) {
  std::int64_t n = 0;
  for (const UpdateTensor<float>& t : tensors) n += t.count * t.width;
  return n;
}

/// f(tensor, offset of value and state, gradient or null, elements) for the runs of one piece.
template <class F>
void run_piece(const Piece& piece, F&& f) {
  const UpdateTensor<float>& t = *piece.tensor;
  const bool part_of_row = t.width > kBlock;
  for (std::int64_t i = piece.row, end = part_of_row ? piece.row + 1 : piece.row + piece.count; i < end; ++i) {
    const std::int64_t row = t.rows != nullptr ? t.rows[i] : i;
    if (t.rows != nullptr && !part_of_row && i + kAhead < end)
      for (const float* const part : {t.value, t.first, t.second})
        if (part != nullptr) prefetch_row(part + t.rows[i + kAhead] * t.width, t.width);
    const std::int64_t from = t.gradient_row != nullptr ? t.gradient_row[i] : i;
    const float* const g = from < 0 ? nullptr : t.gradient + from * t.width + piece.column;
    f(t, row * t.width + piece.column, g, part_of_row ? piece.count : t.width);
  }
}

template <class F>
void for_each_run(std::span<const UpdateTensor<float>> tensors, F&& f) {
  std::vector<Piece> pieces;
  for (const UpdateTensor<float>& t : tensors) {
    if (t.width <= 0) continue;
    if (t.width > kBlock) {
      for (std::int64_t i = 0; i < t.count; ++i)
        for (std::int64_t j = 0; j < t.width; j += kBlock) pieces.push_back({&t, i, j, std::min(kBlock, t.width - j)});
    } else {
      const std::int64_t rows = std::max<std::int64_t>(1, kBlock / t.width);
      for (std::int64_t i = 0; i < t.count; i += rows) pieces.push_back({&t, i, 0, std::min(rows, t.count - i)});
    }
  }
  const auto n = static_cast<std::int64_t>(pieces.size());
#pragma omp parallel for schedule(static) if (element_count(tensors) >= kSerialBelow)
  for (std::int64_t i = 0; i < n; ++i) run_piece(pieces[static_cast<std::size_t>(i)], f);
}

struct Sgd {
  float scale, rate, momentum;
  bool nesterov;

  template <bool kGradient>
  void run(float decay, float* p, float* m, const float* gradient, std::int64_t n) const {
    if (m == nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) p[i] -= rate * ((kGradient ? scale * gradient[i] : 0.0f) + decay * p[i]);
      return;
    }
    const float of_gradient = nesterov ? 1.0f : 0.0f, of_momentum = nesterov ? momentum : 1.0f;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = (kGradient ? scale * gradient[i] : 0.0f) + decay * p[i];
      m[i] = momentum * m[i] + g;
      p[i] -= rate * (of_gradient * g + of_momentum * m[i]);
    }
  }
};

struct Adam {
  float scale, rate1, rate2, size, root_scale, epsilon;

  template <bool kGradient>
  void run(float l2, float decay, float* p, float* m, float* v, const float* gradient, std::int64_t n) const {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = (kGradient ? scale * gradient[i] : 0.0f) + l2 * p[i];
      m[i] += rate1 * (g - m[i]);
      v[i] += rate2 * (g * g - v[i]);
      p[i] -= size * m[i] / (std::sqrt(v[i]) * root_scale + epsilon) + decay * p[i];
    }
  }
};

struct Adagrad {
  float scale, rate, momentum, epsilon_inside, epsilon_outside;

  template <bool kGradient>
  void run(float decay, float* p, float* m, float* a, const float* gradient, std::int64_t n) const {
    if (m == nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) {
        const float g = (kGradient ? scale * gradient[i] : 0.0f) + decay * p[i];
        a[i] += g * g;
        p[i] -= rate * g / (std::sqrt(a[i] + epsilon_inside) + epsilon_outside);
      }
      return;
    }
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = (kGradient ? scale * gradient[i] : 0.0f) + decay * p[i];
      a[i] += g * g;
      m[i] = momentum * m[i] - rate * g / (std::sqrt(a[i] + epsilon_inside) + epsilon_outside);
      p[i] += m[i];
    }
  }
};

float* at(float* base, std::int64_t offset) { return base == nullptr ? nullptr : base + offset; }

}  // namespace

void average_update(std::span<const UpdateTensor<float>> tensors, double rate) {
  const auto share = static_cast<float>(rate);
  for_each_run(tensors, [&](const UpdateTensor<float>& t, std::int64_t offset, const float* x, std::int64_t n) {
    float* const average = t.value + offset;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) average[i] += share * (x[i] - average[i]);
  });
}

void sgd_update(std::span<const UpdateTensor<float>> tensors, const SgdRule& rule) {
  const Sgd sgd{static_cast<float>(rule.scale), static_cast<float>(rule.learning_rate), static_cast<float>(rule.momentum), rule.nesterov};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, std::int64_t offset, const float* g, std::int64_t n) {
    const auto decay = static_cast<float>(t.weight_decay);
    if (g != nullptr) {
      sgd.run<true>(decay, t.value + offset, at(t.first, offset), g, n);
    } else {
      sgd.run<false>(decay, t.value + offset, at(t.first, offset), g, n);
    }
  });
}

void adam_update(std::span<const UpdateTensor<float>> tensors, const AdamRule& rule) {
  const Adam adam{static_cast<float>(rule.scale),     static_cast<float>(1 - rule.beta1),  static_cast<float>(1 - rule.beta2),
                  static_cast<float>(rule.step_size), static_cast<float>(rule.root_scale), static_cast<float>(rule.epsilon)};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, std::int64_t offset, const float* g, std::int64_t n) {
    const auto l2 = static_cast<float>(rule.l2 ? t.weight_decay : 0),
               decay = static_cast<float>(rule.l2 ? 0 : rule.decay_rate * t.weight_decay);
    if (g != nullptr) {
      adam.run<true>(l2, decay, t.value + offset, t.first + offset, t.second + offset, g, n);
    } else {
      adam.run<false>(l2, decay, t.value + offset, t.first + offset, t.second + offset, g, n);
    }
  });
}

void adagrad_update(std::span<const UpdateTensor<float>> tensors, const AdagradRule& rule) {
  const auto epsilon = static_cast<float>(rule.epsilon);
  const Adagrad adagrad{static_cast<float>(rule.scale), static_cast<float>(rule.learning_rate), static_cast<float>(rule.momentum),
                        rule.epsilon_inside ? epsilon : 0.0f, rule.epsilon_inside ? 0.0f : epsilon};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, std::int64_t offset, const float* g, std::int64_t n) {
    const auto decay = static_cast<float>(t.weight_decay);
    if (g != nullptr) {
      adagrad.run<true>(decay, t.value + offset, at(t.first, offset), t.second + offset, g, n);
    } else {
      adagrad.run<false>(decay, t.value + offset, at(t.first, offset), t.second + offset, g, n);
    }
  });
}

void adam_catch_up(std::span<const AdamMissedRow<float>> rows, std::int64_t width, const AdamRule& rule) {
  const auto beta1 = static_cast<float>(rule.beta1), beta2 = static_cast<float>(rule.beta2), epsilon = static_cast<float>(rule.epsilon);
  const auto n = static_cast<std::int64_t>(rows.size());
#pragma omp parallel for schedule(static) if (n * width >= kSerialBelow)
  for (std::int64_t r = 0; r < n; ++r) {
    const AdamMissedRow<float>& row = rows[static_cast<std::size_t>(r)];
    float *const p = row.value, *const m = row.first, *const v = row.second;
    for (const AdamMissedStep& step : row.steps) {  // the row stays in the first-level cache
      const auto size = static_cast<float>(step.step_size), root_scale = static_cast<float>(step.root_scale);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) {
        m[j] *= beta1;
        v[j] *= beta2;
        p[j] -= size * m[j] / (std::sqrt(v[j]) * root_scale + epsilon);
      }
    }
    if (row.idle > 0) {
      const auto idle1 = static_cast<float>(std::pow(rule.beta1, static_cast<double>(row.idle)));
      const auto idle2 = static_cast<float>(std::pow(rule.beta2, static_cast<double>(row.idle)));
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) {
        m[j] *= idle1;
        v[j] *= idle2;
      }
    }
  }
}

double sum_of_squares(std::span<const std::span<const float>> tensors) {
  std::vector<std::span<const float>> blocks;
  std::int64_t elements = 0;
  for (const std::span<const float> t : tensors) {
    elements += static_cast<std::int64_t>(t.size());
    for (std::size_t i = 0; i < t.size(); i += kBlock) blocks.push_back(t.subspan(i, std::min<std::size_t>(kBlock, t.size() - i)));
  }
  std::vector<double> sums(blocks.size());
  const auto n = static_cast<std::int64_t>(blocks.size());
#pragma omp parallel for schedule(static) if (elements >= kSerialBelow)
  for (std::int64_t b = 0; b < n; ++b) {
    const std::span<const float> block = blocks[static_cast<std::size_t>(b)];
    const float* const x = block.data();
    const std::size_t count = block.size();
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    sums[static_cast<std::size_t>(b)] = sum;
  }
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

}  // namespace capstan::kernels::openmp
