#include "nn/models/swin_stage.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "autograd/ops/arrange_rows.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

Tensor as_tensor(const std::vector<std::int64_t>& rows) {
  return Tensor::from<std::int64_t>(std::span(rows), {static_cast<std::int64_t>(rows.size())});
}

/// x [B, tokens, C] -> [B * windows, tokens of a window, C]
Tensor to_windows(const Tensor& x, const SwinTokens::Windows& w) {
  const Tensor y = w.into.defined() ? arrange_rows(x, w.into) : x;
  return reshape(y, Shape{x.size(0) * w.count, w.places / w.count, x.size(2)});
}
Tensor from_windows(const Tensor& y, const SwinTokens::Windows& w) {
  const Tensor x = reshape(y, Shape{y.size(0) / w.count, w.places, y.size(2)});
  return w.back.defined() ? arrange_rows(x, w.back) : x;
}

/// Rows of axis 0 in another order, -1: zeros.
Tensor arrange_samples(const Tensor& x, const Tensor& samples) {
  const Tensor rows = arrange_rows(reshape(x, Shape{1, x.size(0), x.numel() / x.size(0)}), samples);
  return reshape(rows, x.shape().with(0, samples.numel()));
}

TransformerLayerOptions without_depth(TransformerLayerOptions o) {
  o.stochastic_depth = 0;  // the block sees to it
  return o;
}

/// The samples of a batch that keep a branch; at least one, so that there is something to compute, which then counts nothing.
class Kept {
 public:
  Kept(const StochasticDepth& depth, std::int64_t samples, const Run& run) {
    const std::vector<double> factors = depth(Tensor::full({samples}, 1, DType::f64), run).to_vector();
    factor_ = *std::ranges::max_element(factors);
    std::vector<std::int64_t> taken, places;
    for (std::int64_t b = 0; b < samples; ++b) {
      const bool keeps = factors[static_cast<std::size_t>(b)] != 0 || (factor_ == 0 && b == 0);
      places.push_back(keeps ? static_cast<std::int64_t>(taken.size()) : -1);
      if (keeps) taken.push_back(b);
    }
    taken_ = as_tensor(taken);
    places_ = as_tensor(places);
  }
  bool all() const { return taken_.numel() == places_.numel(); }

  Tensor take(const Tensor& x) const { return all() ? x : arrange_samples(x, taken_); }
  /// A branch of these samples as one of all, scaled, 0 for the others.
  Tensor put_back(const Tensor& branch) const {
    const Tensor scaled = affine(branch, factor_);
    return all() ? scaled : arrange_samples(scaled, places_);
  }
  Run run_of(const Run& run) const {
    if (all() || !run.token_ids.defined()) return run;
    const Tensor ids = reshape(run.token_ids, Shape{places_.numel(), run.token_ids.numel() / places_.numel()});
    Run out = run;
    out.token_ids = flatten(index_select(ids, 0, taken_), 0, 1);
    return out;
  }

 private:
  Tensor taken_, places_;
  double factor_ = 1;
};

}  // namespace

SwinTokens::SwinTokens(const Grid& grid, std::int64_t window, WindowPadding padding) : grid_(grid) {
  const WindowCut cut = window_cut(grid.first, grid.second, window, false, padding);
  if (cut.padded()) {
    order_.resize(static_cast<std::size_t>(count()));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
  } else {
    order_ = cut.sources();
  }
  places_.resize(order_.size());
  for (std::size_t i = 0; i < order_.size(); ++i) places_[static_cast<std::size_t>(order_[i])] = static_cast<std::int64_t>(i);
  still_ = windows_of(cut);
  moved_ = windows_of(window_cut(grid.first, grid.second, window, true, padding));
}

SwinTokens::Windows SwinTokens::windows_of(const WindowCut& cut) const {
  Windows out{.mask = cut.mask(), .count = cut.windows(), .places = cut.tokens()};
  std::vector<std::int64_t> into, back(order_.size());
  bool in_place = out.places == count();
  for (const std::int64_t token : cut.sources()) {
    const auto to = static_cast<std::int64_t>(into.size());
    const std::int64_t from = token < 0 ? -1 : place_of(token);
    if (from >= 0) back[static_cast<std::size_t>(from)] = to;
    in_place = in_place && from == to;
    into.push_back(from);
  }
  if (in_place) return out;
  out.into = as_tensor(into);
  out.back = as_tensor(back);
  return out;
}

