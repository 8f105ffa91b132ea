// Attention for f32 and bf16, a (sequence, key head) a task. Blocks of queries pass over the keys they may see, so that scores and their
// gradients stay in the second-level cache and a causal mask saves its half of the work. Keys and values are packed first
// (register_tile.h), unless there are many for a few queries (attention_few_queries.cpp). All sums are f32.

#include "autograd/kernels/openmp/attention.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace openmp {
namespace {

constexpr std::int64_t kBlock = 96;  // queries of a block: the depth of its share of dk and dv
constexpr std::int64_t kStrip = 24;  // queries (or keys) whose causal limits are rounded up to one; a multiple of all tile heights

// Memory that one thread uses for task after task.
class Workspace {
 public:
  template <class T>
  Workspace(const AttentionProblem<T>& p, bool backward)
      : row_(tile::vectors_of(p.keys) * tile::kVector),
        packed_(std::max(tile::packed_size(p.width, p.keys), tile::packed_size(p.keys, p.width))),
        rows_(kBlock * tile::vectors_of(p.width) * tile::kVector),
        size_(packed_ * (backward ? 3 : 2) + kBlock * row_ * (backward ? 2 : 1) + rows_ * 4 + (backward ? 2 * p.keys * p.width : 0)),
        threads_(omp_get_max_threads()),
        floats_(size_ * threads_),
        keep_((p.drops() ? row_ : 0) * threads_) {}

