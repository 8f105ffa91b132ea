// Attention of a few queries to many keys, as in decoding: every key and value is read for a handful of numbers, as it lies. A (sequence,
// key head, block of keys) is a task, because a batch of one sequence may have no more than one key head. Each block is attention to its
// own keys; its results are then weighted by its share of the sum of exponentials (Dao et al. 2023, flash-decoding). Where blocks begin
// depends on the number of keys alone, and they are added in their order: neither threads nor other sequences of the batch change a result.

#include <cstring>

#include "autograd/kernels/openmp/attention.h"
#include "autograd/kernels/openmp/register_tile.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels::openmp {
namespace {

// At most kFew queries, those of all heads that share a key head, and at least kLong keys, whose packed copies would leave the second-level
// cache.
constexpr std::int64_t kFew = 16, kLong = 256;

constexpr std::int64_t kShortestBlock = 256;  // keys that are worth a task
constexpr std::int64_t kValues = 32;          // values that all rows pass over while they are near; blocks begin at multiples of it

// Calls f.template operator()<kRows>(r) for blocks of kRows rows, at most kMost, which together make [0, rows).
template <int kMost, class F>
void for_row_blocks(std::int64_t rows, const F& f) {
  std::int64_t r = 0;
  for (; r + kMost <= rows; r += kMost) f.template operator()<kMost>(r);
  if constexpr (kMost > 1) {
    for_row_blocks<kMost / 2>(rows - r, [&]<int kRows>(std::int64_t more) { f.template operator()<kRows>(r + more); });
  }
}

// scores [kRows, kVector] = alpha * q [kRows, width] * keys^T for `count` keys, at most a vector of them. The rows of q are whole vectors,
// filled up with zeros. A product is summed lane by lane, and the lanes of all keys in one go.
template <int kRows, class T>
void few_scores(const T* keys, std::int64_t stride, std::int64_t count, const float* q, std::int64_t width, float alpha, float* scores,
                std::int64_t row) {
  using tile::kVector;
  const std::int64_t q_row = tile::vectors_of(width) * kVector, whole = width / kVector * kVector;
  tile::Vector lanes[kRows][kVector] = {};
  for (std::int64_t i = 0; i < count; ++i) {
    const T* const key = keys + i * stride;
    tile::Vector sum[kRows] = {};
    const auto add = [&](std::int64_t d, tile::Vector k) {
      for (int r = 0; r < kRows; ++r) sum[r] += tile::load(q + r * q_row + d) * k;
    };
    for (std::int64_t d = 0; d < whole; d += kVector) add(d, tile::load(key + d));
    if (whole < width) add(whole, tile::detail::load_some(key + whole, width - whole));
    for (int r = 0; r < kRows; ++r) lanes[r][i] = sum[r];
  }
  for (int r = 0; r < kRows; ++r) {
    tile::detail::transpose(lanes[r]);
    tile::Vector y = lanes[r][0];
    for (int lane = 1; lane < kVector; ++lane) y += lanes[r][lane];
    y *= alpha;
    std::memcpy(scores + r * row, &y, sizeof y);
  }
}

// sums [kRows, width] += weights [kRows, count] * values [count, width]. The rows of sums are whole vectors.
template <int kRows, class T>
void few_values(const T* values, std::int64_t stride, std::int64_t count, std::int64_t width, const float* weights, std::int64_t row,
                float* sums) {
  using tile::kVector;
  constexpr int kVectors = 4;
  const std::int64_t sums_row = tile::vectors_of(width) * kVector;
  std::int64_t d = 0;
  const auto add = [&]<int kCount>(auto load) {
    tile::Vector sum[kRows][kCount];
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kCount; ++v) sum[r][v] = tile::load(sums + r * sums_row + d + v * kVector);
    for (std::int64_t j = 0; j < count; ++j) {
      tile::Vector x[kCount];
      for (int v = 0; v < kCount; ++v) x[v] = load(values + j * stride + d + v * kVector);
      for (int r = 0; r < kRows; ++r) {
        const tile::Vector weight = tile::Vector{} + weights[r * row + j];
        for (int v = 0; v < kCount; ++v) sum[r][v] += weight * x[v];
      }
    }
    for (int r = 0; r < kRows; ++r) std::memcpy(sums + r * sums_row + d, sum[r], sizeof sum[r]);
    d += kCount * kVector;
  };
  const auto whole = [](const T* from) { return tile::load(from); };
  while (d + kVectors * kVector <= width) add.template operator()<kVectors>(whole);
  while (d + kVector <= width) add.template operator()<1>(whole);
  if (d < width) add.template operator()<1>([&](const T* from) { return tile::detail::load_some(from, width - d); });
}

