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
constexpr std::int64_t kScattered = 4096;     // elements of rows named by an index in one piece
constexpr std::int64_t kNarrow = 16;          // elements of a row that are too few for a loop of their own
constexpr std::int64_t kGroup = 256;          // elements of such rows that are updated together
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

/// What an update works on: `count` elements that lie one after another. No gradient: zeros.
struct Run {
  float* value;
  float* first;   // null if the rule has none
  float* second;  // null if the rule has none
  const float* gradient;
  std::int64_t count;
};

/// Rows of few elements (a bias by item), touched rows only: copied together, updated as one run, copied back. Rows are distinct.
template <class F>
void run_narrow_rows(const Piece& piece, F&& f) {
  const UpdateTensor<float>& t = *piece.tensor;
  const std::int64_t group = kGroup / t.width;
  float copies[3][kGroup];
  float* const arrays[3] = {t.value, t.first, t.second};
  for (std::int64_t i = piece.row, end = piece.row + piece.count; i < end; i += group) {
    const std::int64_t rows = std::min(group, end - i);
    const auto for_elements = [&](const auto& move) {
      for (int a = 0; a < 3; ++a) {
        if (arrays[a] == nullptr) continue;
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t j = 0; j < t.width; ++j) move(arrays[a][t.rows[i + r] * t.width + j], copies[a][r * t.width + j]);
      }
    };
    for_elements([](float& element, float& copy) { copy = element; });
    f(t, Run{copies[0], t.first == nullptr ? nullptr : copies[1], t.second == nullptr ? nullptr : copies[2], t.gradient + i * t.width,
             rows * t.width});
    for_elements([](float& element, float& copy) { element = copy; });
  }
}

/// f(tensor, run) for the runs of one piece.
template <class F>
void run_piece(const Piece& piece, F&& f) {
  const UpdateTensor<float>& t = *piece.tensor;
  if (t.rows != nullptr && t.width <= kNarrow) return run_narrow_rows(piece, f);
  const bool part_of_row = t.width > kBlock;
  const auto at = [](float* base, std::int64_t offset) { return base == nullptr ? nullptr : base + offset; };
  for (std::int64_t i = piece.row, end = part_of_row ? piece.row + 1 : piece.row + piece.count; i < end; ++i) {
    const std::int64_t row = t.rows != nullptr ? t.rows[i] : i;
    if (t.rows != nullptr && !part_of_row && i + kAhead < end)
      for (const float* const part : {t.value, t.first, t.second})
        if (part != nullptr) prefetch_row<Prefetch::write>(part + t.rows[i + kAhead] * t.width, t.width);
    const std::int64_t from = t.gradient_row != nullptr ? t.gradient_row[i] : i;
    const float* const g = from < 0 ? nullptr : t.gradient + from * t.width + piece.column;
    const std::int64_t offset = row * t.width + piece.column;
    f(t, Run{t.value + offset, at(t.first, offset), at(t.second, offset), g, part_of_row ? piece.count : t.width});
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
      const std::int64_t block = t.rows != nullptr ? kScattered : kBlock, rows = std::max<std::int64_t>(1, block / t.width);
      for (std::int64_t i = 0; i < t.count; i += rows) pieces.push_back({&t, i, 0, std::min(rows, t.count - i)});
    }
  }
  const auto n = static_cast<std::int64_t>(pieces.size());
  // Dynamic: a piece of scattered rows takes several times as long as one that lies in a row.
#pragma omp parallel for schedule(dynamic) if (element_count(tensors) >= kSerialBelow)
  for (std::int64_t i = 0; i < n; ++i) run_piece(pieces[static_cast<std::size_t>(i)], f);
}

struct Sgd {
  float scale, rate, momentum;
  bool nesterov;

  template <bool kGradient>
  void run(float decay, const Run& of) const {
    float *const p = of.value, *const m = of.first;
    const float* const gradient = of.gradient;
    const std::int64_t n = of.count;
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
  void run(float l2, float decay, const Run& of) const {
    float *const p = of.value, *const m = of.first, *const v = of.second;
    const float* const gradient = of.gradient;
    const std::int64_t n = of.count;
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
  void run(float decay, const Run& of) const {
    float *const p = of.value, *const m = of.first, *const a = of.second;
    const float* const gradient = of.gradient;
    const std::int64_t n = of.count;
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

}  // namespace

void average_update(std::span<const UpdateTensor<float>> tensors, double rate) {
  const auto share = static_cast<float>(rate);
  for_each_run(tensors, [&](const UpdateTensor<float>&, const Run& run) {
    float* const average = run.value;
    const float* const x = run.gradient;
#pragma omp simd
    for (std::int64_t i = 0; i < run.count; ++i) average[i] += share * (x[i] - average[i]);
  });
}

void sgd_update(std::span<const UpdateTensor<float>> tensors, const SgdRule& rule) {
  const Sgd sgd{static_cast<float>(rule.scale), static_cast<float>(rule.learning_rate), static_cast<float>(rule.momentum), rule.nesterov};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, const Run& run) {
    const auto decay = static_cast<float>(t.weight_decay);
    if (run.gradient != nullptr) {
      sgd.run<true>(decay, run);
    } else {
      sgd.run<false>(decay, run);
    }
  });
}

void adam_update(std::span<const UpdateTensor<float>> tensors, const AdamRule& rule) {
  const Adam adam{static_cast<float>(rule.scale),     static_cast<float>(1 - rule.beta1),  static_cast<float>(1 - rule.beta2),
                  static_cast<float>(rule.step_size), static_cast<float>(rule.root_scale), static_cast<float>(rule.epsilon)};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, const Run& run) {
    const auto l2 = static_cast<float>(rule.l2 ? t.weight_decay : 0),
               decay = static_cast<float>(rule.l2 ? 0 : rule.decay_rate * t.weight_decay);
    if (run.gradient != nullptr) {
      adam.run<true>(l2, decay, run);
    } else {
      adam.run<false>(l2, decay, run);
    }
  });
}

void adagrad_update(std::span<const UpdateTensor<float>> tensors, const AdagradRule& rule) {
  const auto epsilon = static_cast<float>(rule.epsilon);
  const Adagrad adagrad{static_cast<float>(rule.scale), static_cast<float>(rule.learning_rate), static_cast<float>(rule.momentum),
                        rule.epsilon_inside ? epsilon : 0.0f, rule.epsilon_inside ? 0.0f : epsilon};
  for_each_run(tensors, [&](const UpdateTensor<float>& t, const Run& run) {
    const auto decay = static_cast<float>(t.weight_decay);
    if (run.gradient != nullptr) {
      adagrad.run<true>(decay, run);
    } else {
      adagrad.run<false>(decay, run);
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