  // The parts of thread t.
  struct Parts {
    float *first_packed, *second_packed, *third_packed;        // keys and values in their packed forms
    float *scores, *gradients;                                 // [kBlock, row]
    float *rows, *more_rows, *packed_rows, *more_packed_rows;  // [kBlock, width]
    float *dk, *dv;                                            // [keys, width]
    std::uint8_t* keep;                                        // [keys]
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
void score_block(const AttentionHead<T>& head, std::int64_t first, std::int64_t rows, const Rows& q, const tile::Packed& keys, float alpha,
                 float* scores, std::int64_t row) {
  for (std::int64_t i = 0; i < rows; i += kStrip) {
    const std::int64_t count = std::min(kStrip, rows - i);
    const tile::Part part{.first_row = 0, .depth = keys.rows, .columns = head.limit(first + i, count)};
    tile::multiply(count, q.data + i * q.row, q.row, q.column, keys, part, scores + i * row, row, {.alpha = alpha});
  }
}

// The inverse: [rows, width] = alpha * weights [rows, limit] * packed [keys, width], strip by strip.
template <class T>
void gather_block(const AttentionHead<T>& head, std::int64_t first, std::int64_t rows, const float* weights, std::int64_t row,
                  const tile::Packed& packed, float* out, std::int64_t out_row, float alpha = 1.0f) {
  for (std::int64_t i = 0; i < rows; i += kStrip) {
    const std::int64_t count = std::min(kStrip, rows - i);
    const tile::Part part{.first_row = 0, .depth = head.limit(first + i, count), .columns = packed.columns};
    tile::multiply(count, weights + i * row, row, 1, packed, part, out + i * out_row, out_row, {.alpha = alpha});
  }
}

// sum [limit, width] += weights^T * packed [rows, width]; keys are visited by the queries that see them only.
template <class T>
void scatter_block(const AttentionHead<T>& head, std::int64_t first, std::int64_t rows, const float* weights, std::int64_t row,
                   const tile::Packed& packed, float* sum) {
  // Strips of keys end where strips of queries begin to see more, so that a strip of queries has the weights of whole strips of keys.
  const std::int64_t limit = head.limit(first, rows), place = first + head.p.query_offset, phase = head.p.query_offset % kStrip;
  for (std::int64_t j = 0, count = 0; j < limit; j += count) {
    count = std::min(j == 0 && phase != 0 ? phase : kStrip, limit - j);
    const std::int64_t from = head.p.causal ? std::max<std::int64_t>(j - place, 0) : 0;  // the first query of the block that sees key j
    const tile::Part part{.first_row = from, .depth = rows - from, .columns = packed.columns};
    tile::multiply(count, weights + from * row + j, 1, row, packed, part, sum + j * packed.columns, packed.columns, {.beta = 1.0f});
  }
}

template <class T>
void store_rows(const float* from, std::int64_t rows, std::int64_t width, T* to, std::int64_t to_row) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t d = 0; d < width; ++d) to[i * to_row + d] = static_cast<T>(from[i * width + d]);
}

template <class T>
std::int64_t work_of(const AttentionProblem<T>& p) {
  return p.sequences * p.heads * p.queries * p.keys * std::max<std::int64_t>(p.width / 8, 1);
}

template <class T>
void forward_unit(const AttentionProblem<T>& p, std::int64_t unit, T* out, float* lse, const Workspace::Parts& w,
                  std::vector<KeyRun>& runs) {
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads;
  const AttentionSpan span(p, s);
  if (span.queries == 0) return;
  find_runs(p, span, s, {0, span.keys}, runs);
  const tile::Packed keys{w.first_packed, p.width, span.keys}, values{w.second_packed, span.keys, p.width};
  tile::pack(keys, p.k + span.k + key_head * p.k_layout.head, p.k_layout.width, p.k_layout.token);
  tile::pack(values, p.v + span.v + key_head * p.v_layout.head, p.v_layout.token, p.v_layout.width);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const AttentionHead<T> head{p, span, s, h, {0, span.keys}, runs};
    for (std::int64_t first = 0; first < span.queries; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, span.queries - first);
      const Rows block =
          rows_of(p.q + span.q + first * p.q_layout.token + h * p.q_layout.head, rows, p.width, p.q_layout.token, p.q_layout.width, w.rows);
      score_block(head, first, rows, block, keys, static_cast<float>(p.scale), w.scores, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t strip = i / kStrip * kStrip, n = head.limit(first + strip, std::min(kStrip, rows - strip));
        const ExpSum sum = weights_of_row(head, first + i, w.scores + i * w.row, n, w.keep);
        lse[(span.first_query + first + i) * p.heads + h] = sum.log();
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

// How a bias's gradient is summed over what the bias repeats for. The units that add to the same entries are a group; a group is cut into
// shares, each a task that sums its units in their order, and the shares' sums are added in their order. All of it depends on the sizes
// alone. Without such a gradient every unit is a group.
template <class T>
class BiasSums {
 public:
  BiasSums(const AttentionProblem<T>& p, const AttentionGradients<T>& to)
      : to_(to), periods_(to.bias_size[0]), key_heads_(p.key_heads), of_all_heads_(to.bias_size[1] == 1) {
    const std::int64_t units = p.sequences * p.key_heads;
    groups_ = to.dbias == nullptr ? units : of_all_heads_ ? periods_ : periods_ * p.key_heads;
    items_ = groups_ == 0 ? 0 : units / groups_;
    if (to.dbias == nullptr || groups_ == 0) return;
    shares_ = std::clamp<std::int64_t>((kTasks + groups_ - 1) / groups_, 1, std::max<std::int64_t>(items_, 1));
    size_ = to.bias_numel() / groups_;
    in_place_ = std::is_same_v<T, float> && shares_ == 1;
    if (!in_place_) sums_.emplace(tasks() * size_);
  }

  std::int64_t tasks() const { return groups_ * shares_; }

  // Calls f(unit, sums) for the units of a task; sums [heads of the unit or 1, queries or 1, keys or 1], null if there is nothing to sum.
  template <class F>
  void for_units(std::int64_t task, const F& f) const {
    const std::int64_t group = task / shares_, share = task % shares_;
    float* const sums = sums_of(task);
    if (sums != nullptr) std::fill_n(sums, size_, 0.0f);
    for (std::int64_t i = items_ * share / shares_; i < items_ * (share + 1) / shares_; ++i) f(unit(group, i), sums);
  }

  // Adds the gradient of the scores of query i to the sums; `head` counts the unit's heads.
  void add(float* sums, std::int64_t head, std::int64_t i, const float* row, std::int64_t n) const {
    const auto [period, heads, queries, keys] = to_.bias_size;
    float* const entries = sums + ((of_all_heads_ ? 0 : head) * queries + (queries == 1 ? 0 : i)) * keys;
    if (keys == 1) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < n; ++j) sum += row[j];
      entries[0] += sum;
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) entries[j] += row[j];
    }
  }

