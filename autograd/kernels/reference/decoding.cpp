#include "autograd/kernels/decoding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/kernels/numeric.h"
#include "autograd/kernels/rotary.h"

namespace capstan::kernels {
namespace {

// The weight of input k for output j.
double weight_at(const PackedMatrix& w, std::int64_t j, std::int64_t k) {
  const std::int64_t inputs = inputs_of_word(w.format), bits = 32 / inputs;
  const std::uint32_t word = w.panels[(j / kPanelOutputs * w.words() + k / inputs) * kPanelOutputs + j % kPanelOutputs];
  const std::uint32_t weight = word >> (k % inputs * bits);
  switch (w.format) {
    case WeightFormat::f32: return static_cast<double>(std::bit_cast<float>(weight));
    case WeightFormat::bf16: return static_cast<double>(std::bit_cast<float>(weight << 16));
    case WeightFormat::i8: return static_cast<double>(w.scales[j]) * static_cast<std::int8_t>(weight & 0xff);
  }
  throw InternalError("decoding: unknown weight format");
}

void run(const EmbeddingStage& s, const StepRows& rows) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t c = 0; c < s.width; ++c)
      s.y[r * s.width + c] =
          s.scale * s.table[rows.tokens[r] * s.width + c] + (s.positions == nullptr ? 0.0f : s.positions[rows.positions[r] * s.width + c]);
}

void run(const ProductStage& s, const StepRows& rows) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t j = 0; j < s.weight.out; ++j) {
      double sum = s.bias == nullptr ? 0.0 : static_cast<double>(s.bias[j]);
      for (std::int64_t k = 0; k < s.weight.in; ++k) sum += static_cast<double>(s.x[r * s.weight.in + k]) * weight_at(s.weight, j, k);
      if (s.activation) sum = std::visit([&](const auto& f) { return f.value(sum); }, *s.activation);
      s.y[r * s.weight.out + j] = static_cast<float>(sum);
    }
}

void run(const AddNormStage& s, const StepRows& rows) {
  const auto n = static_cast<double>(s.width);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    float* const sum = s.sum + r * s.width;
    if (s.branch != nullptr)
      for (std::int64_t c = 0; c < s.width; ++c) sum[c] += s.branch[r * s.width + c];
    if (s.gamma == nullptr) continue;
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < s.width && s.centered; ++c) mean += static_cast<double>(sum[c]) / n;
    for (std::int64_t c = 0; c < s.width; ++c) variance += (static_cast<double>(sum[c]) - mean) * (static_cast<double>(sum[c]) - mean) / n;
    for (std::int64_t c = 0; c < s.width; ++c) {
      const double y = (static_cast<double>(sum[c]) - mean) / std::sqrt(variance + s.epsilon) * static_cast<double>(s.gamma[c]);
      s.y[r * s.width + c] = static_cast<float>(y + (s.beta == nullptr ? 0.0 : static_cast<double>(s.beta[c])));
    }
  }
}

void run(const GateStage& s, const StepRows& rows) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t c = 0; c < s.width; ++c) {
      const auto gate = static_cast<double>(s.gate[r * s.row + c]), x = static_cast<double>(s.x[r * s.row + c]);
      s.y[r * s.width + c] = static_cast<float>(std::visit([&](const auto& f) { return f.value(gate, x); }, s.function));
    }
}

void run(const RotaryStage& s, const StepRows& rows) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    Rotary<float>::reference(s.x + r * s.row, s.cosines + rows.positions[r] * s.width / 2, s.sines + rows.positions[r] * s.width / 2, false,
                             s.x + r * s.row, {.batch = 1, .tokens = 1, .heads = s.heads, .width = s.width});
}

