// The stages of kernels/decoding.h by one team of threads: one parallel region a step, a barrier behind each stage. Weights are read once a
// step, by the thread whose outputs they make, in the order in which they lie: with few rows, the time is that of reading them.

#include "autograd/kernels/decoding.h"

#include "autograd/kernels/openmp/inline_functions.h"
#include "autograd/kernels/openmp/vector_math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "autograd/kernels/openmp/parallel.h"
#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

using tile::kVector;
using tile::Vector;
using tile::detail::load_some;

/// A share of `count` things, neighbours.
struct Range {
  std::int64_t first = 0, last = 0;
};

struct Team {
  std::int64_t thread = 0, threads = 1;
  float* scratch = nullptr;  // of this thread

  Range share(std::int64_t count) const { return {count * thread / threads, count * (thread + 1) / threads}; }
};

// One instruction where the machine has it. The file's options forbid to regroup sums: an element would depend on the block it is computed
// in.
Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }

using Words [[gnu::vector_size(sizeof(Vector))]] = std::uint32_t;

// The weights of the `place`-th input of each word.
template <WeightFormat kFormat>
Vector unpack(Words words, int place) {
  if constexpr (kFormat == WeightFormat::f32) return std::bit_cast<Vector>(words);
  if constexpr (kFormat == WeightFormat::bf16) return std::bit_cast<Vector>(place == 0 ? words << 16 : words & 0xffff0000u);
  using Numbers [[gnu::vector_size(sizeof(Vector))]] = std::int32_t;
  return __builtin_convertvector(std::bit_cast<Numbers>(words << (24 - 8 * place)) >> 24, Vector);
}

constexpr int kPanelVectors = static_cast<int>(kPanelOutputs / kVector);
/// Rows whose sums with one panel the registers hold.
constexpr int kTileRows = static_cast<int>(std::min<std::int64_t>(tile::kSums / kPanelVectors, 6));
/// Panels that so many rows pass over at a time: with few rows, several, so that there are enough sums to keep the adders busy.
constexpr int panels_of(int rows) {
  const int vectors = kPanelVectors * rows;
  return kVector == 16 ? (rows <= 6 ? 4 : 2) : vectors <= 2 ? 4 : vectors <= 4 ? 2 : 1;
}

// What the sums of a row and a panel become on their way out.
void finish_row(const ProductStage& s, std::int64_t first_output, const float* sums, float* to) {
  const float* const scales = s.weight.scales == nullptr ? nullptr : s.weight.scales + first_output;
  const float* const bias = s.bias == nullptr ? nullptr : s.bias + first_output;
  const auto finish = [=, &s](auto count) {
    alignas(64) float y[kPanelOutputs];
    std::memcpy(y, sums, sizeof y);
    if (scales != nullptr) {
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j) y[j] *= scales[j];
    }
    if (bias != nullptr) {
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j) y[j] += bias[j];
    }
    if (s.activation) {
      std::visit(
          [&](const auto& f) {
            const auto g = written_out(f);
#pragma omp simd
            for (std::int64_t j = 0; j < kPanelOutputs; ++j) y[j] = g.value(y[j]);
          },
          *s.activation);
    }
    std::copy_n(y, std::int64_t{count}, to);
  };
  const std::int64_t count = s.weight.out - first_output;
  if (count >= kPanelOutputs) return finish(std::integral_constant<std::int64_t, kPanelOutputs>{});
  finish(count);
}

/// Neighbouring panels in memory, and what to ask for meanwhile.
struct Panels {
  const std::uint32_t* words = nullptr;
  std::int64_t first = 0, last = 0;      ///< their numbers
  std::int64_t size = 0;                 ///< words of one
  const std::uint32_t* ahead = nullptr;  ///< beside the first panel: a line every 2^shift rows of words
  std::int64_t ahead_size = 0;           ///< how much further it is beside the next one
  int shift = 0;
};

