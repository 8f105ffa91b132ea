#include "autograd/kernels/openmp/attention.h"

#include <omp.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels::openmp {
namespace {

constexpr std::int64_t kBlock = 96;  // queries of a block: the depth of its share of dk and dv
constexpr std::int64_t kStrip = 24;  // queries (or keys) whose causal limits are rounded up to one; a multiple of all tile heights

// A score this low is a removed key: far below what f32 scores of real data reach, and safe to calculate with.
constexpr float kRemoved = -1e30f, kLowest = -1e29f;

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

// Memory that one thread uses for task after task.
class Workspace {
 public:
  Workspace(const AttentionProblem& p, bool backward)
      : row_(tile::vectors_of(p.keys) * tile::kVector),
        packed_(std::max(tile::packed_size(p.width, p.keys), tile::packed_size(p.keys, p.width))),
        rows_(kBlock * tile::vectors_of(p.width) * tile::kVector),
        size_(packed_ * (backward ? 3 : 2) + kBlock * row_ * (backward ? 2 : 1) + rows_ * 4 + (backward ? 2 * p.keys * p.width : 0)),
        threads_(omp_get_max_threads()),
        floats_(size_ * threads_),
        keep_((p.drops() ? row_ : 0) * threads_) {}

  // The parts of thread t.
  struct Parts {
    float *first_packed, *second_packed, *third_packed;  // keys and values in their packed forms
    float *scores, *gradients;                            // [kBlock, row]
    float *rows, *more_rows, *packed_rows, *more_packed_rows;  // [kBlock, width]
    float *dk, *dv;                                       // [keys, width]
    std::uint8_t* keep;                                   // [keys]
    std::int64_t row;
  };
  Parts of(int t) const {
    float* at = floats_.data() + t * size_;
    const auto take = [&](std::int64_t n) { return std::exchange(at, at + n); };
    const bool backward = size_ > packed_ * 2 + kBlock * row_ + rows_ * 4;
    Parts parts{};
    parts.row = row_;
    parts.first_packed = take(packed_);
    parts.second_packed = take(packed_);
    parts.scores = take(kBlock * row_);
    parts.rows = take(rows_);
    parts.more_rows = take(rows_);
    parts.packed_rows = take(rows_);
    parts.more_packed_rows = take(rows_);
    parts.keep = keep_.data() + (keep_.size() / threads_) * t;
    if (backward) {
      parts.third_packed = take(packed_);
      parts.gradients = take(kBlock * row_);
      const std::int64_t rest = (floats_.data() + (t + 1) * size_ - at) / 2;
      parts.dk = take(rest);
      parts.dv = take(rest);
    }
    return parts;
  }

 private:
  std::int64_t row_, packed_, rows_, size_;
  std::int64_t threads_;
  Scratch<float> floats_;
  Scratch<std::uint8_t> keep_;
};

// Keys whose columns of the dropout mask are consecutive.
struct Run {
  std::int64_t first, count, column;
};

void find_runs(const AttentionProblem& p, const AttentionSpan& span, std::int64_t s, std::vector<Run>& runs) {
  runs.clear();
  if (!p.drops()) return;
  if (p.ids == nullptr) {
    runs.push_back({0, span.keys, 0});
    return;
  }
  for (std::int64_t j = 0; j < span.keys; ++j) {
    if (p.key_keep != nullptr && p.key_keep[s * p.keys + j] == 0) continue;  // whatever is decided about padding
    const std::int64_t column = span.dropout_column(p, j);
    if (!runs.empty() && runs.back().first + runs.back().count == j && runs.back().column + runs.back().count == column) {
      ++runs.back().count;
    } else {
      runs.push_back({j, 1, column});
    }
  }
}

// One (sequence, head): what the passes over a row need.
template <class T>
struct Head {
  const AttentionProblem& p;
  const AttentionSpan& span;
  std::int64_t s, h;
  const std::vector<Run>& runs;

  // Keys that queries [i, i + rows) may see together.
  std::int64_t limit(std::int64_t i, std::int64_t rows) const { return p.causal ? std::min(span.keys, i + rows) : span.keys; }

