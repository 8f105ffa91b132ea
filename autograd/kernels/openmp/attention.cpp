// Attention for f32 and bf16, a (sequence, key head) a task. Strips of queries pass over the keys they may see, so that their scores stay
// in the nearest cache and a causal mask saves its half of the work; in backward, blocks of strips are the depth of dk and dv. Keys and
// values are packed first (register_tile.h), unless there are many for a few queries (attention_few_queries.cpp). All sums are f32; what
// products of bf16 read, weights and gradients of scores too, is bf16.

#include "autograd/kernels/openmp/attention.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace openmp {
namespace {

constexpr std::int64_t kStrip = 24;          // queries (or keys) whose causal limits are rounded up to one; a multiple of all tile heights
constexpr std::int64_t kBlock = 6 * kStrip;  // queries whose share of dk and dv is summed in registers

// Memory that one thread uses for task after task. Words are those of register_tile.h.
template <class T>
class Workspace {
 public:
  // For f32, weights and their gradients take the place of scores and theirs.
  struct Parts {
    T *keys, *values, *key_rows;          // packed
    T *query_rows, *dy_rows;              // [kBlock, width], where they must be copied
    T *packed_queries, *packed_dy;        // [kBlock, width]
    T *weights, *gradients;               // of a block, [kBlock, row] in words along the queries
    float *score_strip, *gradient_strip;  // [kStrip, row]
    T* narrow_strip;                      // [kStrip, row] in words along the keys
    float *dk, *dv;                       // [keys, width]
    float* factors;                       // [kStrip]
    std::uint8_t* keep;                   // [row]
    std::int64_t row;

    // The weights of a strip, in words along the keys.
    T* strip_weights() const {
      if constexpr (kNarrow)
        return narrow_strip;
      else
        return score_strip;
    }
    // Where the scores (or their gradients) of query i of a block go.
    float* strip_of(float* strip, [[maybe_unused]] T* block, [[maybe_unused]] std::int64_t i) const {
      if constexpr (kNarrow)
        return strip;
      else
        return block + i * row;
    }
  };
  static constexpr bool kNarrow = !std::is_same_v<T, float>;

  Workspace(const AttentionProblem<T>& p, bool backward) : p_(p), backward_(backward), bytes_(size() * omp_get_max_threads()) {}

  Parts of(int thread) const {
    Place place{reinterpret_cast<std::uintptr_t>(bytes_.data() + size() * thread)};
    return parts(place);
  }

 private:
  // Hands out memory from an address on, and counts it.
  struct Place {
    std::uintptr_t base = 0, size = 0;

    template <class E>
    void take(E*& part, std::int64_t count) {
      part = reinterpret_cast<E*>(base + size);
      size += (static_cast<std::uintptr_t>(count) * sizeof(E) + 63) / 64 * 64;
    }
  };

  Parts parts(Place& place) const {
    const std::int64_t width = tile::words_of<T>(p_.width) * tile::kWord<T>, packed_rows = tile::packed_size<T>(kBlock, p_.width);
    const std::int64_t columns = tile::packed_size<T>(p_.width, p_.keys), rows = tile::packed_size<T>(p_.keys, p_.width);
    Parts w{};
    w.row = (tile::vectors_of(p_.keys) | 1) * tile::kVector;  // an odd number of cache lines: a column of them is spread over all sets
    place.take(w.keys, columns);
    place.take(w.values, backward_ ? columns : rows);
    place.take(w.query_rows, kBlock * width);
    place.take(w.keep, p_.drops() ? w.row : 0);
    if (!backward_ || kNarrow) place.take(w.score_strip, kStrip * w.row);
    if (kNarrow) place.take(w.narrow_strip, kStrip * w.row);
    place.take(w.factors, kStrip);
    if (backward_) {
      place.take(w.key_rows, rows);
      place.take(w.dy_rows, kBlock * width);
      place.take(w.packed_queries, packed_rows);
      place.take(w.packed_dy, packed_rows);
      place.take(w.weights, kBlock * w.row);
      place.take(w.gradients, kBlock * w.row);
      if (kNarrow) place.take(w.gradient_strip, kStrip * w.row);
      place.take(w.dk, p_.keys * p_.width);
      place.take(w.dv, p_.keys * p_.width);
    }
    return w;
  }
  std::int64_t size() const {
    Place place;
    parts(place);
    return static_cast<std::int64_t>(place.size);
  }