/// Inputs that make up a sum before it is added to the total: sums of thousands of terms in one chain would round too often.
constexpr std::int64_t kSummed = 128;

/// Panels that all blocks of rows pass over before the next ones.
constexpr std::int64_t kNearPanels = kVector == 16 ? 4 : 2;

// Adds the sums over inputs [first, last), where first begins a word, to totals [kRows][kPanels] of whole panels. Not inlined, because the
// compiler would keep the totals in registers and the sums in memory.
template <int kRows, int kPanels, WeightFormat kFormat>
[[gnu::noinline]] void add_products(const float* x, std::int64_t in, const std::uint32_t* w, const std::uint32_t* ahead,
                                    const Panels& panels, std::int64_t first, std::int64_t last,
                                    Vector (*totals)[kPanels * kPanelVectors]) {
  constexpr int kVectors = kPanels * kPanelVectors, kInputs = static_cast<int>(inputs_of_word(kFormat));
  Vector sums[kRows][kVectors] = {};
  // The words of inputs [k, k + count).
  const auto add = [&](std::int64_t k, int count) {
    Words words[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      std::memcpy(&words[v], w + v / kPanelVectors * panels.size + k / kInputs * kPanelOutputs + v % kPanelVectors * kVector,
                  sizeof(Words));
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) {
      Vector weights[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) weights[v] = unpack<kFormat>(words[v], i);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vector input = Vector{} + x[r * in + k + i];
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) sums[r][v] = multiply_add(input, weights[v], sums[r][v]);
      }
    }
  };
  const std::int64_t end = last / kInputs;
  for (std::int64_t k = first / kInputs; k < end; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) __builtin_prefetch(ahead + p * panels.ahead_size + (k >> panels.shift) * kPanelOutputs, 0, 2);
    add(k * kInputs, kInputs);
  }
  if constexpr (kInputs > 1) {
    if (end * kInputs < last) add(end * kInputs, static_cast<int>(last - end * kInputs));
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) totals[r][v] += sums[r][v];
}

/// kRows rows times kPanels panels from number `panel` on.
template <int kRows, int kPanels, WeightFormat kFormat>
void multiply_tile(const ProductStage& s, std::int64_t first_row, const Panels& panels, std::int64_t panel) {
  const std::int64_t in = s.weight.in, number = panel - panels.first;
  const std::uint32_t *const words = panels.words + number * panels.size, *const ahead = panels.ahead + number * panels.ahead_size;
  Vector totals[kRows][kPanels * kPanelVectors] = {};
  for (std::int64_t k = 0; k < in; k += kSummed)
    add_products<kRows, kPanels, kFormat>(s.x + first_row * in, in, words, ahead, panels, k, std::min(in, k + kSummed), totals);
  for (int r = 0; r < kRows; ++r)
    for (int p = 0; p < kPanels; ++p) {
      alignas(64) float row[kPanelOutputs];
      std::memcpy(row, &totals[r][p * kPanelVectors], sizeof row);
      const std::int64_t output = (panel + p) * kPanelOutputs;
      finish_row(s, output, row, s.y + (first_row + r) * s.weight.out + output);
    }
}

/// A block of at most kRows rows times the panels.
template <int kRows, WeightFormat kFormat>
void multiply_rows(const ProductStage& s, std::int64_t first_row, std::int64_t rows, const Panels& panels) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return multiply_rows<kRows - 1, kFormat>(s, first_row, rows, panels);
  }
  constexpr int kPanels = panels_of(kRows);
  std::int64_t p = panels.first;
  for (; p + kPanels <= panels.last; p += kPanels) multiply_tile<kRows, kPanels, kFormat>(s, first_row, panels, p);
  for (; p < panels.last; ++p) multiply_tile<kRows, 1, kFormat>(s, first_row, panels, p);
}