Tensor SwinTokens::neighbours(const SwinTokens& next) const {
  std::vector<std::int64_t> rows;
  for (const std::int64_t token : next.order_) {
    const std::int64_t top = token / next.grid_.second * 2, left = token % next.grid_.second * 2;
    for (const auto& [row, column] : {Grid{top, left}, Grid{top + 1, left}, Grid{top, left + 1}, Grid{top + 1, left + 1}})
      rows.push_back(row < grid_.first && column < grid_.second ? place_of(row * grid_.second + column) : -1);
  }
  return as_tensor(rows);
}

SwinBlock::SwinBlock(const Scope& scope, const TransformerLayerOptions& o, std::int64_t window, bool qkv_bias)
    : attention_(
          scope / "attention",
          {.width = o.width, .heads = o.heads, .window = window, .qkv_bias = qkv_bias, .dropout = o.attention_dropout, .init = o.init}),
      residual_(scope, "attention", without_depth(o)),
      feed_forward_(scope / "feed_forward",
                    {.width = o.width, .inner = o.inner, .activation = o.activation, .dropout = o.activation_dropout, .init = o.init}),
      feed_forward_residual_(scope, "feed_forward", without_depth(o)),
      attention_depth_(scope / "attention_depth", o.stochastic_depth),
      feed_forward_depth_(scope / "feed_forward_depth", o.stochastic_depth) {}

Residual::State SwinBlock::operator()(const Residual::State& x, const SwinTokens::Windows& windows, const LayerNorm* next,
                                      const Run& tokens, const Run& places) const {
  Residual::Branch branch;
  if (attention_depth_.active_in(tokens)) {
    const Kept kept(attention_depth_, x.input.size(0), tokens);
    const Tensor y = attention_(to_windows(kept.take(x.input), windows), windows.mask, kept.run_of(places));
    branch.result = kept.put_back(from_windows(y, windows));  // [B, T, C]
  } else {
    branch.result = from_windows(attention_.without_bias(to_windows(x.input, windows), windows.mask, places), windows);
    branch.bias = weight_for(attention_.bias(), x.input);
  }
  const Residual::State middle = residual_.add_branch(std::move(branch), x.residual(), &feed_forward_residual_.norm(), tokens);
  if (!feed_forward_depth_.active_in(tokens))
    return feed_forward_residual_.add_branch(
        {feed_forward_.without_bias(middle.input, tokens), weight_for(feed_forward_.bias(), middle.input)}, middle.residual(), next,
        tokens);
  const Kept kept(feed_forward_depth_, x.input.size(0), tokens);
  const Tensor y = kept.put_back(feed_forward_(kept.take(middle.input), kept.run_of(tokens)));
  return feed_forward_residual_.add_branch({y, {}}, middle.residual(), next, tokens);
}

Tensor SwinBlock::probabilities(const Residual::State& x, const SwinTokens::Windows& windows) const {
  return attention_.probabilities(to_windows(x.input, windows), windows.mask);
}

PatchMerging::PatchMerging(const Scope& scope, std::int64_t width, double epsilon, const Initializer& init)
    : norm_(scope / "norm", {.width = 4 * width, .epsilon = epsilon}),
      reduction_(scope / "reduction", {.in = 4 * width, .out = 2 * width, .bias = false, .init = init}) {}

Tensor PatchMerging::operator()(const Tensor& x, const Tensor& neighbours) const {
  const Tensor side_by_side = arrange_rows(x, neighbours);                                                   // [B, 4 T', C]
  return reduction_(norm_(reshape(side_by_side, Shape{x.size(0), neighbours.numel() / 4, 4 * x.size(2)})));  // [B, T', 2 C]
}

}  // namespace capstan::nn