  const AttentionProblem<T>& p_;
  const bool backward_;
  Scratch<std::byte> bytes_;
};

// Rows of an operand that a product reads in words: in place where words lie there, else copied to `buffer`.
template <class T>
struct Rows {
  const T* data;
  std::int64_t row, step;
};
template <class T>
Rows<T> rows_of(const T* from, std::int64_t rows, std::int64_t width, std::int64_t row_stride, std::int64_t column_stride, T* buffer) {
  constexpr std::int64_t kWord = tile::kWord<T>;
  if (kWord == 1 || (column_stride == 1 && width % kWord == 0)) return {from, row_stride, kWord * column_stride};
  const std::int64_t row = tile::words_of<T>(width) * kWord;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t d = 0; d < width; ++d) buffer[i * row + d] = from[i * row_stride + d * column_stride];
    std::fill(buffer + i * row + width, buffer + (i + 1) * row, T{});
  }
  return {buffer, row, kWord};
}

// scores [count, n] = alpha * rows * keys^T in whole vectors, where `keys` are packed.
template <class T>
void score_strip(const Rows<T>& rows, std::int64_t first, std::int64_t count, const tile::Packed<T>& keys, std::int64_t n, float alpha,
                 float* scores, std::int64_t row) {
  const tile::Part part{.first_row = 0, .depth = keys.rows, .columns = tile::padded(n)};
  tile::multiply(count, rows.data + first * rows.row, rows.row, rows.step, keys, part, scores, row, {.alpha = alpha});
}

// sum [limit, width] += weights^T * packed [rows, width]; keys are visited by the queries that see them only.
template <class T>
void scatter_block(const AttentionHead<T>& head, std::int64_t first, std::int64_t rows, const T* weights, std::int64_t row,
                   const tile::Packed<T>& packed, float* sum) {
  constexpr std::int64_t kWord = tile::kWord<T>;
  // Strips of keys end where strips of queries begin to see more, so that a strip of queries has the weights of whole strips of keys.
  const std::int64_t limit = head.limit(first, rows), place = first + head.p.query_offset, phase = head.p.query_offset % kStrip;
  for (std::int64_t j = 0, count = 0; j < limit; j += count) {
    count = std::min(j == 0 && phase != 0 ? phase : kStrip, limit - j);
    const std::int64_t from = head.p.causal ? std::max<std::int64_t>(j - place, 0) : 0;  // the first query of the block that sees key j
    const tile::Part part{.first_row = from, .depth = rows - from, .columns = packed.columns};
    tile::multiply(count, weights + from * row + j * kWord, kWord, row * kWord, packed, part, sum + j * packed.columns, packed.columns,
                   {.beta = 1.0f});
  }
}

template <class T>
void store_rows(const float* from, std::int64_t rows, std::int64_t width, float factor, T* to, std::int64_t to_row) {
  for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd simdlen(kSimdLength <float>)
    for (std::int64_t d = 0; d < width; ++d) store(to[i * to_row + d], factor * from[i * width + d]);
  }
}

// A row of whole vectors, rounded.
[[maybe_unused]] void narrow_row(const float* row, std::int64_t n, bfloat16* to) {
  for (std::int64_t j = 0; j < n; j += tile::kVector) tile::store_vector(tile::load(row + j), to + j);
}
// Two rows of whole vectors as one of words.
[[maybe_unused]] void join_rows(const float* first, const float* second, std::int64_t n, bfloat16* words) {
  for (std::int64_t j = 0; j < n; j += tile::kVector) {
    const tile::Words joined = tile::join(tile::load(first + j), tile::load(second + j));
    std::memcpy(static_cast<void*>(words + 2 * j), &joined, sizeof joined);
  }
}

// lse[i * stride] = the logarithm of sum i.
void logarithms(const ExpSum* sums, std::int64_t n, float* lse, std::int64_t stride) {
  float logs[kStrip];
#pragma omp simd simdlen(kSimdLength <float>)
  for (std::int64_t i = 0; i < n; ++i) logs[i] = sums[i].log();
  for (std::int64_t i = 0; i < n; ++i) lse[i * stride] = logs[i];
}