/// Words of f32 of a panel.
void unpack_panel(const PackedMatrix& w, const std::uint32_t* words, float* to) {
  for (std::int64_t k = 0; k < w.words(); ++k)
    for (int v = 0; v < kPanelVectors; ++v) {
      Words four;
      std::memcpy(&four, words + k * kPanelOutputs + v * kVector, sizeof four);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Vector y = unpack<WeightFormat::i8>(four, i);
        std::memcpy(to + (4 * k + i) * kPanelOutputs + v * kVector, &y, sizeof y);
      }
    }
}

// Several blocks of rows pass over a few panels, which then stay in the caches nearby; rows come in chunks that stay there too. Meanwhile
// each block asks for its part of the next panels. Bytes are unpacked once for all blocks. One block alone asks for what comes soon.
template <WeightFormat kFormat>
void multiply(const ProductStage& s, std::int64_t rows, const Range& range, float* scratch) {
  constexpr std::int64_t kChunk = 96 * 1024;  // inputs
  constexpr bool kUnpacks = kFormat == WeightFormat::i8;
  constexpr std::int64_t kSoon = 32;  // lines
  const std::int64_t words = s.weight.words(), size = words * kPanelOutputs;
  const auto at = [&](std::int64_t panel) { return s.weight.panels + panel * size; };
  const std::int64_t chunks = (rows * s.weight.in + kChunk - 1) / kChunk;
  for (std::int64_t c = 0; c < chunks; ++c) {
    const std::int64_t begin = rows * c / chunks, count = rows * (c + 1) / chunks - begin;
    const std::int64_t blocks = (count + kTileRows - 1) / kTileRows;  // of about equally many rows
    if (blocks == 1) {
      multiply_rows<kTileRows, kFormat>(s, begin, count,
                                        {at(range.first), range.first, range.last, size, at(range.first) + kSoon * kPanelOutputs, size, 0});
      continue;
    }
    const int shift = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(blocks))) - 1;
    for (std::int64_t p = range.first; p < range.last; p += kNearPanels) {
      const std::int64_t end = std::min(p + kNearPanels, range.last);
      if constexpr (kUnpacks)
        for (std::int64_t q = p; q < end; ++q) unpack_panel(s.weight, at(q), scratch + (q - p) * 4 * size);
      for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t first = begin + count * b / blocks, block = begin + count * (b + 1) / blocks - first;
        const std::uint32_t* const ahead = at(p + kNearPanels) + words * b / blocks * kPanelOutputs;
        if constexpr (kUnpacks) {
          multiply_rows<kTileRows, WeightFormat::f32>(
              s, first, block, {reinterpret_cast<const std::uint32_t*>(scratch), p, end, 4 * size, ahead, size, shift + 2});
        } else {
          multiply_rows<kTileRows, kFormat>(s, first, block, {at(p), p, end, size, ahead, size, shift});
        }
      }
    }
  }
}

void run(const ProductStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(s.weight.panel_count());
  switch (s.weight.format) {
    case WeightFormat::f32: return multiply<WeightFormat::f32>(s, rows.rows, range, team.scratch);
    case WeightFormat::bf16: return multiply<WeightFormat::bf16>(s, rows.rows, range, team.scratch);
    case WeightFormat::i8: return multiply<WeightFormat::i8>(s, rows.rows, range, team.scratch);
  }
}

void run(const EmbeddingStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.rows);
  for (std::int64_t r = range.first; r < range.last; ++r) {
    const float* const word = s.table + rows.tokens[r] * s.width;
    const float* const position = s.positions == nullptr ? nullptr : s.positions + rows.positions[r] * s.width;
    float* const y = s.y + r * s.width;
    for (std::int64_t c = 0; c < s.width; ++c) y[c] = s.scale * word[c];
    if (position != nullptr)
      for (std::int64_t c = 0; c < s.width; ++c) y[c] += position[c];
  }
}

