#include "nn/shifted_windows.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

/// Calls f(row, column) with the place in the padded map of each place of each window.
template <class F>
void each_place(const WindowCut& c, const F& f) {
  for (std::int64_t top = 0; top < c.padded_rows(); top += c.size)
    for (std::int64_t left = 0; left < c.padded_columns(); left += c.size)
      for (std::int64_t i = 0; i < c.size; ++i)
        for (std::int64_t j = 0; j < c.size; ++j) f(top + i, left + j);
}

/// The part of a moved axis of n places that `place` lies in: 0 before the last window, then what stayed and what came around the edge.
std::int64_t part_of(std::int64_t place, std::int64_t n, std::int64_t window, std::int64_t shift) {
  if (shift == 0 || place < n - window) return 0;
  return place < n - shift ? 1 : 2;
}

}  // namespace

std::vector<std::int64_t> WindowCut::sources() const {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(tokens()));
  const bool pads_first = padding != WindowPadding::timm;
  const std::int64_t height = pads_first ? padded_rows() : rows, width = pads_first ? padded_columns() : columns;
  each_place(*this, [&](std::int64_t row, std::int64_t column) {
    const std::int64_t r = (row + shift_rows) % height, c = (column + shift_columns) % width;
    const bool real = row < height && column < width && r < rows && c < columns;
    out.push_back(real ? r * columns + c : -1);
  });
  return out;
}

std::vector<std::int64_t> WindowCut::regions() const {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(tokens()));
  each_place(*this, [&](std::int64_t row, std::int64_t column) {
    out.push_back(part_of(row, padded_rows(), size, shift_rows) * 3 + part_of(column, padded_columns(), size, shift_columns));
  });
  return out;
}

Tensor WindowCut::mask() const {
  if (!shifted()) return {};
  const std::vector<std::int64_t> region = regions();
  const std::int64_t n = size * size;
  const Tensor mask(Shape{windows(), 1, n, n}, DType::u8);
  auto* to = mask.data<std::uint8_t>();
  for (auto window = region.begin(); window != region.end(); window += n)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) *to++ = window[i] == window[j] ? 1 : 0;
  return mask;
}

WindowCut window_cut(std::int64_t rows, std::int64_t columns, std::int64_t size, bool shifted, WindowPadding padding) {
  WindowCut cut{.rows = rows, .columns = columns, .size = size, .padding = padding};
  require(padding != WindowPadding::refuse || !cut.padded(), "windows: must divide the map of tokens: window ", size, ", rows ", rows,
          ", columns ", columns);
  const bool by_axis = padding == WindowPadding::timm;
  const auto shift = [&](std::int64_t side) { return shifted && side > size ? size / 2 : 0; };
  cut.shift_rows = shift(by_axis ? rows : std::min(rows, columns));
  cut.shift_columns = shift(by_axis ? columns : std::min(rows, columns));
  return cut;
}

Tensor relative_position_index(std::int64_t size) {
  const std::int64_t n = size * size;
  const Tensor index(Shape{n * n}, DType::i64);
  auto* to = index.data<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) *to++ = (i / size - j / size + size - 1) * (2 * size - 1) + i % size - j % size + size - 1;
  return index;
}

WindowAttention::WindowAttention(const Scope& scope, const WindowAttentionOptions& o)
    : heads_(o.heads),
      index_(relative_position_index(o.window)),
      query_(scope / "query", {.in = o.width, .out = o.width, .bias = o.qkv_bias, .init = o.init}),
      key_(scope / "key", {.in = o.width, .out = o.width, .bias = o.qkv_bias, .init = o.init}),
      value_(scope / "value", {.in = o.width, .out = o.width, .bias = o.qkv_bias, .init = o.init}),
      output_(scope / "output", {.in = o.width, .out = o.width, .init = o.init}),
      table_(scope.parameter("relative_position_bias_table", {(2 * o.window - 1) * (2 * o.window - 1), o.heads}, truncated_normal(.02),
                             {.decay = false})),
      dropout_(scope / "dropout", o.dropout) {
  require<ConfigError>(o.heads > 0 && o.width % o.heads == 0, scope.path(), ": the heads must divide the width: width ", o.width,
                       ", heads ", o.heads);
}

Tensor WindowAttention::split_heads(const Tensor& x) const { return reshape(x, Shape{x.size(0), x.size(1), heads_, x.size(2) / heads_}); }

Tensor WindowAttention::position_bias(const Tensor& x) const {
  const std::int64_t n = x.size(1);
  const Tensor of_pairs = index_select(table_.value(), 0, index_);  // [n * n, heads]
  // Head by head, as attention reads it: it does so for every window.
  return cast(contiguous(permute(reshape(of_pairs, Shape{n, n, heads_}), {2, 0, 1})), x.dtype());
}

Tensor WindowAttention::context(const Tensor& x, const Tensor& mask, const Run& run) const {
  AttentionInputs inputs{.mask = mask, .bias = position_bias(x)};
  if (dropout_.rate_in(run) > 0 && run.token_ids.defined())
    inputs.query_ids = inputs.key_ids = reshape(run.token_ids, Shape{x.size(0), x.size(1)});
  return flatten(scaled_dot_product_attention(split_heads(query_(x)), split_heads(key_(x)), split_heads(value_(x)),
                                              {.dropout = dropout_.rate_in(run), .key = dropout_.key_in(run)}, inputs),
                 -2, -1);  // [B * windows, n, H * D]
}

Tensor WindowAttention::probabilities(const Tensor& x, const Tensor& mask) const {
  return attention_probabilities(split_heads(query_(x)), split_heads(key_(x)), {}, {.mask = mask, .bias = position_bias(x)});
}

}  // namespace capstan::nn