// A row is a (query head, query) of a key head. A task's results are `sums`, [rows, width] of its weighted values, and `exp_sums` of its
// scores.
template <class T>
class FewQueries {
 public:
  FewQueries(const AttentionProblem<T>& p, T* out, float* lse)
      : p_(p),
        out_(out),
        lse_(lse),
        rows_(p.group() * p.queries),
        units_(p.sequences * p.key_heads),
        blocks_(std::max<std::int64_t>(p.keys / kShortestBlock, 1)),
        row_(tile::vectors_of(blocks_ == 1 ? p.keys : (p.keys + blocks_ - 1) / blocks_ + kValues) * tile::kVector),
        width_(tile::vectors_of(p.width) * tile::kVector),
        size_(rows_ * (row_ + width_)),
        floats_(size_ * omp_get_max_threads()),
        keep_(p.drops() ? row_ * omp_get_max_threads() : 0),
        runs_(runs_of_threads()),
        sums_(units_ * blocks_ * rows_ * width_),
        exp_sums_(units_ * blocks_ * rows_) {}

  void operator()() {
    parallel_units(units_ * blocks_, units_ * p_.keys * p_.width * 2, [&](std::int64_t task, int thread) { attend(task, thread); });
    parallel_units(units_, units_ * blocks_ * rows_ * width_, [&](std::int64_t unit, int) { combine(unit); });
  }

 private:
  // The keys before block b.
  std::int64_t begin_of(std::int64_t b) const { return b == blocks_ ? p_.keys : p_.keys * b / blocks_ / kValues * kValues; }

  void attend(std::int64_t task, int thread) {
    const std::int64_t unit = task / blocks_, block = task % blocks_, s = unit / p_.key_heads, key_head = unit % p_.key_heads;
    const AttentionSpan span(p_, s);
    const KeyRange range{begin_of(block), begin_of(block + 1) - begin_of(block)};
    std::vector<KeyRun>& runs = runs_[static_cast<std::size_t>(thread)];
    find_runs(p_, span, s, range, runs);
    const auto head_of = [&](std::int64_t r) { return AttentionHead<T>{p_, span, s, key_head * p_.group() + r / p_.queries, range, runs}; };
    float* const scores = floats_.data() + thread * size_;
    float* const q = scores + rows_ * row_;
    for (std::int64_t r = 0; r < rows_; ++r) {
      const T* const from =
          p_.q + span.q + r % p_.queries * p_.q_layout.token + (key_head * p_.group() + r / p_.queries) * p_.q_layout.head;
      for (std::int64_t d = 0; d < p_.width; ++d) q[r * width_ + d] = static_cast<float>(from[d * p_.q_layout.width]);
      std::fill(q + r * width_ + p_.width, q + (r + 1) * width_, 0.0f);
    }
    const std::int64_t limit = head_of(0).limit(p_.queries - 1, 1);
    const T* const keys = p_.k + span.k + key_head * p_.k_layout.head + range.first * p_.k_layout.token;
    for (std::int64_t j = 0; j < limit; j += tile::kVector) {
      for_row_blocks<8>(rows_, [&]<int kRows>(std::int64_t r) {
        few_scores<kRows>(keys + j * p_.k_layout.token, p_.k_layout.token, std::min(tile::kVector, limit - j), q + r * width_, p_.width,
                          static_cast<float>(p_.scale), scores + r * row_ + j, row_);
      });
    }
    std::uint8_t* const keep = keep_.data() + (p_.drops() ? row_ * thread : 0);
    for (std::int64_t r = 0; r < rows_; ++r) {
      const AttentionHead<T> head = head_of(r);
      const std::int64_t i = r % p_.queries, n = tile::padded(limit);
      float* const row = scores + r * row_;
      head.mask(i, row, n);
      const ExpSum& sum = exp_sums_[task * rows_ + r] = weights_of_row(head, i, row, n, keep, row);
      scale_row(row, n, weight_factor(p_, sum));
    }
    float* const sums = sums_.data() + task * rows_ * width_;
    std::fill_n(sums, rows_ * width_, 0.0f);
    const T* const values = p_.v + span.v + key_head * p_.v_layout.head + range.first * p_.v_layout.token;
    for (std::int64_t j = 0; j < limit; j += kValues) {
      for_row_blocks<4>(rows_, [&]<int kRows>(std::int64_t r) {
        few_values<kRows>(values + j * p_.v_layout.token, p_.v_layout.token, std::min(kValues, limit - j), p_.width, scores + r * row_ + j,
                          row_, sums + r * width_);
      });
    }
  }