  // Adds the masks to the first `seen` scores of query i; the rest up to `n` becomes removed.
  void mask(std::int64_t i, float* row, std::int64_t n) const {
    const std::int64_t seen = limit(i, 1);
    std::fill(row + seen, row + n, kRemoved);
    if (p.add != nullptr) {
      const T* const add = static_cast<const T*>(p.add) + s * p.add_strides[0] + h * p.add_strides[1] + i * p.add_strides[2];
      const std::int64_t step = p.add_strides[3];
      for (std::int64_t j = 0; j < seen; ++j) row[j] = std::max(row[j] + static_cast<float>(add[j * step]), kRemoved);
    }
    if (p.keep != nullptr) {
      const std::uint8_t* const keep = p.keep + s * p.keep_strides[0] + h * p.keep_strides[1] + i * p.keep_strides[2];
      const std::int64_t step = p.keep_strides[3];
      for (std::int64_t j = 0; j < seen; ++j) row[j] = keep[j * step] != 0 ? row[j] : kRemoved;
    }
    if (p.key_keep != nullptr) {
      const std::uint8_t* const keep = p.key_keep + s * p.keys;
#pragma omp simd
      for (std::int64_t j = 0; j < seen; ++j) row[j] = keep[j] != 0 ? row[j] : kRemoved;
    }
  }

  // The dropout decisions of query i about its first n keys.
  void decide(std::int64_t i, std::int64_t n, std::uint8_t* keep) const {
    if (p.ids != nullptr) std::fill_n(keep, n, std::uint8_t{0});
    for (const Run& run : runs) {
      if (run.first >= n) break;
      keep_mask_row(dropout_key(p, h), span.dropout_row(p, i), run.column, std::min(run.count, n - run.first), p.dropout, keep + run.first);
    }
  }
};

// Rows of an operand as f32: in place where they are that already, else converted to `buffer`.
struct Rows {
  const float* data;
  std::int64_t row, column;
};
template <class T>
Rows rows_of(const T* from, std::int64_t rows, std::int64_t width, std::int64_t row_stride, std::int64_t column_stride, float* buffer) {
  if constexpr (std::is_same_v<T, float>) {
    return {from, row_stride, column_stride};
  } else {
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t d = 0; d < width; ++d) buffer[i * width + d] = static_cast<float>(from[i * row_stride + d * column_stride]);
    return {buffer, width, 1};
  }
}

// scores [rows, limit] of queries [first, first + rows), strip by strip of the causal limit.
template <class T>
void score_block(const Head<T>& head, std::int64_t first, std::int64_t rows, const Rows& q, const tile::Packed& keys, float alpha, float* scores,
                 std::int64_t row) {
  for (std::int64_t i = 0; i < rows; i += kStrip) {
    const std::int64_t count = std::min(kStrip, rows - i);
    const tile::Part part{.first_row = 0, .depth = keys.rows, .columns = head.limit(first + i, count)};
    tile::multiply(count, q.data + i * q.row, q.row, q.column, keys, part, scores + i * row, row, {.alpha = alpha});
  }
}

// The inverse: [rows, width] = alpha * weights [rows, limit] * packed [keys, width], strip by strip.
template <class T>
void gather_block(const Head<T>& head, std::int64_t first, std::int64_t rows, const float* weights, std::int64_t row, const tile::Packed& packed,
                  float* out, std::int64_t out_row, float alpha = 1.0f) {
  for (std::int64_t i = 0; i < rows; i += kStrip) {
    const std::int64_t count = std::min(kStrip, rows - i);
    const tile::Part part{.first_row = 0, .depth = head.limit(first + i, count), .columns = packed.columns};
    tile::multiply(count, weights + i * row, row, 1, packed, part, out + i * out_row, out_row, {.alpha = alpha});
  }
}