template <class T>
std::int64_t work_of(const AttentionProblem<T>& p) {
  return p.sequences * p.heads * p.queries * p.keys * std::max<std::int64_t>(p.width / 8, 1);
}

// The operands of a unit that this thread is likely to compute next, asked for row by row while it computes another: the processor does not
// foresee them, and to wait for memory takes as long as half of a unit of short sequences does. Always inline: GCC takes a function that
// only prefetches for one without effects and drops calls of it.
template <class T>
class NextUnit {
 public:
  NextUnit(const AttentionProblem<T>& p, std::int64_t unit) {
    if (unit < 0 || unit >= p.sequences * p.key_heads) return;
    const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads, head = key_head * p.group();
    const AttentionSpan span(p, s);
    width_ = p.width;
    queries_ = {span.queries, p.heads * p.width, (span.first_query * p.heads + head) * p.width};
    keys_ = {span.keys, p.key_heads * p.width, (span.first_key * p.key_heads + key_head) * p.width};
    q_ = {p.q + span.q + head * p.q_layout.head, span.queries, p.q_layout.token};
    k_ = {p.k + span.k + key_head * p.k_layout.head, span.keys, p.k_layout.token};
    v_ = {p.v + span.v + key_head * p.v_layout.head, span.keys, p.v_layout.token};
  }

  // Row i of what is read.
  [[gnu::always_inline]] void prefetch_operands(std::int64_t i) const {
    for (const Operand& x : {q_, k_, v_}) prefetch<0>(x, i);
  }
  // Row i of a contiguous tensor of queries (or of keys) and heads.
  template <int kWrite>
  [[gnu::always_inline]] void prefetch_queries(const T* x, std::int64_t i) const {
    prefetch<kWrite>({x + queries_.offset, queries_.rows, queries_.stride}, i);
  }
  template <int kWrite>
  [[gnu::always_inline]] void prefetch_keys(const T* x, std::int64_t i) const {
    prefetch<kWrite>({x + keys_.offset, keys_.rows, keys_.stride}, i);
  }

 private:
  struct Place {
    std::int64_t rows = 0, stride = 0, offset = 0;
  };
  struct Operand {
    const T* first = nullptr;
    std::int64_t rows = 0, stride = 0;
  };

  template <int kWrite>
  [[gnu::always_inline]] void prefetch(const Operand& x, std::int64_t i) const {
    constexpr int kSecondLevelCache = 2;
    constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
    if (i >= x.rows) return;
    for (std::int64_t d = 0; d < width_; d += kLine) __builtin_prefetch(x.first + i * x.stride + d, kWrite, kSecondLevelCache);
  }

  std::int64_t width_ = 0;
  Place queries_, keys_;
  Operand q_, k_, v_;
};

