#pragma once
// Attention within windows of a map of tokens (Liu et al., "Swin transformer: hierarchical vision transformer using shifted windows",
// 2021): how a map is cut into windows, also moved by some tokens and padded where its sizes do not divide, and the attention itself, whose
// scores have a learned number for each distance of two tokens in a window.
//
// A cut is arithmetic on sizes alone. What it says are rows for arrange_rows (autograd/ops/arrange_rows.h): windows one after another, each
// row by row.

#include <cstdint>
#include <vector>

#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/run.h"

namespace capstan::nn {

/// What happens where windows do not divide a map. Implementations differ in it only for maps that do not fit.
enum class WindowPadding {
  transformers,  ///< zeros below and to the right, which then move with the map; a map as small as a window along one axis does not move
  timm,          ///< the map moves, then zeros come below and to the right; along each axis, a map as small as a window does not move
  refuse,        ///< an error, as in the original; moving as in transformers
};

/// A map of rows x columns tokens in windows of size x size, moved up and left by shift_rows and shift_columns, around the edges.
struct WindowCut {
  std::int64_t rows = 0, columns = 0, size = 1, shift_rows = 0, shift_columns = 0;
  WindowPadding padding = WindowPadding::transformers;

  std::int64_t padded_rows() const { return (rows + size - 1) / size * size; }
  std::int64_t padded_columns() const { return (columns + size - 1) / size * size; }
  std::int64_t windows() const { return padded_rows() / size * (padded_columns() / size); }
  std::int64_t tokens() const { return padded_rows() * padded_columns(); }  ///< of all windows
  bool padded() const { return tokens() != rows * columns; }
  bool shifted() const { return shift_rows != 0 || shift_columns != 0; }

  /// For every place of every window the token there, counted row by row of the map; -1: padding.
  std::vector<std::int64_t> sources() const;
  /// The region of every place. Tokens of a moved map that are neighbours only around an edge are of different regions.
  std::vector<std::int64_t> regions() const;
  /// u8 [windows, 1, size^2, size^2]: 1 within a region. Undefined if the map does not move: every token sees its window.
  Tensor mask() const;
};

/// The cut of a map by windows of `size`, or moved by size / 2 if `shifted`. Throws ShapeError if padding is refused but needed.
WindowCut window_cut(std::int64_t rows, std::int64_t columns, std::int64_t size, bool shifted, WindowPadding padding);

/// i64 [size^4]: for query i and key j of a window of size x size the number of their distance,
/// (row_i - row_j + size - 1) * (2 size - 1) + column_i - column_j + size - 1.
Tensor relative_position_index(std::int64_t size);

struct WindowAttentionOptions {
  std::int64_t width = 0, heads = 1, window = 1;
  bool qkv_bias = true;  ///< of query, key and value
  double dropout = 0;    ///< of the probabilities
  Initializer init = truncated_normal(.02);
};

/// Multi-head self-attention within windows: softmax(q k^T / sqrt(D) + table[distance]) v.
///
/// Parameters: query, key, value, output, each with weight and bias, and relative_position_bias_table [(2 window - 1)^2, heads], which does
/// not decay.
class WindowAttention {
 public:
  WindowAttention(const Scope& scope, const WindowAttentionOptions& options);

  /// x [B * windows, window^2, width] -> the same shape. `mask` as WindowCut::mask has it, or undefined. run.token_ids, if any, numbers the
  /// tokens of x.
  Tensor operator()(const Tensor& x, const Tensor& mask, const Run& run) const { return output_(context(x, mask, run)); }
  /// Without the output's bias, for callers that fuse it into what comes next.
  Tensor without_bias(const Tensor& x, const Tensor& mask, const Run& run) const { return output_.without_bias(context(x, mask, run)); }
  /// The probabilities [B * windows, heads, window^2, window^2] to look at.
  Tensor probabilities(const Tensor& x, const Tensor& mask) const;
  const Parameter& bias() const { return output_.bias(); }

 private:
  Tensor split_heads(const Tensor& x) const;
  /// Heads side by side: x's shape.
  Tensor context(const Tensor& x, const Tensor& mask, const Run& run) const;
  /// [heads, window^2, window^2], in x's type.
  Tensor position_bias(const Tensor& x) const;

  std::int64_t heads_;
  Tensor index_;  // relative_position_index
  Linear query_, key_, value_, output_;
  Parameter table_;
  Dropout dropout_;
};

}  // namespace capstan::nn