// Mean and variance in two passes.
void normalize_row(const AddNormStage& s, const float* x, float* y) {
  const float inverse = 1.0f / static_cast<float>(s.width);
  float total = 0, squares = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : total)
  for (std::int64_t c = 0; c < s.width; ++c) total += x[c];
  const float mean = s.centered ? total * inverse : 0.0f;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : squares)
  for (std::int64_t c = 0; c < s.width; ++c) squares += (x[c] - mean) * (x[c] - mean);
  const float factor = 1.0f / std::sqrt(squares * inverse + static_cast<float>(s.epsilon));
  if (s.beta == nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t c = 0; c < s.width; ++c) y[c] = (x[c] - mean) * factor * s.gamma[c];
  } else {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t c = 0; c < s.width; ++c) y[c] = (x[c] - mean) * factor * s.gamma[c] + s.beta[c];
  }
}

void run(const AddNormStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.rows);
  for (std::int64_t r = range.first; r < range.last; ++r) {
    float* const sum = s.sum + r * s.width;
    if (s.branch != nullptr) {
      const float* const branch = s.branch + r * s.width;
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t c = 0; c < s.width; ++c) sum[c] += branch[c];
    }
    if (s.gamma != nullptr) normalize_row(s, sum, s.y + r * s.width);
  }
}

void run(const GateStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.rows);
  std::visit(
      [&](const auto& f) {
        const auto g = written_out(f);
        for (std::int64_t r = range.first; r < range.last; ++r) {
          const float *const gate = s.gate + r * s.row, *const x = s.x + r * s.row;
          float* const y = s.y + r * s.width;
#pragma omp simd simdlen(kSimdLength <float>)
          for (std::int64_t c = 0; c < s.width; ++c) y[c] = g.value(gate[c], x[c]);
        }
      },
      s.function);
}

void run(const RotaryStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.rows);
  const std::int64_t half = s.width / 2;
  for (std::int64_t r = range.first; r < range.last; ++r) {
    const float *const cosine = s.cosines + rows.positions[r] * half, *const sine = s.sines + rows.positions[r] * half;
    for (std::int64_t h = 0; h < s.heads; ++h) {
      float* const x = s.x + r * s.row + h * s.width;
      turn_head(x, cosine, sine, 1.0f, half, x);
    }
  }
}

template <class T>
void store_row(const float* keys, const float* values, std::int64_t row, const KeyValues<T>& to, const StepRows& rows, std::int64_t r,
               std::int64_t head) {
  const std::int64_t at = to.place(rows.slots[r], head, rows.positions[r]), from = r * row + head * to.width;
#pragma omp simd
  for (std::int64_t d = 0; d < to.width; ++d) {
    store(to.keys[at + d], keys[from + d]);
    store(to.values[at + d], values[from + d]);
  }
}

void run(const StoreStage& s, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.rows);
  std::visit(
      [&](const auto& to) {
        for (std::int64_t r = range.first; r < range.last; ++r)
          for (std::int64_t h = 0; h < to.heads; ++h) store_row(s.keys, s.values, s.row, to, rows, r, h);
      },
      s.store);
}

// scores[t] = scale * q k[t] for t < count, up to the next whole vector. A product is summed lane by lane, and the lanes of a vector of
// keys in one go.
template <class T, class Place>
void score(const float* q, const T* keys, const Place& place, std::int64_t count, std::int64_t width, float scale, float* scores) {
  const std::int64_t whole = width / kVector * kVector;
  for (std::int64_t t = 0; t < count; t += kVector) {
    Vector lanes[kVector] = {};
    for (std::int64_t i = 0; i < std::min(kVector, count - t); ++i) {
      const T* const key = keys + place(t + i);
      Vector sum{};
      for (std::int64_t d = 0; d < whole; d += kVector) sum = multiply_add(tile::load(q + d), tile::load(key + d), sum);
      if (whole < width) sum = multiply_add(load_some(q + whole, width - whole), load_some(key + whole, width - whole), sum);
      lanes[i] = sum;
    }
    tile::detail::transpose(lanes);
    Vector y = lanes[0];
    for (int lane = 1; lane < kVector; ++lane) y += lanes[lane];
    y *= scale;
    std::memcpy(scores + t, &y, sizeof y);
  }
}