template <class T>
void forward_unit(const AttentionProblem<T>& p, std::int64_t unit, std::int64_t next_unit, T* out, float* lse,
                  const typename Workspace<T>::Parts& w, std::vector<KeyRun>& runs) {
  constexpr std::int64_t kWord = tile::kWord<T>;
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads, token_width = p.heads * p.width;
  const AttentionSpan span(p, s);
  if (span.queries == 0) return;
  find_runs(p, span, s, {0, span.keys}, runs);
  const tile::Packed<T> keys{w.keys, p.width, span.keys}, values{w.values, span.keys, p.width};
  tile::pack(keys, p.k + span.k + key_head * p.k_layout.head, p.k_layout.width, p.k_layout.token);
  tile::pack(values, p.v + span.v + key_head * p.v_layout.head, p.v_layout.token, p.v_layout.width);
  T* const weights = w.strip_weights();
  ExpSum sums[kStrip];
  const NextUnit<T> next(p, next_unit);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const AttentionHead<T> head{p, span, s, h, {0, span.keys}, runs};
    for (std::int64_t first = 0; first < span.queries; first += kStrip) {
      const std::int64_t rows = std::min(kStrip, span.queries - first), n = head.limit(first, rows);
      const Rows<T> q = rows_of(p.q + span.q + first * p.q_layout.token + h * p.q_layout.head, rows, p.width, p.q_layout.token,
                                p.q_layout.width, w.query_rows);
      score_strip(q, 0, rows, keys, n, static_cast<float>(p.scale), w.score_strip, w.row);
      for (std::int64_t i = 0; i < rows; ++i) head.mask(first + i, w.score_strip + i * w.row, tile::padded(n));
      for (std::int64_t i = 0; i < rows; ++i) {
        next.prefetch_operands(first + i);
        next.template prefetch_queries<1>(out, first + i);
        sums[i] = weights_of_row(head, first + i, w.score_strip + i * w.row, tile::padded(n), w.keep, weights + i * w.row);
      }
      for (std::int64_t i = 0; i < rows; ++i) w.factors[i] = weight_factor(p, sums[i]);
      logarithms(sums, rows, lse + (span.first_query + first) * p.heads + h, p.heads);
      tile::multiply(rows, weights, w.row, kWord, values, {.first_row = 0, .depth = n, .columns = p.width},
                     out + ((span.first_query + first) * p.heads + h) * p.width, token_width, {.row_factors = w.factors});
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

  // Calls f(unit, next, sums) for the units of a task; sums [heads of the unit or 1, queries or 1, keys or 1], null if there is nothing to
  // sum. `next`: the unit that this thread will probably come to after it, or one beyond the last.
  template <class F>
  void for_units(std::int64_t task, const F& f) const {
    const std::int64_t group = task / shares_, share = task % shares_;
    float* const sums = sums_of(task);
    if (sums != nullptr) std::fill_n(sums, size_, 0.0f);
    const std::int64_t last = first_item(share + 1), next_task = task + omp_get_num_threads();
    for (std::int64_t i = first_item(share); i < last; ++i)
      f(unit(group, i), i + 1 < last ? unit(group, i + 1) : unit(next_task / shares_, first_item(next_task % shares_)), sums);
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

  std::int64_t first_item(std::int64_t share) const { return items_ * share / shares_; }
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

// One query: from the scores and g = dy v^T, whole vectors of them, dS = P (K g - sum(P K g)) in place of g, and P K in place of the
// scores. The sum is taken here and not as sum(dy y), which would carry y's rounding.
void gradient_row(float* scores, float* gradients, std::int64_t n, float lse, const std::uint8_t* keep, float scale) {
  using tile::Vector, tile::kVector, tile::load, tile::store_vector;
  Vector sums{};
  for (std::int64_t j = 0; j < n; j += kVector) {
    const Vector p = exp_vector(load(scores + j) - lse);
    Vector g = load(gradients + j);
    if (keep != nullptr) {
      g = keep_or_zero(g * scale, keep + j);
      store_vector(g, gradients + j);
    }
    sums += p * g;
    store_vector(p, scores + j);
  }
  const float sum = tile::sum_of_lanes(sums);
  for (std::int64_t j = 0; j < n; j += kVector) {
    const Vector p = load(scores + j);
    store_vector(p * (load(gradients + j) - sum), gradients + j);
    if (keep != nullptr) store_vector(keep_or_zero(p * scale, keep + j), scores + j);
  }
}

// The queries of a block: whole strips, so many that blocks are about equally large.
std::int64_t block_of(std::int64_t queries) {
  const std::int64_t blocks = (queries + kBlock - 1) / kBlock, strips = (queries + kStrip - 1) / kStrip;
  return (strips + blocks - 1) / blocks * kStrip;
}

template <class T>
void backward_unit(const AttentionProblem<T>& p, std::int64_t unit, std::int64_t next_unit, const float* lse, const T* dy,
                   const AttentionGradients<T>& to, const BiasSums<T>& bias, float* bias_sums, const typename Workspace<T>::Parts& w,
                   std::vector<KeyRun>& runs) {
  constexpr std::int64_t kWord = tile::kWord<T>;
  const std::int64_t s = unit / p.key_heads, key_head = unit % p.key_heads, token_width = p.heads * p.width;
  const AttentionSpan span(p, s);
  if (span.keys == 0) {
    for (std::int64_t i = 0; i < span.queries; ++i)
      std::fill_n(to.dq + ((span.first_query + i) * p.heads + key_head * p.group()) * p.width, p.group() * p.width, T{});
    return;
  }
  find_runs(p, span, s, {0, span.keys}, runs);
  const NextUnit<T> next(p, next_unit);
  const tile::Packed<T> keys{w.keys, p.width, span.keys}, values{w.values, p.width, span.keys}, key_rows{w.key_rows, span.keys, p.width};
  const T* const k_head = p.k + span.k + key_head * p.k_layout.head;
  tile::pack(keys, k_head, p.k_layout.width, p.k_layout.token);
  tile::pack(values, p.v + span.v + key_head * p.v_layout.head, p.v_layout.width, p.v_layout.token);
  tile::pack(key_rows, k_head, p.k_layout.token, p.k_layout.width);
  std::fill_n(w.dk, span.keys * p.width, 0.0f);
  std::fill_n(w.dv, span.keys * p.width, 0.0f);
  const auto scale = static_cast<float>(p.scale);
  const std::int64_t block = block_of(span.queries);
  for (std::int64_t h = key_head * p.group(); h < (key_head + 1) * p.group(); ++h) {
    const AttentionHead<T> head{p, span, s, h, {0, span.keys}, runs};
    // From the masked scores of query i and dy v^T to weights and gradients of the scores, in place.
    const auto pass = [&](std::int64_t i, std::int64_t n, float* scores, float* gradients) {
      next.prefetch_operands(i);
      next.template prefetch_queries<0>(dy, i);
      next.template prefetch_queries<1>(to.dq, i);
      next.template prefetch_keys<1>(to.dk, i);
      next.template prefetch_keys<1>(to.dv, i);
      if (p.drops()) head.decide(i, w.keep);
      gradient_row(scores, gradients, n, lse[(span.first_query + i) * p.heads + h], p.drops() ? w.keep : nullptr,
                   static_cast<float>(p.dropout.scale));
      if (bias_sums != nullptr) bias.add(bias_sums, h - key_head * p.group(), i, gradients, head.limit(i, 1));
    };
    for (std::int64_t first = 0; first < span.queries; first += block) {
      const std::int64_t rows = std::min(block, span.queries - first), at = ((span.first_query + first) * p.heads + h) * p.width;
      const T* const q_rows = p.q + span.q + first * p.q_layout.token + h * p.q_layout.head;
      const Rows<T> q_block = rows_of(q_rows, rows, p.width, p.q_layout.token, p.q_layout.width, w.query_rows);
      const Rows<T> dy_block = rows_of(dy + at, rows, p.width, token_width, std::int64_t{1}, w.dy_rows);
      for (std::int64_t strip = 0; strip < rows; strip += kStrip) {
        const std::int64_t count = std::min(kStrip, rows - strip), limit = head.limit(first + strip, count), n = tile::padded(limit);
        float* const scores = w.strip_of(w.score_strip, w.weights, strip);
        float* const gradients = w.strip_of(w.gradient_strip, w.gradients, strip);
        score_strip(q_block, strip, count, keys, n, scale, scores, w.row);
        score_strip(dy_block, strip, count, values, n, 1.0f, gradients, w.row);
        for (std::int64_t i = 0; i < count; ++i) {
          head.mask(first + strip + i, scores + i * w.row, n);
          std::fill(gradients + i * w.row + head.limit(first + strip + i, 1), gradients + i * w.row + n, 0.0f);
        }
        for (std::int64_t i = 0; i < count; ++i) pass(first + strip + i, n, scores + i * w.row, gradients + i * w.row);
        const T* score_gradients = nullptr;
        if constexpr (kWord == 1) {
          score_gradients = gradients;
        } else {
          for (std::int64_t i = 0; i < count; i += kWord) {
            float *const weight_row = scores + i * w.row, *const ds_row = gradients + i * w.row;
            if (i + 1 == count)
              for (float* const row : {weight_row, ds_row}) std::fill_n(row + w.row, n, 0.0f);
            join_rows(weight_row, weight_row + w.row, n, w.weights + (strip + i) * w.row);
            join_rows(ds_row, ds_row + w.row, n, w.gradients + (strip + i) * w.row);
          }
          for (std::int64_t i = 0; i < count; ++i) narrow_row(gradients + i * w.row, n, w.narrow_strip + i * w.row);
          score_gradients = w.narrow_strip;
        }
        tile::multiply(count, score_gradients, w.row, kWord, key_rows, {.first_row = 0, .depth = limit, .columns = p.width},
                       to.dq + at + strip * token_width, token_width, {.alpha = scale});
      }
      const tile::Packed<T> packed_dy{w.packed_dy, rows, p.width}, packed_q{w.packed_queries, rows, p.width};
      tile::pack(packed_dy, dy + at, token_width, std::int64_t{1});
      tile::pack(packed_q, q_rows, p.q_layout.token, p.q_layout.width);
      scatter_block(head, first, rows, w.weights, w.row, packed_dy, w.dv);
      scatter_block(head, first, rows, w.gradients, w.row, packed_q, w.dk);
    }
  }
  const std::int64_t at = (span.first_key * p.key_heads + key_head) * p.width;
  store_rows(w.dk, span.keys, p.width, scale, to.dk + at, p.key_heads * p.width);
  store_rows(w.dv, span.keys, p.width, 1.0f, to.dv + at, p.key_heads * p.width);
}

}  // namespace
}  // namespace openmp

template <class T>
void AttentionForward<T>::fast(const AttentionProblem<T>& p, T* out, Compute<T>* lse) {
  if (openmp::has_few_queries(p)) return openmp::attend_with_few_queries(p, out, lse);
  const openmp::Workspace<T> workspace(p, false);
  std::vector<std::vector<openmp::KeyRun>> runs = openmp::runs_of_threads();
  openmp::parallel_units(p.sequences * p.key_heads, openmp::work_of(p), [&](std::int64_t unit, int t) {
    openmp::forward_unit<T>(p, unit, unit + omp_get_num_threads(), out, lse, workspace.of(t), runs[static_cast<std::size_t>(t)]);
  });
}

template <class T>
void AttentionBackward<T>::fast(const AttentionProblem<T>& p, const Compute<T>* lse, const T* dy, const AttentionGradients<T>& to) {
  const openmp::Workspace<T> workspace(p, true);
  const openmp::BiasSums<T> bias(p, to);
  std::vector<std::vector<openmp::KeyRun>> runs = openmp::runs_of_threads();
  openmp::parallel_units(bias.tasks(), openmp::work_of(p), [&](std::int64_t task, int t) {
    bias.for_units(task, [&](std::int64_t unit, std::int64_t next, float* sums) {
      openmp::backward_unit<T>(p, unit, next, lse, dy, to, bias, sums, workspace.of(t), runs[static_cast<std::size_t>(t)]);
    });
  });
  bias.finish();
}

template <class T>
void AttentionProbabilities<T>::fast(const AttentionProblem<T>& p, T* probabilities) {
  using openmp::kStrip;
  const openmp::Workspace<T> workspace(p, false);
  const std::vector<openmp::KeyRun> no_runs;
  openmp::parallel_units(p.sequences * p.heads, openmp::work_of(p), [&](std::int64_t unit, int t) {
    const auto w = workspace.of(t);
    const std::int64_t s = unit / p.heads, h = unit % p.heads;
    const AttentionSpan span(p, s);
    const openmp::AttentionHead<T> head{p, span, s, h, {0, span.keys}, no_runs};
    const tile::Packed<T> keys{w.keys, p.width, p.keys};
    tile::pack(keys, p.k + span.k + h / p.group() * p.k_layout.head, p.k_layout.width, p.k_layout.token);
    for (std::int64_t first = 0; first < p.queries; first += kStrip) {
      const std::int64_t rows = std::min(kStrip, p.queries - first);
      const auto q = openmp::rows_of(p.q + span.q + first * p.q_layout.token + h * p.q_layout.head, rows, p.width, p.q_layout.token,
                                     p.q_layout.width, w.query_rows);
      openmp::score_strip(q, 0, rows, keys, p.keys, static_cast<float>(p.scale), w.score_strip, w.row);
      for (std::int64_t i = 0; i < rows; ++i) {
        float* const row = w.score_strip + i * w.row;
        head.mask(first + i, row, tile::padded(p.keys));
        const openmp::ExpSum sum = openmp::exp_row(row, tile::padded(p.keys), nullptr, row);
        T* const to = probabilities + (unit * p.queries + first + i) * p.keys;
        for (std::int64_t j = 0; j < p.keys; ++j) to[j] = static_cast<T>(row[j] * sum.inverse());
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
