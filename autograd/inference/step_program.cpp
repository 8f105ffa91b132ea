#include "autograd/inference/step_program.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/inference/weight_format.h"
#include "autograd/kernels/decoding.h"
#include "autograd/ops/activation_function.h"
#include "autograd/ops/rotary.h"

namespace capstan {
namespace {

template <class T>
kernels::KeyValues<T> key_values(const StepCache& c) {
  return {.keys = c.keys().data<T>(),
          .values = c.values().data<T>(),
          .slots = c.slots(),
          .heads = c.heads(),
          .capacity = c.capacity(),
          .width = c.width()};
}
kernels::KeyValueStore store_of(const StepCache& c) {
  if (c.keys().dtype() == DType::bf16) return key_values<bfloat16>(c);
  return key_values<float>(c);
}

void check_dense(std::string_view what, const RowBuffer& x, std::int64_t width) {
  require(x.width == width && x.row == width, "step_program: ", what, " must be all of a buffer of width ", width, ": columns ", x.width,
          " of ", x.row);
}

}  // namespace

StepCache::StepCache(std::int64_t slots, std::int64_t heads, std::int64_t capacity, std::int64_t width, DType type)
    : slots_(slots),
      heads_(heads),
      capacity_(capacity),
      width_(width),
      keys_(Shape{slots, heads, capacity, width}, type),
      values_(Shape{slots, heads, capacity, width}, type) {
  require<DTypeError>(type == DType::f32 || type == DType::bf16, "step_program: keys and values are kept in f32 or bf16: asked for ", type);
}

struct StepProgram::Impl {
  std::int64_t max_rows = 0, weight_bytes = 0;
  double squared_error = 0, squared_norm = 0;
  std::vector<kernels::Stage> stages;
  std::vector<Tensor> tensors;        // what the stages point to: buffers, biases, tables
  std::vector<PackedWeight> weights;  // likewise
  std::vector<StepCache> caches;      // likewise
  std::int64_t vocabulary = 0;        // ids that the embedding takes
  std::int64_t places = 0;            // positions that all tables have a row for; 0: any

  void limit_places(std::int64_t count) { places = places == 0 ? count : std::min(places, count); }