// sum [limit, width] += weights^T * packed [rows, width]; keys are visited by the queries that see them only.
template <class T>
void scatter_block(const Head<T>& head, std::int64_t first, std::int64_t rows, const float* weights, std::int64_t row, const tile::Packed& packed,
                   float* sum) {
  const std::int64_t limit = head.limit(first, rows), width = packed.columns;
  for (std::int64_t j = 0; j < limit; j += kStrip) {
    const std::int64_t count = std::min(kStrip, limit - j);
    // The first query of the block that sees key j, at a strip's edge: from there on all weights of these keys are filled in.
    const std::int64_t from = head.p.causal && j > first ? (j - first) / kStrip * kStrip : 0;
    const tile::Part part{.first_row = from, .depth = rows - from, .columns = width};
    tile::multiply(count, weights + from * row + j, 1, row, packed, part, sum + j * width, width, {.beta = 1.0f});
  }
}

void drop(float* row, const std::uint8_t* keep, std::int64_t n, float scale) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) row[j] = keep[j] != 0 ? row[j] * scale : 0.0f;
}

// Turns a row of masked scores into probabilities, with dropout if `keep` is not null; returns the logarithm of the sum.
float softmax_row(float* row, std::int64_t n, const std::uint8_t* keep = nullptr, float scale = 1.0f) {
  const float max = max_of(row, n, kRemoved);
  // Only if every key is removed: the maximum passes over NaN, which must stay visible.
  if (max <= kLowest && std::all_of(row, row + n, [](float x) { return x <= kLowest; })) {
    std::fill_n(row, n, 0.0f);
    return std::numeric_limits<float>::infinity();
  }
  const float sum = exp_in_place(row, n, max), factor = scale / sum;
  if (keep != nullptr) {
    drop(row, keep, n, factor);
  } else {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) row[j] *= factor;
  }
  return max + std::log(sum);
}

template <class T>
void store_rows(const float* from, std::int64_t rows, std::int64_t width, T* to, std::int64_t to_row) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t d = 0; d < width; ++d) to[i * to_row + d] = static_cast<T>(from[i * width + d]);
}

std::int64_t work_of(const AttentionProblem& p) { return p.sequences * p.heads * p.queries * p.keys * std::max<std::int64_t>(p.width / 8, 1); }

template <class T>
void forward_unit(const AttentionProblem& p, std::int64_t unit, const T* q, const T* k, const T* v, T* out, float* lse, const Workspace::Parts& w,
                  std::vector<Run>& runs) {
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads;
  const AttentionSpan span(p, s);
  if (span.queries == 0) return;
  find_runs(p, span, s, runs);
  const tile::Packed keys{w.first_packed, p.width, span.keys}, values{w.second_packed, span.keys, p.width};
  tile::pack(keys, k + span.k + key_head * p.k.head, p.k.width, p.k.token);
  tile::pack(values, v + span.v + key_head * p.v.head, p.v.token, p.v.width);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const Head<T> head{p, span, s, h, runs};
    for (std::int64_t first = 0; first < span.queries; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, span.queries - first);
      const Rows block = rows_of(q + span.q + first * p.q.token + h * p.q.head, rows, p.width, p.q.token, p.q.width, w.rows);
      score_block(head, first, rows, block, keys, static_cast<float>(p.scale), w.scores, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* const row = w.scores + i * w.row;
        const std::int64_t strip = i / kStrip * kStrip, n = head.limit(first + strip, std::min(kStrip, rows - strip));
        const std::int64_t token = (span.first_query + first + i) * p.heads + h, seen = head.limit(first + i, 1);
        head.mask(first + i, row, n);
        if (p.drops()) head.decide(first + i, seen, w.keep);
        lse[token] = p.drops() ? softmax_row(row, seen, w.keep, static_cast<float>(p.dropout.scale)) : softmax_row(row, seen);
        std::fill(row + seen, row + n, 0.0f);
      }
      T* const to = out + ((span.first_query + first) * p.heads + h) * p.width;
      if constexpr (std::is_same_v<T, float>) {
        gather_block(head, first, rows, w.scores, w.row, values, to, p.heads * p.width);
      } else {
        gather_block(head, first, rows, w.scores, w.row, values, w.more_rows, p.width);
        store_rows(w.more_rows, rows, p.width, to, p.heads * p.width);
      }
    }
  }
}