  // Adds the blocks of a (sequence, key head) in their order. With c = sum_block exp(max_block - max), a block's share is c / sum of all c.
  void combine(std::int64_t unit) {
    const std::int64_t s = unit / p_.key_heads, key_head = unit % p_.key_heads;
    const AttentionSpan span(p_, s);
    for (std::int64_t r = 0; r < rows_; ++r) {
      const auto place = [&](std::int64_t b) { return (unit * blocks_ + b) * rows_ + r; };
      float* const sums = sums_.data() + place(0) * width_;
      ExpSum all = exp_sums_[place(0)];
      if (blocks_ > 1) {
        for (std::int64_t b = 1; b < blocks_; ++b) all.max = std::max(all.max, exp_sums_[place(b)].max);
        const auto exponentials_of = [&](std::int64_t b) {
          const ExpSum& block = exp_sums_[place(b)];
          return block.sum * exp_or_zero(block.max - all.max);
        };
        all.sum = 0.0f;
        for (std::int64_t b = 0; b < blocks_; ++b) all.sum += exponentials_of(b);
        const float inverse = all.sum == 0.0f ? 0.0f : 1.0f / all.sum;
        for (std::int64_t b = 0; b < blocks_; ++b) {
          const float share = exponentials_of(b) * inverse;
          const float* const more = sums_.data() + place(b) * width_;
          for (std::int64_t d = 0; d < p_.width; ++d) sums[d] = (b == 0 ? 0.0f : sums[d]) + share * more[d];
        }
      }
      const std::int64_t at = (span.first_query + r % p_.queries) * p_.heads + key_head * p_.group() + r / p_.queries;
      lse_[at] = all.log();
      for (std::int64_t d = 0; d < p_.width; ++d) out_[at * p_.width + d] = static_cast<T>(sums[d]);
    }
  }

  const AttentionProblem<T>& p_;
  T* const out_;
  float* const lse_;
  const std::int64_t rows_, units_, blocks_;
  const std::int64_t row_, width_;  // of a block's scores and of a query, in whole vectors
  const std::int64_t size_;         // of one thread's floats
  Scratch<float> floats_;
  Scratch<std::uint8_t> keep_;
  std::vector<std::vector<KeyRun>> runs_;
  Scratch<float> sums_;
  Scratch<ExpSum> exp_sums_;
};

}  // namespace

template <class T>
bool has_few_queries(const AttentionProblem<T>& p) {
  return p.group() * p.queries <= kFew && p.keys >= kLong && p.k_layout.width == 1 && p.v_layout.width == 1;
}

template <class T>
void attend_with_few_queries(const AttentionProblem<T>& p, T* out, float* lse) {
  FewQueries<T>(p, out, lse)();
}

template bool has_few_queries(const AttentionProblem<float>& p);
template bool has_few_queries(const AttentionProblem<bfloat16>& p);
template void attend_with_few_queries(const AttentionProblem<float>& p, float* out, float* lse);
template void attend_with_few_queries(const AttentionProblem<bfloat16>& p, bfloat16* out, float* lse);

}  // namespace capstan::kernels::openmp