// out = sum_t weights[t] values[t] / total, a few vectors at a time.
template <class T, class Place>
void mix(const float* weights, float total, const T* values, const Place& place, std::int64_t count, std::int64_t width, float* out) {
  const float inverse = count == 0 ? 0.0f : 1.0f / total;
  std::int64_t d = 0;
  const auto add = [&]<int kVectors>(const auto& load) {
    Vector sums[kVectors] = {};
    for (std::int64_t t = 0; t < count; ++t) {
      const T* const value = values + place(t) + d;
      const Vector weight = Vector{} + weights[t];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[v] = multiply_add(weight, load(value + v * kVector), sums[v]);
    }
    for (int v = 0; v < kVectors; ++v) {
      const Vector y = sums[v] * inverse;
      std::memcpy(out + d + v * kVector, &y, static_cast<std::size_t>(std::min(kVector, width - d - v * kVector)) * sizeof(float));
    }
    d += kVectors * kVector;
  };
  const auto whole = [](const T* from) { return tile::load(from); };
  while (d + 8 * kVector <= width) add.template operator()<8>(whole);
  while (d + 4 * kVector <= width) add.template operator()<4>(whole);
  while (d + kVector <= width) add.template operator()<1>(whole);
  if (d < width) add.template operator()<1>([&](const T* from) { return load_some(from, width - d); });
}

/// One query; place(t) is where the key and the value of position t begin.
template <class T, class Place>
void attend(const AttentionStage& s, const float* q, const T* keys, const T* values, const Place& place, std::int64_t count, float* scores,
            float* out) {
  score(q, keys, place, count, s.width, s.scale, scores);
  const float max = max_of(scores, count, -kInfinity<float>);
  mix(scores, exp_in_place(scores, count, max), values, place, count, s.width, out);
}

// A task is a line and a key head: the queries of all its rows and of the heads that share the key head.
template <class T>
void attend_all(const AttentionStage& s, const KeyValues<T>& kept, const StepRows& rows, const Team& team) {
  const Range range = team.share(rows.groups * s.key_heads);
  const std::int64_t shared = s.heads / s.key_heads;
  for (std::int64_t task = range.first; task < range.last; ++task) {
    const std::int64_t g = task / s.key_heads, head = task % s.key_heads, first = rows.group_begin[g], last = rows.group_begin[g + 1];
    if (s.attends == Attends::history)
      for (std::int64_t r = first; r < last; ++r) store_row(s.k, s.v, s.row, kept, rows, r, head);
    const std::int64_t memory = s.attends == Attends::memory ? kept.place(rows.memories[g], head, 0) : 0;
    const std::int64_t slot = kept.heads * kept.capacity * s.width, in_slot = head * kept.capacity * s.width;
    for (std::int64_t r = first; r < last; ++r)
      for (std::int64_t h = head * shared; h < (head + 1) * shared; ++h) {
        const float* const q = s.q + r * s.row + h * s.width;
        float* const out = s.out + (r * s.heads + h) * s.width;
        switch (s.attends) {
          case Attends::line: {
            const auto place = [=, &s](std::int64_t t) { return (first + t) * s.row + head * s.width; };
            attend(s, q, s.k, s.v, place, last - first, team.scratch, out);
            break;
          }
          case Attends::history: {
            const std::int32_t* const slots = rows.history + r * rows.history_row;
            const auto place = [=, &s](std::int64_t t) { return slots[t] * slot + in_slot + t * s.width; };
            attend(s, q, kept.keys, kept.values, place, rows.positions[r] + 1, team.scratch, out);
            break;
          }
          case Attends::memory: {
            const auto place = [=, &s](std::int64_t t) { return memory + t * s.width; };
            attend(s, q, kept.keys, kept.values, place, rows.memory_size[g], team.scratch, out);
            break;
          }
        }
      }
  }
}

