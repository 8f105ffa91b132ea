#pragma once
// What the passes of the fast form of kernels/attention.h share: dividing work among threads, and from the scores of a query to its
// weights. Queries pass over packed keys (attention.cpp), unless there are many keys for a few of them (attention_few_queries.cpp). Include
// it only from files with openmp/'s floating-point options.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "autograd/kernels/attention.h"
#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/openmp/row_math.h"

namespace capstan::kernels::openmp {

// A score this low is a removed key: far below what f32 scores of real data reach, and safe to calculate with.
inline constexpr float kRemoved = -1e30f, kLowest = -1e29f;

// Calls f(task, thread) for all tasks. Results depend on the task alone, so whichever thread is free takes the next one.
template <class F>
void parallel_units(std::int64_t tasks, std::int64_t work, const F& f) {
  if (tasks <= 1 || work < 2 * kGrain || omp_in_parallel()) {
    for (std::int64_t i = 0; i < tasks; ++i) f(i, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < tasks; ++i) f(i, omp_get_thread_num());
}

// Keys whose columns of the dropout mask are consecutive.
struct KeyRun {
  std::int64_t first, count, column;
};

// One for each thread.
inline std::vector<std::vector<KeyRun>> runs_of_threads() {
  return std::vector<std::vector<KeyRun>>(static_cast<std::size_t>(omp_get_max_threads()));
}

// Consecutive keys of a sequence, which are then counted from the first.
struct KeyRange {
  std::int64_t first = 0, count = 0;
};

template <class T>
void find_runs(const AttentionProblem<T>& p, const AttentionSpan& span, std::int64_t s, const KeyRange& keys, std::vector<KeyRun>& runs) {
  runs.clear();
  if (!p.drops()) return;
  if (p.key_ids == nullptr) {
    runs.push_back({0, keys.count, keys.first});
    return;
  }
  for (std::int64_t j = 0; j < keys.count; ++j) {
    if (p.key_padding != nullptr && p.key_padding[s * p.keys + keys.first + j] == 0) continue;  // whatever is decided about padding
    const std::int64_t column = span.dropout_column(p, keys.first + j);
    if (!runs.empty() && runs.back().first + runs.back().count == j && runs.back().column + runs.back().count == column) {
      ++runs.back().count;
    } else {
      runs.push_back({j, 1, column});
    }
  }
}

// All ones for each of a vector of bytes that is not 0.
inline tile::Words masks_of(const std::uint8_t* from) {
  using Bytes [[gnu::vector_size(tile::kVector)]] = std::uint8_t;
  using Halves [[gnu::vector_size(2 * tile::kVector)]] = std::uint16_t;
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  // In two steps: the compiler takes one step of four times the width number by number.
  return reinterpret_cast<tile::Words>(__builtin_convertvector(__builtin_convertvector(bytes, Halves), tile::Words) != 0);
}

// One (sequence, head) and some of its keys: what the passes over a row need. A row holds a number for each of these keys.
template <class T>
struct AttentionHead {
  const AttentionProblem<T>& p;
  const AttentionSpan& span;
  std::int64_t s, h;
  KeyRange keys;
  const std::vector<KeyRun>& runs;

  // Keys that queries [i, i + rows) may see together.
  std::int64_t limit(std::int64_t i, std::int64_t rows) const {
    return std::clamp<std::int64_t>(p.visible(i + rows - 1, span.keys) - keys.first, 0, keys.count);
  }

  // Adds the bias to the first scores of query i and removes what may not be attended to: the rest up to `n`, whole vectors, too.
  void mask(std::int64_t i, float* row, std::int64_t n) const {
    const std::int64_t seen = limit(i, 1);
    std::fill(row + seen, row + n, kRemoved);
    if (p.bias != nullptr) {
      const std::int64_t step = p.bias_table.key;
      const T* const bias = p.bias + p.bias_table.row(s, h, i) + keys.first * step;
      if (step == 1) {
#pragma omp simd simdlen(kSimdLength <float>)
        for (std::int64_t j = 0; j < seen; ++j) row[j] = std::max(row[j] + static_cast<float>(bias[j]), kRemoved);
      } else {
        for (std::int64_t j = 0; j < seen; ++j) row[j] = std::max(row[j] + static_cast<float>(bias[j * step]), kRemoved);
      }
    }
    if (p.mask != nullptr) {
      const std::int64_t step = p.mask_table.key;
      const std::uint8_t* const keep = p.mask + p.mask_table.row(s, h, i) + keys.first * step;
      if (step == 1) {
        remove(row, keep, seen);
      } else {
        for (std::int64_t j = 0; j < seen; ++j) row[j] = keep[j * step] != 0 ? row[j] : kRemoved;
      }
    }
    if (p.key_padding != nullptr) remove(row, p.key_padding + s * p.keys + keys.first, seen);
  }

  // The dropout decisions of query i about the keys it may see.
  void decide(std::int64_t i, std::uint8_t* keep) const {
    const std::int64_t n = limit(i, 1);
    if (p.key_ids != nullptr) std::fill_n(keep, n, std::uint8_t{0});
    for (const KeyRun& run : runs) {
      if (run.first >= n) break;
      keep_mask_row(p.dropout_key(h), span.dropout_row(p, i), run.column, std::min(run.count, n - run.first), p.dropout, keep + run.first);
    }
  }

 private:
  // The rest of the last vector is removed too.
  static void remove(float* row, const std::uint8_t* keep, std::int64_t n) {
    const auto apply = [row](const std::uint8_t* bytes, std::int64_t j) {
      tile::store_vector(masks_of(bytes) != 0 ? tile::load(row + j) : tile::Vector{} + kRemoved, row + j);
    };
    std::int64_t j = 0;
    for (; j + tile::kVector <= n; j += tile::kVector) apply(keep + j, j);
    if (j == n) return;
    std::uint8_t rest[tile::kVector] = {};
    std::copy(keep + j, keep + n, rest);
    apply(rest, j);
  }
};

// The sum of exp(score - largest score) over a row. If every key is removed the sum is 0.
struct ExpSum {
  float max = kRemoved, sum = 0.0f;
  float log() const { return sum == 0.0f ? std::numeric_limits<float>::infinity() : max + std::log(sum); }
  float inverse() const { return sum == 0.0f ? 0.0f : 1.0f / sum; }
};

// The largest of a row of whole vectors; passes over NaN.
inline float max_of_row(const float* row, std::int64_t n) {
  tile::Vector max = tile::Vector{} + kRemoved;
  for (std::int64_t j = 0; j < n; j += tile::kVector) {
    const tile::Vector x = tile::load(row + j);
    max = x > max ? x : max;
  }
  return tile::max_of_lanes(max);
}

// exp_or_zero of row_math.h for a vector, for v <= 0 but for rounding: a loop over rows as short as these would spend its time on sums
// that the compiler keeps in memory.
inline tile::Vector exp_vector(const tile::Vector& v) {
  const tile::Vector lowest = tile::Vector{} - 80.0f, t = (v < lowest ? lowest : v) * 1.442695041f;
  const tile::Lanes n = __builtin_convertvector(t - 0.5f, tile::Lanes);  // the nearest, because conversion cuts off
  const tile::Vector f = t - __builtin_convertvector(n, tile::Vector);
  const tile::Words power = (reinterpret_cast<tile::Words>(n) + 127u) << 23;
  return v < lowest ? tile::Vector{} : power_of_fraction(f) * reinterpret_cast<tile::Vector>(power);
}

// v where the bytes are not 0, 0 where they are. A 0 stays 0 whatever the byte is.
inline tile::Vector keep_or_zero(const tile::Vector& v, const std::uint8_t* keep) {
  return reinterpret_cast<tile::Vector>(reinterpret_cast<tile::Words>(v) & masks_of(keep));
}

// weights = exp(score - largest score) for a row of masked scores, whole vectors of them: probabilities but for the factor 1 / sum. If
// `keep` is not null, those not kept become 0 after they are summed. In place is allowed. W: float, bfloat16.
template <class W>
ExpSum exp_row(const float* row, std::int64_t n, const std::uint8_t* keep, W* weights) {
  const float max = max_of_row(row, n);
  // Only if every key is removed: the maximum passes over NaN, which must stay visible.
  if (max <= kLowest && std::all_of(row, row + n, [](float x) { return x <= kLowest; })) {
    std::fill_n(weights, n, W{});
    return {};
  }
  tile::Vector sum{};
  for (std::int64_t j = 0; j < n; j += tile::kVector) {
    const tile::Vector e = exp_vector(tile::load(row + j) - max);
    sum += e;
    tile::store_vector(keep == nullptr ? e : keep_or_zero(e, keep + j), weights + j);
  }
  return {max, tile::sum_of_lanes(sum)};
}

inline void scale_row(float* row, std::int64_t n, float factor) {
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t j = 0; j < n; ++j) row[j] *= factor;
}

// From the masked scores of query i, whole vectors of them, to weights, which lack the factor `weight_factor` of the sum.
template <class T, class W>
ExpSum weights_of_row(const AttentionHead<T>& head, std::int64_t i, const float* row, std::int64_t n, std::uint8_t* keep, W* weights) {
  if (!head.p.drops()) return exp_row(row, n, nullptr, weights);
  head.decide(i, keep);
  return exp_row(row, n, keep, weights);
}
template <class T>
float weight_factor(const AttentionProblem<T>& p, const ExpSum& sum) {
  return sum.inverse() * (p.drops() ? static_cast<float>(p.dropout.scale) : 1.0f);
}

// ---- a few queries ----

template <class T>
bool has_few_queries(const AttentionProblem<T>& p);
// What AttentionForward does, for a problem that has few queries.
template <class T>
void attend_with_few_queries(const AttentionProblem<T>& p, T* out, float* lse);

}  // namespace capstan::kernels::openmp
