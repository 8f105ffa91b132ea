#pragma once
// What the stages of a Swin transformer (swin.h) are made of: how their tokens lie, the block, and the merging of four tokens into one.
// Not for use alone: a stage gives them the order of its tokens.

#include <cstdint>
#include <utility>
#include <vector>

#include "nn/shifted_windows.h"
#include "nn/sublayer.h"

namespace capstan::nn {

/// The order of the tokens of a map, and how they become windows. They lie window by window where windows divide the map, so that blocks
/// whose windows have not moved, half of all, read them in place; else row by row.
class SwinTokens {
 public:
  using Grid = std::pair<std::int64_t, std::int64_t>;  // rows, columns
  struct Windows {
    Tensor into = {}, back = {};         ///< rows for arrange_rows, to windows and to tokens; undefined: they are the tokens as they lie
    Tensor mask = {};                    ///< WindowCut::mask
    std::int64_t count = 1, places = 0;  ///< windows, and places in all of them
  };

  SwinTokens(const Grid& grid, std::int64_t window, WindowPadding padding);

  const Grid& grid() const { return grid_; }
  std::int64_t count() const { return grid_.first * grid_.second; }
  /// For each place the token, counted row by row.
  const std::vector<std::int64_t>& order() const { return order_; }
  bool by_windows() const { return !still_.into.defined(); }
  const Windows& windows(bool moved) const { return moved ? moved_ : still_; }
  /// The four neighbours of every token of the next stage, in its order, column by column: rows for arrange_rows, i64 [4 * next.count()].
  Tensor neighbours(const SwinTokens& next) const;

 private:
  Windows windows_of(const WindowCut& cut) const;
  std::int64_t place_of(std::int64_t token) const { return places_[static_cast<std::size_t>(token)]; }

  Grid grid_;
  std::vector<std::int64_t> order_, places_;  // each the inverse of the other
  Windows still_, moved_;
};

/// Attention within windows and an MLP, each with its residual connection (pre-norm). Samples that go without a branch (stochastic depth)
/// are not computed in it, which saves their share of its work.
///
/// Parameters: attention/... (shifted_windows.h), attention_norm, feed_forward/{inner, outer}, feed_forward_norm.
class SwinBlock {
 public:
  /// Of the options, `bias` does not count: query, key and value have one if `qkv_bias`, all others do.
  SwinBlock(const Scope& scope, const TransformerLayerOptions& options, std::int64_t window, bool qkv_bias);

  /// The block in a stage, x [B, T, width] from residual().begin(x) or the block before. `next`: the normalisation that follows; nullptr:
  /// none. The runs number tokens, and places of windows.
  Residual::State operator()(const Residual::State& x, const SwinTokens::Windows& windows, const LayerNorm* next, const Run& tokens,
                             const Run& places) const;
  /// The probabilities of its attention, [B * windows, heads, n, n], constants.
  Tensor probabilities(const Residual::State& x, const SwinTokens::Windows& windows) const;
  const Residual& residual() const { return residual_; }

 private:
  WindowAttention attention_;
  Residual residual_;
  FeedForward feed_forward_;
  Residual feed_forward_residual_;
  StochasticDepth attention_depth_, feed_forward_depth_;
};

/// Four neighbouring tokens as one of twice the width: their values side by side, normalised, times a matrix.
///
/// Parameters: norm, reduction/weight.
class PatchMerging {
 public:
  PatchMerging(const Scope& scope, std::int64_t width, double epsilon, const Initializer& init = truncated_normal(.02));

  /// x [B, T, C], neighbours as SwinTokens::neighbours has them -> [B, T', 2 C].
  Tensor operator()(const Tensor& x, const Tensor& neighbours) const;

 private:
  LayerNorm norm_;
  Linear reduction_;
};

}  // namespace capstan::nn
