// Optimiser updates for f32, vectorised and shared among threads.

#include "autograd/kernels/optimizer_update.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/openmp/parallel.h"

// Work is cut into pieces of rows, and long rows at multiples of kBlock, wherever the threads end: an element is always computed at the
// same distance from the start of its run, hence by the same (vector or scalar) instructions, whatever the number of threads.
//
// Functions that call a rule flatten it into themselves. Left as functions of their own, rules compiled here with -ffast-math would share
// their names with those of the plain loops, and the linker would keep one of the two.

namespace capstan::kernels {
namespace {

constexpr std::int64_t kBlock = 8192;         // elements of a long row in one piece
constexpr std::int64_t kScattered = 4096;     // elements of rows named by an index in one piece
constexpr std::int64_t kGroup = 256;          // elements of narrow rows that are updated together
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

float* at(float* base, std::int64_t offset) { return base == nullptr ? nullptr : base + offset; }

/// What an update works on: `count` elements that lie one after another.
struct Run {
  float* value;
  std::array<float*, kMaxMoments> moments;  // null if the rule has none
  const float* gradient;                    // null: zeros
  std::int64_t count;
};

/// A loop of its own: no value depends on whether a shadow is wanted, and the values are still in the cache.
void round_to(bfloat16* shadow, const float* value, std::int64_t n) {
  constexpr int kLength = kSimdLength<bfloat16>;
#pragma omp simd simdlen(kLength)
  for (std::int64_t i = 0; i < n; ++i) store(shadow[i], value[i]);
}

/// Rows of few elements (a bias by item), touched rows only: copied together, updated as one run, copied back.
template <class F>
void run_narrow_rows(const Piece& piece, const F& f) {
  const UpdateTensor<float>& t = *piece.tensor;
  const std::int64_t group = kGroup / t.width;
  std::array<std::array<float, kGroup>, 1 + kMaxMoments> copies;
  std::array<float*, 1 + kMaxMoments> arrays{t.value};
  std::ranges::copy(t.moments, arrays.begin() + 1);
  std::array<std::int64_t, kGroup> places;  // of the copied elements in the tensor
  for (std::int64_t i = piece.row, end = piece.row + piece.count; i < end; i += group) {
    const std::int64_t rows = std::min(group, end - i), width = t.width, count = rows * width;
    std::int64_t* place = places.data();
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t j = 0; j < width; ++j) *place++ = t.rows[i + r] * width + j;
    const auto for_elements = [&](const auto& move) {
      for (std::size_t a = 0; a < arrays.size(); ++a) {
        float *const array = arrays[a], *const copy = copies[a].data();
        if (array == nullptr) continue;
        for (std::int64_t e = 0; e < count; ++e) move(array[places[static_cast<std::size_t>(e)]], copy[e]);
      }
    };
    for_elements([](const float& element, float& copy) { copy = element; });
    Run run{copies[0].data(), {}, t.gradient + i * width, count};
    for (std::size_t k = 0; k < kMaxMoments; ++k) run.moments[k] = t.moments[k] == nullptr ? nullptr : copies[k + 1].data();
    f(t, run);
    for_elements([](float& element, const float& copy) { element = copy; });
    if (t.shadow == nullptr) continue;
    for (std::int64_t r = 0; r < rows; ++r) round_to(t.shadow + t.rows[i + r] * t.width, copies[0].data() + r * t.width, t.width);
  }
}

/// The moments of a row at rest, for the same loop as all others, to whose bits nothing is added that way. Zeros from begin to end.
float* zeros(std::size_t moment) {
  alignas(64) static thread_local std::array<std::array<float, kBlock>, kMaxMoments> rows;
  return rows[moment].data();
}

/// f(tensor, run) for the runs of one piece.
template <class F>
void run_piece(const Piece& piece, const F& f) {
  const UpdateTensor<float>& t = *piece.tensor;
  if (t.rows != nullptr && t.width <= kNarrowRow) return run_narrow_rows(piece, f);
  const bool part_of_row = t.width > kBlock;
  for (std::int64_t i = piece.row, end = part_of_row ? piece.row + 1 : piece.row + piece.count; i < end; ++i) {
    const std::int64_t row = t.rows != nullptr ? t.rows[i] : i;
    if (t.rows != nullptr && !part_of_row && i + kAhead < end) {
      const std::int64_t ahead = t.rows[i + kAhead] * t.width;
      prefetch_row(t.value + ahead, t.width);
      for (const float* const moment : t.moments)
        if (moment != nullptr) prefetch_row(moment + ahead, t.width);
    }
    const std::int64_t from = t.gradient_row != nullptr ? t.gradient_row[i] : i;
    const std::int64_t offset = row * t.width + piece.column;
    Run run{t.value + offset, {}, from < 0 ? nullptr : t.gradient + from * t.width + piece.column, part_of_row ? piece.count : t.width};
    const bool at_rest = t.gradient_row != nullptr && from == kAtRest;
    for (std::size_t k = 0; k < kMaxMoments; ++k) run.moments[k] = at_rest ? zeros(k) : at(t.moments[k], offset);
    f(t, run);
    if (t.shadow != nullptr) round_to(t.shadow + offset, run.value, run.count);
  }
}

template <class F>
void for_each_run(std::span<const UpdateTensor<float>> tensors, const F& f) {
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

/// The rule on n elements. Never inlined: two copies may be vectorised differently at the end of a run.
template <bool kGradient, class Rule, class... Moments>
[[gnu::noinline, gnu::flatten]] void apply(const Rule& rule, const UpdateOptions& options, float scale, std::int64_t n,
                                           const float* gradient, float* value, Moments*... moments) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) rule(value[i], moments[i]..., kGradient ? scale * gradient[i] : 0.0f, options);
}

