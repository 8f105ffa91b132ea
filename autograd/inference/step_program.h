#pragma once
// A step program: what the layers of a transformer do to a few rows, written down once as a list of stages and then run step by step by one
// team of threads, without a tape and without new memory. A row is one token of one line; f32 but for stored weights, keys and values.
//
//     StepProgram program(max_rows);
//     const RowBuffer x = program.buffer(512), y = program.buffer(2048);
//     program.product(x, weight, bias, Activation::relu, y);
//     program.run(batch);
//
// No row's numbers depend on the other rows, not even in their last bit (kernels/decoding.h).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "autograd/inference/packed_weight.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/normalization.h"

namespace capstan {

/// Room for `width` numbers of each row of a step, or columns of something wider.
struct RowBuffer {
  float* data = nullptr;
  std::int64_t width = 0;  ///< columns to use
  std::int64_t row = 0;    ///< columns of the whole

  RowBuffer columns(std::int64_t first, std::int64_t count) const { return {data + first, count, row}; }
};

/// Keys and values that attention keeps: [slots, heads, capacity, width] each, of f32, or of bf16, rounded to nearest.
class StepCache {
 public:
  StepCache() = default;
  StepCache(std::int64_t slots, std::int64_t heads, std::int64_t capacity, std::int64_t width, DType type = DType::f32);

  std::int64_t slots() const { return slots_; }
  std::int64_t heads() const { return heads_; }
  std::int64_t capacity() const { return capacity_; }
  std::int64_t width() const { return width_; }
  const Tensor& keys() const { return keys_; }
  const Tensor& values() const { return values_; }
  std::int64_t bytes() const { return keys_.defined() ? 2 * keys_.numel() * static_cast<std::int64_t>(size_of(keys_.dtype())) : 0; }

 private:
  std::int64_t slots_ = 0, heads_ = 0, capacity_ = 0, width_ = 0;
  Tensor keys_, values_;
};

/// The rows of a step; those of a line stand side by side. All lists are the caller's.
struct StepBatch {
  std::span<const std::int64_t> tokens, positions;  ///< [rows]
  std::span<const std::int32_t> slots;              ///< [rows]: where a row's keys and values are kept
  /// [rows * history_row]: the slot that holds position t of a row's line, for every t up to its own position.
  std::span<const std::int32_t> history = {};
  std::int64_t history_row = 0;
  std::span<const std::int64_t> line_begin;         ///< [lines + 1]: the rows of a line
  std::span<const std::int32_t> memories = {};      ///< [lines]: the slot of a line's memory
  std::span<const std::int64_t> memory_sizes = {};  ///< [lines]: the positions that it has
};

class StepProgram {
 public:
  /// Takes up to max_rows rows a step.
  explicit StepProgram(std::int64_t max_rows);
  ~StepProgram();
  StepProgram(StepProgram&&) noexcept;
  StepProgram& operator=(StepProgram&&) noexcept;

  std::int64_t max_rows() const;
  /// A new one, of max_rows rows.
  RowBuffer buffer(std::int64_t width);

  // Each of these appends a stage. Tensors are f32; those that may be absent are undefined then.

  /// y = scale * table[token] + positions[position].
  void embedding(const Tensor& table, double scale, const Tensor& positions, const RowBuffer& y);
  /// y = activation(x W^T + bias). Neither x nor y are columns of something wider.
  void product(const RowBuffer& x, const PackedWeight& weight, const Tensor& bias, std::optional<Activation> activation,
               const RowBuffer& y);
  /// sum += branch; y = the normalisation of sum, which y may be. Without a branch or without gamma that part is left out.
  void add_norm(const std::optional<RowBuffer>& branch, const RowBuffer& sum, const Tensor& gamma, const Tensor& beta, double epsilon,
                const std::optional<RowBuffer>& y, NormKind kind = NormKind::layer);
  /// y = the formula of the gate (ops/activation.h), gate and x columns of one buffer.
  void gated(const RowBuffer& gate, const RowBuffer& x, Gate kind, const RowBuffer& y);
  /// Turns heads of this width, columns x of a buffer, by the rows' positions, which are below `places` (ops/rotary.h).
  void rotary(const RowBuffer& x, std::int64_t width, double base, std::int64_t places);
  /// Attention of the rows of each line to each other: q [heads * width], k and v [key_heads * width] columns of one buffer.
  void line_attention(const RowBuffer& q, const RowBuffer& k, const RowBuffer& v, std::int64_t width, const RowBuffer& y);
  /// The same of each row to its line up to itself, k and v being kept in a cache.
  void causal_attention(const RowBuffer& q, const RowBuffer& k, const RowBuffer& v, const StepCache& cache, const RowBuffer& y);
  /// The same to the memory that a cache holds.
  void memory_attention(const RowBuffer& q, const StepCache& memory, const RowBuffer& y);
  /// Writes keys and values of the rows to their slots and positions: a memory.
  void store(const RowBuffer& k, const RowBuffer& v, const StepCache& cache);

  std::size_t stages() const;
  /// Bytes of weights that a step reads.
  std::int64_t weight_bytes() const;
  /// What rounding did to the weights of all products: the root of the sum of squared errors over that of the squares.
  double weight_error() const;

  /// Runs the first `stages` stages. Throws ShapeError for more rows than there is room for, and for lists of unlike lengths.
  void run(const StepBatch& batch, std::size_t stages) const;
  void run(const StepBatch& batch) const { run(batch, stages()); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
