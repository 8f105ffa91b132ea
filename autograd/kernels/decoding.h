#pragma once
// The layers of a transformer for a few rows at a time, without a tape: a list of stages that one team of threads runs through. A row is
// one token of one line; the rows of a line stand side by side. f32 throughout; weights, and keys and values that are kept, may be stored
// shorter.
//
// Batch-invariant by construction: every output number is computed by the same instructions in the same order, whatever rows stand beside
// it. An element of a product is made of sums over neighbouring inputs, divided by the number of inputs alone; threads divide outputs,
// never a sum.

#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "autograd/core/dtype.h"
#include "autograd/kernels/functions.h"

namespace capstan::kernels {

enum class WeightFormat : std::uint8_t { f32, bf16, i8 };

/// Outputs of a panel.
inline constexpr std::int64_t kPanelOutputs = 16;

/// Inputs whose weights share a word of 32 bits, the first one in the lowest bits: so they are unpacked without moving between lanes.
constexpr std::int64_t inputs_of_word(WeightFormat f) { return f == WeightFormat::f32 ? 1 : f == WeightFormat::bf16 ? 2 : 4; }

/// W [out, in] in panels: panel p holds for the inputs of each word, in ascending order, the words of the outputs [16 p, 16 p + 16), zeros
/// beyond the last output and the last input. In i8 a weight is its number times the scale of its output.
struct PackedMatrix {
  WeightFormat format = WeightFormat::f32;
  std::int64_t in = 0, out = 0;
  const std::uint32_t* panels = nullptr;
  const float* scales = nullptr;  ///< [out], of i8

  std::int64_t panel_count() const { return (out + kPanelOutputs - 1) / kPanelOutputs; }
  std::int64_t words() const { return (in + inputs_of_word(format) - 1) / inputs_of_word(format); }  ///< of an output
};

/// Keys and values that are kept, each [slots, heads, capacity, width]. T: float, bfloat16.
template <class T>
struct KeyValues {
  T *keys = nullptr, *values = nullptr;
  std::int64_t slots = 0, heads = 0, capacity = 0, width = 0;

  std::int64_t place(std::int64_t slot, std::int64_t head, std::int64_t position) const {
    return ((slot * heads + head) * capacity + position) * width;
  }
};
using KeyValueStore = std::variant<KeyValues<float>, KeyValues<bfloat16>>;

/// y [rows, width] = scale * table[token] + positions[position]; without positions (null) the first term.
struct EmbeddingStage {
  const float *table = nullptr, *positions = nullptr;
  std::int64_t width = 0;
  float scale = 1;
  float* y = nullptr;
};

/// y [rows, out] = activation(x [rows, in] W^T + bias); bias [out] may be null.
struct ProductStage {
  PackedMatrix weight;
  const float* bias = nullptr;
  std::optional<BiasFunction> activation = {};
  const float* x = nullptr;
  float* y = nullptr;
};

/// sum += branch, then y = the normalisation of sum; y may be sum. Without a branch (null) the sum is what it was, without gamma there is
/// no y; beta may be null. All [rows, width].
struct AddNormStage {
  const float* branch = nullptr;
  float *sum = nullptr, *y = nullptr;
  const float *gamma = nullptr, *beta = nullptr;
  double epsilon = 0;
  std::int64_t width = 0;
  bool centered = true;  ///< false: RMS normalisation
};

/// y [rows, width] = the function of gate and x, columns of a matrix with `row` columns.
struct GateStage {
  GateFunction function;
  const float *gate = nullptr, *x = nullptr;
  std::int64_t row = 0, width = 0;
  float* y = nullptr;
};

/// Turns heads side by side, columns of a matrix with `row` columns, by the rows' positions (kernels/rotary.h); cosines and sines
/// [positions, width / 2].
struct RotaryStage {
  float* x = nullptr;
  std::int64_t row = 0, heads = 0, width = 0;
  const float *cosines = nullptr, *sines = nullptr;
};

/// Keys and values of the rows, columns of a matrix with `row` columns, go to their slots and positions.
struct StoreStage {
  const float *keys = nullptr, *values = nullptr;
  std::int64_t row = 0;
  KeyValueStore store;
};

/// What a row attends to.
enum class Attends : std::uint8_t {
  line,     ///< all rows of its line in this step (an encoder)
  history,  ///< the positions of its line up to its own; first, keys and values of all rows are stored
  memory,   ///< what the memory of its line holds
};

/// out [rows, heads * width] = softmax(scale * q k^T) v; query head h reads key head h / (heads / key_heads). A row without keys gets
/// zeros.
struct AttentionStage {
  Attends attends = Attends::history;
  std::int64_t heads = 0, key_heads = 0, width = 0;
  float scale = 1;
  const float *q = nullptr, *k = nullptr, *v = nullptr;  ///< of the rows; k and v not for a memory
  std::int64_t row = 0;                                  ///< columns of the matrix that q, k and v are columns of
  KeyValueStore store = {};                              ///< for history and memory
  float* out = nullptr;
};

using Stage = std::variant<EmbeddingStage, ProductStage, AddNormStage, GateStage, RotaryStage, StoreStage, AttentionStage>;

/// The rows of a step. A group is the rows [groups[g], groups[g + 1]) of one line.
struct StepRows {
  std::int64_t rows = 0, groups = 0;
  const std::int64_t *tokens = nullptr, *positions = nullptr;  ///< [rows]
  const std::int32_t* slots = nullptr;                         ///< [rows]: where keys and values of a row are kept
  const std::int32_t* history =
      nullptr;  ///< [rows, history_row]: the slot that holds position t of a row's line, for t <= its own position
  std::int64_t history_row = 0;
  const std::int64_t* group_begin = nullptr;  ///< [groups + 1]
  const std::int32_t* memories = nullptr;     ///< [groups]: the slot of a line's memory
  const std::int64_t* memory_size = nullptr;  ///< [groups]: how many positions it has
};

/// Runs the stages one after the other.
struct RunStages {
  using Signature = void(std::span<const Stage> stages, const StepRows& rows);
  static Signature fast, reference;
};
void run_stages(std::span<const Stage> stages, const StepRows& rows);

/// For each row of logits [rows, n] the k largest, falling, equal ones by rising index, and log(sum(exp(logits))). NaN is never among them;
/// where fewer than k are left, values are -infinity and ids -1. k <= n.
struct TopK {
  using Signature = void(const float* logits, std::int64_t rows, std::int64_t n, std::int64_t k, float* values, std::int32_t* ids,
                         float* log_sums);
  static Signature fast, reference;
};
void top_k(const float* logits, std::int64_t rows, std::int64_t n, std::int64_t k, float* values, std::int32_t* ids, float* log_sums);

}  // namespace capstan::kernels