  // The sums of all shares, to dbias.
  void finish() const {
    if (to_.dbias == nullptr || in_place_ || groups_ == 0) return;
    parallel_ranges(groups_ * size_, kGrain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t e = first; e < last; ++e) {
        const float* const from = sums_->data() + (e / size_ * shares_) * size_ + e % size_;
        float sum = 0;
        for (std::int64_t share = 0; share < shares_; ++share) sum += from[share * size_];
        to_.dbias[e] = static_cast<T>(sum);
      }
    });
  }

 private:
  static constexpr std::int64_t kTasks = 32;  // to share out, where the groups alone are fewer

  std::int64_t unit(std::int64_t group, std::int64_t item) const {
    if (to_.dbias == nullptr) return group;
    if (of_all_heads_) return (group + item / key_heads_ * periods_) * key_heads_ + item % key_heads_;
    return (group / key_heads_ + item * periods_) * key_heads_ + group % key_heads_;
  }
  float* sums_of(std::int64_t task) const {
    if (to_.dbias == nullptr) return nullptr;
    if constexpr (std::is_same_v<T, float>)
      if (in_place_) return to_.dbias + task * size_;
    return sums_->data() + task * size_;
  }

  const AttentionGradients<T>& to_;
  std::int64_t periods_, key_heads_;
  bool of_all_heads_;
  std::int64_t groups_ = 0, items_ = 0, shares_ = 1, size_ = 0;
  bool in_place_ = false;
  std::optional<Scratch<float>> sums_;
};

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
void backward_unit(const AttentionProblem<T>& p, std::int64_t unit, const float* lse, const T* dy, const AttentionGradients<T>& to,
                   const BiasSums<T>& bias, float* bias_sums, const Workspace::Parts& w, std::vector<KeyRun>& runs) {
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads, token_width = p.heads * p.width;
  const AttentionSpan span(p, s);
  if (span.keys == 0) {
    for (std::int64_t i = 0; i < span.queries; ++i)
      std::fill_n(to.dq + ((span.first_query + i) * p.heads + key_head * p.group()) * p.width, p.group() * p.width, T{});
    return;
  }
  find_runs(p, span, s, {0, span.keys}, runs);
  const tile::Packed keys{w.first_packed, p.width, span.keys}, values{w.second_packed, p.width, span.keys},
      key_rows{w.third_packed, span.keys, p.width};
  const T* const k_head = p.k + span.k + key_head * p.k_layout.head;
  tile::pack(keys, k_head, p.k_layout.width, p.k_layout.token);
  tile::pack(values, p.v + span.v + key_head * p.v_layout.head, p.v_layout.width, p.v_layout.token);
  tile::pack(key_rows, k_head, p.k_layout.token, p.k_layout.width);
  std::fill_n(w.dk, span.keys * p.width, 0.0f);
  std::fill_n(w.dv, span.keys * p.width, 0.0f);
  const auto scale = static_cast<float>(p.scale);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const AttentionHead<T> head{p, span, s, h, {0, span.keys}, runs};
    for (std::int64_t first = 0; first < span.queries; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, span.queries - first), at = ((span.first_query + first) * p.heads + h) * p.width;
      const T* const q_rows = p.q + span.q + first * p.q_layout.token + h * p.q_layout.head;
      const Rows q_block = rows_of(q_rows, rows, p.width, p.q_layout.token, p.q_layout.width, w.rows);
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
        if (bias_sums != nullptr) bias.add(bias_sums, h - key_head * p.group(), first + i, gradients, seen);
      }
      const tile::Packed packed_dy{w.packed_rows, rows, p.width}, packed_q{w.more_packed_rows, rows, p.width};
      tile::pack(packed_dy, dy + at, token_width, std::int64_t{1});
      tile::pack(packed_q, q_rows, p.q_layout.token, p.q_layout.width);
      scatter_block(head, first, rows, w.scores, w.row, packed_dy, w.dv);
      scatter_block(head, first, rows, w.gradients, w.row, packed_q, w.dk);
      if constexpr (std::is_same_v<T, float>) {
        gather_block(head, first, rows, w.gradients, w.row, key_rows, to.dq + at, token_width, scale);
      } else {
        gather_block(head, first, rows, w.gradients, w.row, key_rows, w.rows, p.width, scale);  // q's rows are packed: their buffer is free
        store_rows(w.rows, rows, p.width, to.dq + at, token_width);
      }
    }
  }
  for (std::int64_t i = 0; i < span.keys * p.width; ++i) w.dk[i] *= scale;
  const std::int64_t at = (span.first_key * p.key_heads + key_head) * p.width;
  store_rows(w.dk, span.keys, p.width, to.dk + at, p.key_heads * p.width);
  store_rows(w.dv, span.keys, p.width, to.dv + at, p.key_heads * p.width);
}

}  // namespace
}  // namespace openmp