// One query: from the scores and g = dy v^T, dS = P (K g - sum(P K g)) in place of g, and P K in place of the scores. The sum is taken
// here and not as sum(dy y), which would carry y's rounding.
void gradient_row(float* scores, float* gradients, std::int64_t n, float lse, const std::uint8_t* keep, float scale) {
  if (keep != nullptr) drop(gradients, keep, n, scale);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    scores[j] = exp_or_zero(scores[j] - lse);
    sum += scores[j] * gradients[j];
  }
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) gradients[j] = scores[j] * (gradients[j] - sum);
  if (keep != nullptr) drop(scores, keep, n, scale);
}

template <class T>
void backward_unit(const AttentionProblem& p, std::int64_t unit, const T* q, const T* k, const T* v, const float* lse, const T* dy, T* dq,
                   T* dk, T* dv, T* dmask, const Workspace::Parts& w, std::vector<Run>& runs) {
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads, token_width = p.heads * p.width;
  const AttentionSpan span(p, s);
  if (span.keys == 0) {
    for (std::int64_t i = 0; i < span.queries; ++i)
      std::fill_n(dq + ((span.first_query + i) * p.heads + key_head * p.group()) * p.width, p.group() * p.width, T{});
    return;
  }
  find_runs(p, span, s, runs);
  const tile::Packed keys{w.first_packed, p.width, span.keys}, values{w.second_packed, p.width, span.keys},
      key_rows{w.third_packed, span.keys, p.width};
  const T* const k_head = k + span.k + key_head * p.k.head;
  tile::pack(keys, k_head, p.k.width, p.k.token);
  tile::pack(values, v + span.v + key_head * p.v.head, p.v.width, p.v.token);
  tile::pack(key_rows, k_head, p.k.token, p.k.width);
  std::fill_n(w.dk, span.keys * p.width, 0.0f);
  std::fill_n(w.dv, span.keys * p.width, 0.0f);
  const auto scale = static_cast<float>(p.scale);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const Head<T> head{p, span, s, h, runs};
    for (std::int64_t first = 0; first < span.queries; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, span.queries - first), at = ((span.first_query + first) * p.heads + h) * p.width;
      const T* const q_rows = q + span.q + first * p.q.token + h * p.q.head;
      const Rows q_block = rows_of(q_rows, rows, p.width, p.q.token, p.q.width, w.rows);
      const Rows dy_block = rows_of(dy + at, rows, p.width, token_width, std::int64_t{1}, w.more_rows);
      score_block(head, first, rows, q_block, keys, scale, w.scores, w.row);
      score_block(head, first, rows, dy_block, values, 1.0f, w.gradients, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* const scores = w.scores + i * w.row;
        float* const gradients = w.gradients + i * w.row;
        const std::int64_t strip = i / kStrip * kStrip, n = head.limit(first + strip, std::min(kStrip, rows - strip));
        const std::int64_t seen = head.limit(first + i, 1);
        head.mask(first + i, scores, n);
        if (p.drops()) head.decide(first + i, seen, w.keep);
        const float row_lse = lse[(span.first_query + first + i) * p.heads + h];
        gradient_row(scores, gradients, seen, row_lse, p.drops() ? w.keep : nullptr, static_cast<float>(p.dropout.scale));
        std::fill(scores + seen, scores + n, 0.0f);
        std::fill(gradients + seen, gradients + n, 0.0f);
        if (dmask != nullptr) {
          T* const to = dmask + ((s * p.heads + h) * p.queries + first + i) * p.keys;
          for (std::int64_t j = 0; j < span.keys; ++j) to[j] = static_cast<T>(j < seen ? gradients[j] : 0.0f);
        }
      }
      const tile::Packed packed_dy{w.packed_rows, rows, p.width}, packed_q{w.more_packed_rows, rows, p.width};
      tile::pack(packed_dy, dy + at, token_width, std::int64_t{1});
      tile::pack(packed_q, q_rows, p.q.token, p.q.width);
      scatter_block(head, first, rows, w.scores, w.row, packed_dy, w.dv);
      scatter_block(head, first, rows, w.gradients, w.row, packed_q, w.dk);
      if constexpr (std::is_same_v<T, float>) {
        gather_block(head, first, rows, w.gradients, w.row, key_rows, dq + at, token_width, scale);
      } else {
        gather_block(head, first, rows, w.gradients, w.row, key_rows, w.rows, p.width, scale);  // q's rows are packed: their buffer is free
        store_rows(w.rows, rows, p.width, dq + at, token_width);
      }
    }
  }
  for (std::int64_t i = 0; i < span.keys * p.width; ++i) w.dk[i] *= scale;
  const std::int64_t to = (span.first_key * p.key_heads + key_head) * p.width;
  store_rows(w.dk, span.keys, p.width, dk + to, p.key_heads * p.width);
  store_rows(w.dv, span.keys, p.width, dv + to, p.key_heads * p.width);
}

}  // namespace