/// Whether n values that were just written, and are still in the cache, are finite. By their bits, of which no compiler option assumes
/// anything: an exponent of ones is that of infinities and of what is no number.
bool are_finite(const float* value, std::int64_t n) {
  constexpr std::uint32_t kExponent = 0x7f80'0000;
  std::uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<std::uint32_t>(value[i]) & kExponent);
  return largest != kExponent;
}

/// The row stays in the first-level cache.
[[gnu::noinline, gnu::flatten]] void repeat_missed(const AdamMissedRow<float>& row, std::int64_t width, const rules::Adam& rule) {
  float *const p = row.value, *const m = row.first, *const v = row.second;
  const double learning_rate_scale = row.learning_rate_scale;
  for (const rules::AdamMissedStep& step : row.steps) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) rule.missed(p[j], m[j], v[j], step, learning_rate_scale);
  }
}

}  // namespace

template <>
bool ApplyRule<float>::fast(std::span<const UpdateTensor<float>> tensors, const UpdateRule& any, double gradient_scale) {
  const auto scale = static_cast<float>(gradient_scale);
  std::atomic<bool> finite = true;
  std::visit(
      [&]<class Rule>(const Rule& rule) {
        const auto with_moments = [&]<std::size_t... K>(std::index_sequence<K...>) {
          for_each_run(tensors, [&](const UpdateTensor<float>& t, const Run& run) {
            if (run.gradient != nullptr) {
              apply<true>(rule, t.options, scale, run.count, run.gradient, run.value, run.moments[K]...);
            } else {
              apply<false>(rule, t.options, scale, run.count, run.gradient, run.value, run.moments[K]...);
            }
            if (!are_finite(run.value, run.count)) finite.store(false, std::memory_order_relaxed);
          });
        };
        with_moments(std::make_index_sequence<Rule::moments>{});
      },
      any);
  return finite;
}

template <>
void RepeatMissedSteps<float>::fast(std::span<const AdamMissedRow<float>> rows, std::int64_t width, const rules::Adam& rule) {
  const auto n = static_cast<std::int64_t>(rows.size());
#pragma omp parallel for schedule(static) if (n * width >= kSerialBelow)
  for (std::int64_t r = 0; r < n; ++r) {
    const AdamMissedRow<float>& row = rows[static_cast<std::size_t>(r)];
    if (r + kAhead < n) {
      const AdamMissedRow<float>& ahead = rows[static_cast<std::size_t>(r + kAhead)];
      for (const float* const part : {ahead.value, ahead.first, ahead.second}) prefetch_row(part, width);
    }
    repeat_missed(row, width, rule);
    if (row.idle > 0) {
      float *const m = row.first, *const v = row.second;
      const auto idle1 = static_cast<float>(std::pow(rule.beta1, static_cast<double>(row.idle)));
      const auto idle2 = static_cast<float>(std::pow(rule.beta2, static_cast<double>(row.idle)));
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) {
        m[j] *= idle1;
        v[j] *= idle2;
      }
    }
    if (row.shadow != nullptr) round_to(row.shadow, row.value, width);
  }
}

template <>
double SumOfSquares<float>::fast(std::span<const std::span<const float>> tensors) {
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

}  // namespace capstan::kernels