void run(const AttentionStage& s, const StepRows& rows, const Team& team) {
  std::visit([&](const auto& kept) { attend_all(s, kept, rows, team); }, s.store);
}

// Multiply-adds of all products.
std::int64_t work_of(std::span<const Stage> stages, const StepRows& rows) {
  std::int64_t work = 0;
  for (const Stage& stage : stages)
    if (const auto* const product = std::get_if<ProductStage>(&stage)) work += rows.rows * product->weight.in * product->weight.out;
  return work;
}

// What a thread needs beside the stages' own memory: scores of a row, or panels unpacked.
std::int64_t scratch_size(std::span<const Stage> stages, const StepRows& rows) {
  std::int64_t size = 0;
  for (std::int64_t r = 0; r < rows.rows; ++r) size = std::max(size, rows.positions[r] + 1);
  for (std::int64_t g = 0; g < rows.groups; ++g) {
    size = std::max(size, rows.group_begin[g + 1] - rows.group_begin[g]);
    if (rows.memory_size != nullptr) size = std::max(size, rows.memory_size[g]);
  }
  for (const Stage& stage : stages)
    if (const auto* const product = std::get_if<ProductStage>(&stage); product != nullptr && product->weight.format == WeightFormat::i8)
      size = std::max(size, kNearPanels * product->weight.words() * inputs_of_word(WeightFormat::i8) * kPanelOutputs);
  constexpr std::int64_t kLine = 16;  // floats of a cache line
  return (size + kLine - 1) / kLine * kLine + kLine;
}

}  // namespace

void RunStages::fast(std::span<const Stage> stages, const StepRows& rows) {
  const bool worthwhile = work_of(stages, rows) >= 8 * kGrain && !omp_in_parallel();
  const std::int64_t threads = worthwhile ? omp_get_max_threads() : 1;
  const std::int64_t size = scratch_size(stages, rows);
  const Scratch<float> scratch(threads * size);
  const auto run_all = [&](const Team& team) {
    for (const Stage& stage : stages) {
      std::visit([&](const auto& s) { run(s, rows, team); }, stage);
      if (team.threads > 1) {
#pragma omp barrier
      }
    }
  };
  if (threads == 1) return run_all({.thread = 0, .threads = 1, .scratch = scratch.data()});
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    const std::int64_t thread = omp_get_thread_num();
    run_all({.thread = thread, .threads = omp_get_num_threads(), .scratch = scratch.data() + thread * size});
  }
}

void TopK::fast(const float* logits, std::int64_t rows, std::int64_t n, std::int64_t k, float* values, std::int32_t* ids, float* log_sums) {
  constexpr std::int64_t kBlock = 64;  // passed over in one go unless one of them is among the largest
  parallel_tasks(rows, rows * n * 4, [&](std::int64_t r) {
    const float* const z = logits + r * n;
    float* const best = values + r * k;
    std::int32_t* const places = ids + r * k;
    std::fill_n(best, k, -kInfinity<float>);
    std::fill_n(places, k, -1);
    std::int64_t held = 0;
    for (std::int64_t i = 0; i < n; i += kBlock) {
      const std::int64_t count = std::min(kBlock, n - i);
      if (held == k && !(max_of(z + i, count, -kInfinity<float>) > best[k - 1])) continue;
      for (std::int64_t j = i; j < i + count; ++j) {
        const float v = z[j];
        if (!(held < k ? v >= -kInfinity<float> : v > best[k - 1])) continue;
        std::int64_t at = held < k ? held++ : k - 1;
        for (; at > 0 && best[at - 1] < v; --at) best[at] = best[at - 1], places[at] = places[at - 1];
        best[at] = v, places[at] = static_cast<std::int32_t>(j);
      }
    }
    const float max = held == 0 ? 0.0f : best[0];
    float sum = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += exp_or_zero(z[i] - max);
    log_sums[r] = max + std::log(sum);
  });
}

}  // namespace capstan::kernels