template <class T>
void store_rows(const float* keys, const float* values, std::int64_t row, const KeyValues<T>& to, const StepRows& rows) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t h = 0; h < to.heads; ++h)
      for (std::int64_t d = 0; d < to.width; ++d) {
        const std::int64_t at = to.place(rows.slots[r], h, rows.positions[r]) + d;
        store(to.keys[at], keys[r * row + h * to.width + d]);
        store(to.values[at], values[r * row + h * to.width + d]);
      }
}

void run(const StoreStage& s, const StepRows& rows) {
  std::visit([&](const auto& to) { store_rows(s.keys, s.values, s.row, to, rows); }, s.store);
}

template <class T>
void attend(const AttentionStage& s, const KeyValues<T>& kept, const StepRows& rows) {
  if (s.attends == Attends::history) store_rows(s.k, s.v, s.row, kept, rows);
  for (std::int64_t g = 0; g < rows.groups; ++g) {
    const std::int64_t first = rows.group_begin[g], last = rows.group_begin[g + 1];
    for (std::int64_t r = first; r < last; ++r)
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const std::int64_t key_head = h / (s.heads / s.key_heads);
        const std::int64_t count = s.attends == Attends::line      ? last - first
                                   : s.attends == Attends::history ? rows.positions[r] + 1
                                                                   : rows.memory_size[g];
        // Number d of the vector of position t, in the rows or in the store.
        const auto number = [&](const float* of_rows, const T* stored, std::int64_t t, std::int64_t d) -> double {
          if (s.attends == Attends::line) return static_cast<double>(of_rows[(first + t) * s.row + key_head * s.width + d]);
          const std::int64_t slot = s.attends == Attends::memory ? rows.memories[g] : rows.history[r * rows.history_row + t];
          return static_cast<double>(stored[kept.place(slot, key_head, t) + d]);
        };
        std::vector<double> weights(static_cast<std::size_t>(count));
        double max = -std::numeric_limits<double>::infinity(), total = 0;
        for (std::int64_t t = 0; t < count; ++t) {
          double score = 0;
          for (std::int64_t d = 0; d < s.width; ++d)
            score += static_cast<double>(s.q[r * s.row + h * s.width + d]) * number(s.k, kept.keys, t, d);
          weights[static_cast<std::size_t>(t)] = score * static_cast<double>(s.scale);
          max = std::max(max, weights[static_cast<std::size_t>(t)]);
        }
        for (double& w : weights) total += w = std::exp(w - max);
        for (std::int64_t d = 0; d < s.width; ++d) {
          double y = 0;
          for (std::int64_t t = 0; t < count; ++t) y += weights[static_cast<std::size_t>(t)] / total * number(s.v, kept.values, t, d);
          s.out[(r * s.heads + h) * s.width + d] = static_cast<float>(y);
        }
      }
  }
}

void run(const AttentionStage& s, const StepRows& rows) {
  std::visit([&](const auto& kept) { attend(s, kept, rows); }, s.store);
}

}  // namespace

void RunStages::reference(std::span<const Stage> stages, const StepRows& rows) {
  for (const Stage& stage : stages) std::visit([&](const auto& s) { run(s, rows); }, stage);
}

void TopK::reference(const float* logits, std::int64_t rows, std::int64_t n, std::int64_t k, float* values, std::int32_t* ids,
                     float* log_sums) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const z = logits + r * n;
    std::vector<std::int32_t> order;
    for (std::int64_t i = 0; i < n; ++i)
      if (!std::isnan(z[i])) order.push_back(static_cast<std::int32_t>(i));
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return z[a] > z[b]; });
    for (std::int64_t i = 0; i < k; ++i) {
      const bool there = i < std::ssize(order);
      ids[r * k + i] = there ? order[static_cast<std::size_t>(i)] : -1;
      values[r * k + i] = there ? z[ids[r * k + i]] : -std::numeric_limits<float>::infinity();
    }
    const double max = order.empty() ? 0.0 : static_cast<double>(z[order[0]]);
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(z[i]) - max);
    log_sums[r] = static_cast<float>(max + std::log(sum));
  }
}

}  // namespace capstan::kernels