template <class T>
void attention(const AttentionProblem& p, const T* q, const T* k, const T* v, T* out, float* lse) {
  const Workspace workspace(p, false);
  std::vector<std::vector<Run>> runs(static_cast<std::size_t>(omp_get_max_threads()));
  parallel_units(p.sequences * p.key_heads, work_of(p), [&](std::int64_t unit, int t) {
    forward_unit(p, unit, q, k, v, out, lse, workspace.of(t), runs[static_cast<std::size_t>(t)]);
  });
}

template <class T>
void attention_backward(const AttentionProblem& p, const T* q, const T* k, const T* v, const float* lse, const T* dy, T* dq, T* dk, T* dv,
                        T* dmask) {
  const Workspace workspace(p, true);
  std::vector<std::vector<Run>> runs(static_cast<std::size_t>(omp_get_max_threads()));
  parallel_units(p.sequences * p.key_heads, work_of(p), [&](std::int64_t unit, int t) {
    backward_unit(p, unit, q, k, v, lse, dy, dq, dk, dv, dmask, workspace.of(t), runs[static_cast<std::size_t>(t)]);
  });
}

template <class T>
void attention_probabilities(const AttentionProblem& p, const T* q, const T* k, T* probabilities) {
  const Workspace workspace(p, false);
  const std::vector<Run> no_runs;
  parallel_units(p.sequences * p.heads, work_of(p), [&](std::int64_t unit, int t) {
    const Workspace::Parts w = workspace.of(t);
    const std::int64_t s = unit / p.heads, h = unit % p.heads;
    const AttentionSpan span(p, s);
    const Head<T> head{p, span, s, h, no_runs};
    const tile::Packed keys{w.first_packed, p.width, p.keys};
    tile::pack(keys, k + span.k + h / p.group() * p.k.head, p.k.width, p.k.token);
    for (std::int64_t first = 0; first < p.queries; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, p.queries - first);
      const Rows block = rows_of(q + span.q + first * p.q.token + h * p.q.head, rows, p.width, p.q.token, p.q.width, w.rows);
      score_block(head, first, rows, block, keys, static_cast<float>(p.scale), w.scores, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* const row = w.scores + i * w.row;
        head.mask(first + i, row, p.keys);
        softmax_row(row, p.keys);
        T* const to = probabilities + (unit * p.queries + first + i) * p.keys;
        for (std::int64_t j = 0; j < p.keys; ++j) to[j] = static_cast<T>(row[j]);
      }
    }
  });
}

template void attention(const AttentionProblem&, const float*, const float*, const float*, float*, float*);
template void attention(const AttentionProblem&, const bfloat16*, const bfloat16*, const bfloat16*, bfloat16*, float*);
template void attention_backward(const AttentionProblem&, const float*, const float*, const float*, const float*, const float*, float*,
                                 float*, float*, float*);
template void attention_backward(const AttentionProblem&, const bfloat16*, const bfloat16*, const bfloat16*, const float*,
                                 const bfloat16*, bfloat16*, bfloat16*, bfloat16*, bfloat16*);
template void attention_probabilities(const AttentionProblem&, const float*, const float*, float*);
template void attention_probabilities(const AttentionProblem&, const bfloat16*, const bfloat16*, bfloat16*);

}  // namespace capstan::kernels::openmp