  /// A dense f32 vector or table that stays; null if there is none.
  const float* kept(std::string_view what, const Tensor& t, std::int64_t width) {
    if (!t.defined()) return nullptr;
    require<DTypeError>(t.dtype() == DType::f32, "step_program: computes in f32: ", what, " ", t);
    require(t.size(-1) == width, "step_program: the last axis must be the width of the rows: ", what, " ", t, ", width ", width);
    tensors.push_back(t.detach().contiguous());
    return tensors.back().data<const float>();
  }
  void attention(kernels::Attends attends, const RowBuffer& q, const RowBuffer& k, const RowBuffer& v, const StepCache& cache,
                 std::int64_t key_heads, std::int64_t width, const RowBuffer& y) {
    check_dense("the result of attention", y, q.width);
    require(q.width % width == 0 && key_heads > 0 && q.width / width % key_heads == 0,
            "step_program: queries are heads side by side, shared out among the heads of keys: columns ", q.width, ", width ", width,
            ", key heads ", key_heads);
    if (attends != kernels::Attends::memory)
      require(k.row == q.row && v.row == q.row && k.width == key_heads * width && v.width == k.width,
              "step_program: queries, keys and values are columns of one buffer: columns ", q.row, ", ", k.row, " and ", v.row);
    caches.push_back(cache);
    stages.push_back(kernels::AttentionStage{.attends = attends,
                                             .heads = q.width / width,
                                             .key_heads = key_heads,
                                             .width = width,
                                             .scale = 1.0f / std::sqrt(static_cast<float>(width)),
                                             .q = q.data,
                                             .k = k.data,
                                             .v = v.data,
                                             .row = q.row,
                                             .store = cache.slots() > 0 ? store_of(cache) : kernels::KeyValueStore{},
                                             .out = y.data});
  }
};

StepProgram::StepProgram(std::int64_t max_rows) : impl_(std::make_unique<Impl>()) { impl_->max_rows = max_rows; }
StepProgram::~StepProgram() = default;
StepProgram::StepProgram(StepProgram&&) noexcept = default;
StepProgram& StepProgram::operator=(StepProgram&&) noexcept = default;

std::int64_t StepProgram::max_rows() const { return impl_->max_rows; }
std::size_t StepProgram::stages() const { return impl_->stages.size(); }
std::int64_t StepProgram::weight_bytes() const { return impl_->weight_bytes; }
double StepProgram::weight_error() const { return impl_->squared_norm == 0 ? 0 : std::sqrt(impl_->squared_error / impl_->squared_norm); }

RowBuffer StepProgram::buffer(std::int64_t width) {
  impl_->tensors.emplace_back(Shape{impl_->max_rows, width});
  return {impl_->tensors.back().data<float>(), width, width};
}

void StepProgram::embedding(const Tensor& table, double scale, const Tensor& positions, const RowBuffer& y) {
  check_dense("an embedding", y, table.size(-1));
  impl_->vocabulary = table.size(0);
  if (positions.defined()) impl_->limit_places(positions.size(0));
  impl_->stages.push_back(kernels::EmbeddingStage{.table = impl_->kept("table", table, y.width),
                                                  .positions = impl_->kept("positions", positions, y.width),
                                                  .width = y.width,
                                                  .scale = static_cast<float>(scale),
                                                  .y = y.data});
}

void StepProgram::product(const RowBuffer& x, const PackedWeight& weight, const Tensor& bias, std::optional<Activation> activation,
                          const RowBuffer& y) {
  check_dense("what a product reads", x, weight.in());
  check_dense("the result of a product", y, weight.out());
  impl_->weights.push_back(weight);
  const PackedWeight& kept = impl_->weights.back();
  impl_->weight_bytes += kept.bytes();
  impl_->squared_error += kept.squared_error();
  impl_->squared_norm += kept.squared_norm();
  std::optional<kernels::BiasFunction> function;
  if (activation) function = function_of(*activation);
  impl_->stages.push_back(kernels::ProductStage{
      .weight = {.format = format_of(kept.storage()), .in = kept.in(), .out = kept.out(), .panels = kept.panels(), .scales = kept.scales()},
      .bias = impl_->kept("bias", bias, y.width),
      .activation = function,
      .x = x.data,
      .y = y.data});
}

void StepProgram::add_norm(const std::optional<RowBuffer>& branch, const RowBuffer& sum, const Tensor& gamma, const Tensor& beta,
                           double epsilon, const std::optional<RowBuffer>& y, NormKind kind) {
  check_dense("a sum", sum, sum.width);
  if (branch) check_dense("a branch", *branch, sum.width);
  require(y.has_value() == gamma.defined(), "step_program: a normalisation has a gain and a result: gain ", gamma);
  if (y) check_dense("the result of a normalisation", *y, sum.width);
  impl_->stages.push_back(kernels::AddNormStage{.branch = branch ? branch->data : nullptr,
                                                .sum = sum.data,
                                                .y = y ? y->data : nullptr,
                                                .gamma = impl_->kept("gain", gamma, sum.width),
                                                .beta = impl_->kept("offset", beta, sum.width),
                                                .epsilon = epsilon,
                                                .width = sum.width,
                                                .centered = kind == NormKind::layer});
}

void StepProgram::gated(const RowBuffer& gate, const RowBuffer& x, Gate kind, const RowBuffer& y) {
  check_dense("the result of a gate", y, gate.width);
  require(gate.row == x.row && gate.width == x.width, "step_program: a gate and its operand are columns of one buffer: columns ",
          gate.width, " of ", gate.row, " and ", x.width, " of ", x.row);
  impl_->stages.push_back(
      kernels::GateStage{.function = function_of(kind), .gate = gate.data, .x = x.data, .row = x.row, .width = x.width, .y = y.data});
}

void StepProgram::rotary(const RowBuffer& x, std::int64_t width, double base, std::int64_t places) {
  require(width > 0 && x.width % width == 0, "step_program: rotary columns are heads side by side: columns ", x.width, ", width ", width);
  const RotaryTable table = rotary_table(places, width, base);
  impl_->limit_places(places);
  impl_->stages.push_back(kernels::RotaryStage{.x = x.data,
                                               .row = x.row,
                                               .heads = x.width / width,
                                               .width = width,
                                               .cosines = impl_->kept("cosines", table.cosines, width / 2),
                                               .sines = impl_->kept("sines", table.sines, width / 2)});
}

void StepProgram::line_attention(const RowBuffer& q, const RowBuffer& k, const RowBuffer& v, std::int64_t width, const RowBuffer& y) {
  impl_->attention(kernels::Attends::line, q, k, v, {}, k.width / width, width, y);
}

void StepProgram::causal_attention(const RowBuffer& q, const RowBuffer& k, const RowBuffer& v, const StepCache& cache, const RowBuffer& y) {
  impl_->attention(kernels::Attends::history, q, k, v, cache, cache.heads(), cache.width(), y);
}

void StepProgram::memory_attention(const RowBuffer& q, const StepCache& memory, const RowBuffer& y) {
  impl_->attention(kernels::Attends::memory, q, {}, {}, memory, memory.heads(), memory.width(), y);
}

void StepProgram::store(const RowBuffer& k, const RowBuffer& v, const StepCache& cache) {
  require(k.row == v.row && k.width == cache.heads() * cache.width() && v.width == k.width,
          "step_program: keys and values are columns of one buffer, of the cache's heads: columns ", k.width, " and ", v.width, ", heads ",
          cache.heads(), " of ", cache.width());
  impl_->caches.push_back(cache);
  impl_->stages.push_back(kernels::StoreStage{.keys = k.data, .values = v.data, .row = k.row, .store = store_of(cache)});
}

void StepProgram::run(const StepBatch& b, std::size_t stages) const {
  const std::size_t rows = b.tokens.size();
  require(rows <= static_cast<std::size_t>(impl_->max_rows), "step_program: more rows than there is room for: rows ", rows, ", room ",
          impl_->max_rows);
  require(b.positions.size() == rows && b.slots.size() == rows && !b.line_begin.empty() && b.line_begin.front() == 0 &&
              b.line_begin.back() == static_cast<std::int64_t>(rows),
          "step_program: tokens, positions, slots and lines must be of the same rows: ", rows, ", ", b.positions.size(), ", ",
          b.slots.size());
  for (std::size_t r = 0; r < rows; ++r) {
    require(b.tokens[r] >= 0 && b.tokens[r] < impl_->vocabulary, "step_program: a token must be in the vocabulary: row ", r, ", token ",
            b.tokens[r], ", vocabulary ", impl_->vocabulary);
    require(b.positions[r] >= 0 && (impl_->places == 0 || b.positions[r] < impl_->places),
            "step_program: a position must be in the table: row ", r, ", position ", b.positions[r], ", positions ", impl_->places);
  }
  if (rows == 0) return;
  kernels::run_stages(std::span(impl_->stages).first(std::min(stages, impl_->stages.size())),
                      {.rows = static_cast<std::int64_t>(rows),
                       .groups = std::ssize(b.line_begin) - 1,
                       .tokens = b.tokens.data(),
                       .positions = b.positions.data(),
                       .slots = b.slots.data(),
                       .history = b.history.data(),
                       .history_row = b.history_row,
                       .group_begin = b.line_begin.data(),
                       .memories = b.memories.data(),
                       .memory_size = b.memory_sizes.empty() ? nullptr : b.memory_sizes.data()});
}

}  // namespace capstan