template <class T>
void AttentionForward<T>::fast(const AttentionProblem<T>& p, T* out, Compute<T>* lse) {
  if (openmp::has_few_queries(p)) return openmp::attend_with_few_queries(p, out, lse);
  const openmp::Workspace workspace(p, false);
  std::vector<std::vector<openmp::KeyRun>> runs = openmp::runs_of_threads();
  openmp::parallel_units(p.sequences * p.key_heads, openmp::work_of(p), [&](std::int64_t unit, int t) {
    openmp::forward_unit(p, unit, out, lse, workspace.of(t), runs[static_cast<std::size_t>(t)]);
  });
}

template <class T>
void AttentionBackward<T>::fast(const AttentionProblem<T>& p, const Compute<T>* lse, const T* dy, const AttentionGradients<T>& to) {
  const openmp::Workspace workspace(p, true);
  const openmp::BiasSums<T> bias(p, to);
  std::vector<std::vector<openmp::KeyRun>> runs = openmp::runs_of_threads();
  openmp::parallel_units(bias.tasks(), openmp::work_of(p), [&](std::int64_t task, int t) {
    bias.for_units(task, [&](std::int64_t unit, float* sums) {
      openmp::backward_unit(p, unit, lse, dy, to, bias, sums, workspace.of(t), runs[static_cast<std::size_t>(t)]);
    });
  });
  bias.finish();
}

template <class T>
void AttentionProbabilities<T>::fast(const AttentionProblem<T>& p, T* probabilities) {
  const openmp::Workspace workspace(p, false);
  const std::vector<openmp::KeyRun> no_runs;
  openmp::parallel_units(p.sequences * p.heads, openmp::work_of(p), [&](std::int64_t unit, int t) {
    const openmp::Workspace::Parts w = workspace.of(t);
    const std::int64_t s = unit / p.heads, h = unit % p.heads;
    const AttentionSpan span(p, s);
    const openmp::AttentionHead<T> head{p, span, s, h, {0, span.keys}, no_runs};
    const tile::Packed keys{w.first_packed, p.width, p.keys};
    tile::pack(keys, p.k + span.k + h / p.group() * p.k_layout.head, p.k_layout.width, p.k_layout.token);
    for (std::int64_t first = 0; first < p.queries; first += openmp::kBlock) {
      const std::int64_t rows = std::min(openmp::kBlock, p.queries - first);
      const openmp::Rows block = openmp::rows_of(p.q + span.q + first * p.q_layout.token + h * p.q_layout.head, rows, p.width,
                                                 p.q_layout.token, p.q_layout.width, w.rows);
      openmp::score_block(head, first, rows, block, keys, static_cast<float>(p.scale), w.scores, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* const row = w.scores + i * w.row;
        head.mask(first + i, row, p.keys);
        openmp::softmax_row(row, p.keys);
        T* const to = probabilities + (unit * p.queries + first + i) * p.keys;
        for (std::int64_t j = 0; j < p.keys; ++j) to[j] = static_cast<T>(row[j]);
      }
    }
  });
}

template AttentionForward<float>::Signature AttentionForward<float>::fast;
template AttentionForward<bfloat16>::Signature AttentionForward<bfloat16>::fast;
template AttentionBackward<float>::Signature AttentionBackward<float>::fast;
template AttentionBackward<bfloat16>::Signature AttentionBackward<bfloat16>::fast;
template AttentionProbabilities<float>::Signature AttentionProbabilities<float>::fast;
template AttentionProbabilities<bfloat16>::Signature AttentionProbabilities<bfloat16>::fast;

}  // namespace capstan::kernels
