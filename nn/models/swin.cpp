#include "nn/models/swin.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/checkpoint.h"
#include "nn/conv_stem.h"
#include "nn/dropout.h"
#include "nn/grid_interpolation.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/models/swin_stage.h"
#include "nn/patch_embedding.h"

namespace capstan::nn {
namespace {

using Grid = SwinTokens::Grid;

std::int64_t width_of(const SwinOptions& o, std::size_t stage) { return o.hidden_size << stage; }

std::int64_t inner_of(const SwinOptions& o, std::size_t stage) {
  return static_cast<std::int64_t>(o.mlp_ratio * static_cast<double>(width_of(o, stage)));
}

ConvStemOptions conv_stem_options(const SwinOptions& o) {
  return {.in = o.channels, .channels = o.stem_channels, .strides = o.stem_strides};
}

/// Of what patches are cut from.
std::pair<std::int64_t, std::int64_t> source_size(const SwinOptions& o, std::int64_t height, std::int64_t width) {
  return o.stem == SwinStem::patches ? std::pair{height, width} : ConvStem::feature_size(conv_stem_options(o), height, width);
}
std::int64_t source_channels(const SwinOptions& o) { return o.stem == SwinStem::patches ? o.channels : o.stem_channels.back(); }

std::int64_t divided_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

/// The map of a stage. Throws E, naming `what` the sizes come from, where padding is refused but needed.
template <class E>
Grid grid_of(const SwinOptions& o, std::size_t stage, std::int64_t image_height, std::int64_t image_width, std::string_view what) {
  const auto [height, width] = source_size(o, image_height, image_width);
  const bool refuses = o.padding == WindowPadding::refuse;
  require<E>(!refuses || (height % o.patch_size == 0 && width % o.patch_size == 0), "swin: model.patch_size must divide ", what,
             " (model.padding = refuse): height ", height, ", width ", width, ", patch_size ", o.patch_size);
  Grid grid{divided_up(height, o.patch_size), divided_up(width, o.patch_size)};
  for (std::size_t i = 0; i < stage; ++i) {
    require<E>(!refuses || (grid.first % 2 == 0 && grid.second % 2 == 0), "swin: four tokens become one behind a stage, so ", what,
               " must give an even number of rows and columns (model.padding = ", "refuse): stage ", i, " has ", grid.first, " and ",
               grid.second);
    grid = {divided_up(grid.first, 2), divided_up(grid.second, 2)};
  }
  return grid;
}

/// The run with a number for each of `tokens` tokens of each image, if its images have numbers.
Run run_of_tokens(const Run& run, std::int64_t images, std::int64_t tokens) {
  if (!run.training || !run.token_ids.defined()) return run;
  require(run.token_ids.numel() == images, "swin: run.token_ids must name each image: images ", images, ", token_ids ", run.token_ids);
  const Tensor given = run.token_ids.contiguous(), ids(Shape{images * tokens}, DType::i64);
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ids.data<std::int64_t>()[i] = given.data<const std::int64_t>()[i / tokens] * tokens + i % tokens;
  Run of_tokens = run;
  of_tokens.token_ids = ids;
  return of_tokens;
}

Initializer initializer(const SwinOptions& o) {
  return o.initial_values == SwinInitialValues::fan_in ? fan_in_uniform() : truncated_normal(.02);
}

TransformerLayerOptions block_options(const SwinOptions& o, std::size_t stage) {
  return {.width = width_of(o, stage),
          .heads = o.heads[stage],
          .inner = inner_of(o, stage),
          .activation = Activation::gelu,
          .pre_norm = true,
          .dropout = o.dropout,
          .attention_dropout = o.attention_dropout,
          .activation_dropout = o.dropout,
          .epsilon = o.norm_epsilon,
          .init = initializer(o)};
}

struct Stage {
  std::vector<SwinBlock> blocks;
  std::optional<PatchMerging> merging;  // behind them
};

std::vector<Stage> make_stages(const Scope& scope, const SwinOptions& o) {
  const std::int64_t blocks = std::accumulate(o.depths.begin(), o.depths.end(), std::int64_t{0});
  std::vector<Stage> stages(o.depths.size());
  std::int64_t block = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Scope below = scope / static_cast<std::int64_t>(i);
    TransformerLayerOptions options = block_options(o, i);
    for (std::int64_t j = 0; j < o.depths[i]; ++j, ++block) {
      options.stochastic_depth = stochastic_depth_rate(block, blocks, o.stochastic_depth);
      stages[i].blocks.emplace_back((below / "blocks" / j).at_depth(block + 1), options, swin_window(o, i), o.qkv_bias);
    }
    if (i + 1 < stages.size())
      stages[i].merging.emplace((below / "merging").at_depth(block), width_of(o, i), o.norm_epsilon, initializer(o));
  }
  return stages;
}

const SwinOptions& checked(const SwinOptions& o) {
  check(o, o.image_size);
  return o;
}

/// fn(x), computed again in backward.
template <class F>
Residual::State checkpointed(const F& fn, const Residual::State& x) {
  const std::vector<Tensor> out = checkpoint(
      [fn](std::span<const Tensor> in) {
        const Residual::State y = fn(Residual::State{in[0], in[1]});
        return y.sum.defined() ? std::vector{y.input, y.sum} : std::vector{y.input};
      },
      {x.input, x.sum});
  return {out[0], out.size() > 1 ? out[1] : Tensor{}};
}

}  // namespace

std::pair<std::int64_t, std::int64_t> swin_grid(const SwinOptions& o, std::size_t stage, std::int64_t image_height,
                                                std::int64_t image_width) {
  return grid_of<ShapeError>(o, stage, image_height, image_width, "the image");
}

std::int64_t swin_window(const SwinOptions& o, std::size_t stage) {
  return std::min(o.window_size, swin_grid(o, stage, o.image_size, o.image_size).first);
}

void check(const SwinOptions& o, std::int64_t image_size, std::string_view key) {
  ConvStem::check(conv_stem_options(o), "swin");
  constexpr std::size_t kMaxStages = 8;  // width doubles with each
  require<ConfigError>(!o.depths.empty() && o.depths.size() <= kMaxStages, "swin: model.depths names ", o.depths.size(), " stages, 1 to ",
                       kMaxStages, " are possible");
  require<ConfigError>(o.heads.size() == o.depths.size(), "swin: model.heads and model.depths must name as many stages: heads ",
                       o.heads.size(), ", depths ", o.depths.size());
  for (std::size_t i = 0; i < o.depths.size(); ++i) {
    require<ConfigError>(width_of(o, i) % o.heads[i] == 0, "swin: model.heads must divide the width of their stage: stage ", i, ", width ",
                         width_of(o, i), ", heads ", o.heads[i]);
    require<ConfigError>(inner_of(o, i) > 0, "swin: model.mlp_ratio leaves no inner width: stage ", i, ", width ", width_of(o, i),
                         ", mlp_ratio ", o.mlp_ratio);
    // That of the model itself first: it decides the windows.
    const std::int64_t own = grid_of<ConfigError>(o, i, o.image_size, o.image_size, "model.image_size").first;
    const std::int64_t side = grid_of<ConfigError>(o, i, image_size, image_size, key).first, window = std::min(o.window_size, own);
    require<ConfigError>(o.padding != WindowPadding::refuse || side % window == 0, "swin: windows must divide the map of tokens that ", key,
                         " gives (model.padding = refuse): stage ", i, ", rows ", side, ", window ", window);
  }
}

struct Swin::Parts {
  Parts(const Scope& scope, const SwinOptions& o);

  SwinOptions options;
  Grid trained_grid;
  std::optional<ConvStem> stem;
  PatchEmbedding patches;
  std::optional<LayerNorm> patch_norm;
  Parameter positions;  // [T, C], row by row; undefined: none
  Dropout embedding_dropout;
  std::vector<Stage> stages;
  LayerNorm norm;
  Linear head;

  std::vector<SwinTokens> plans(const Tensor& images) const;
  /// What the first stage reads, in its order: [B, T, C].
  Tensor embed(const Tensor& images, const SwinTokens& plan, const Run& run) const;
  /// The tokens of the last stage, normalised: [B, T, C]. `weights`, if not nullptr, gets the probabilities of its blocks.
  Tensor encode(const Tensor& images, const std::vector<SwinTokens>& plans, const Run& run, std::vector<Tensor>* weights) const;
  Tensor classify(const Tensor& encoded) const;
};

Swin::Parts::Parts(const Scope& scope, const SwinOptions& o)
    : options(checked(o)),
      trained_grid(swin_grid(o, 0, o.image_size, o.image_size)),
      stem(o.stem == SwinStem::convolutions ? std::optional<ConvStem>(std::in_place, scope.at_depth(0) / "stem", conv_stem_options(o))
                                            : std::nullopt),
      patches(scope.at_depth(0) / "patches", {.channels = source_channels(o),
                                              .patch = o.patch_size,
                                              .width = o.hidden_size,
                                              .init = fan_in_uniform(),
                                              .bias_init = fan_in_uniform({.in = source_channels(o) * o.patch_size * o.patch_size})}),
      patch_norm(o.patch_norm ? std::optional<LayerNorm>(std::in_place, scope.at_depth(0) / "patch_norm",
                                                         LayerNormOptions{.width = o.hidden_size, .epsilon = o.norm_epsilon})
                              : std::nullopt),
      positions(o.absolute_positions ? scope.at_depth(0).parameter("positions", {trained_grid.first * trained_grid.second, o.hidden_size},
                                                                   truncated_normal(.02), {.decay = false})
                                     : Parameter()),
      embedding_dropout(scope / "embedding_dropout", o.dropout),
      stages(make_stages(scope / "stages", o)),
      norm(scope / "norm", {.width = width_of(o, o.depths.size() - 1), .epsilon = o.norm_epsilon}),
      head(scope / "head", {.in = width_of(o, o.depths.size() - 1), .out = o.classes, .init = initializer(o)}) {}

std::vector<SwinTokens> Swin::Parts::plans(const Tensor& images) const {
  require(images.rank() == 4, "swin: images must be [B, C, H, W]: images ", images);
  std::vector<SwinTokens> out;
  for (std::size_t i = 0; i < stages.size(); ++i)
    out.emplace_back(swin_grid(options, i, images.size(2), images.size(3)), swin_window(options, i), options.padding);
  return out;
}

Tensor Swin::Parts::embed(const Tensor& images, const SwinTokens& plan, const Run& run) const {
  Tensor whole = stem ? (*stem)(images, run) : images;
  for (const int axis : {2, 3}) {  // to whole patches
    const std::int64_t size = whole.size(axis), missing = divided_up(size, options.patch_size) * options.patch_size - size;
    if (missing > 0) whole = concat({whole, Tensor::zeros(whole.shape().with(axis, missing), whole.dtype())}, axis);
  }
  Tensor x = patches(whole, plan.by_windows() ? swin_window(options, 0) : 1);  // [B, T, C]
  if (patch_norm) x = (*patch_norm)(x);
  if (positions.defined()) {
    const Tensor by_rows = interpolate_grid(positions.value(), trained_grid, plan.grid(), Interpolation::bicubic);
    x = add(x, cast(index_select(by_rows, 0, Tensor::from<std::int64_t>(std::span(plan.order()), {plan.count()})), x.dtype()));
  }
  return embedding_dropout(x, run_of_tokens(run, x.size(0), plan.count()));
}

Tensor Swin::Parts::encode(const Tensor& images, const std::vector<SwinTokens>& plans, const Run& run, std::vector<Tensor>* weights) const {
  Tensor x = embed(images, plans[0], run);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto& [blocks, merging] = stages[i];
    const SwinTokens& plan = plans[i];
    const Run tokens = run_of_tokens(run, x.size(0), plan.count());
    Residual::State state = blocks.front().residual().begin(x);
    for (std::size_t j = 0; j < blocks.size(); ++j) {
      const SwinTokens::Windows& w = plan.windows(j % 2 == 1);
      const LayerNorm* const next = j + 1 < blocks.size() ? &blocks[j + 1].residual().norm() : merging ? nullptr : &norm;
      const Run places = w.places == plan.count() ? tokens : run_of_tokens(run, x.size(0), w.places);
      if (weights != nullptr && !merging) weights->push_back(blocks[j].probabilities(state, w));
      const auto step = [&block = blocks[j], w, next, tokens, places](const Residual::State& s) {
        return block(s, w, next, tokens, places);
      };
      state = run.checkpoint_activations ? checkpointed(step, state) : step(state);
    }
    x = merging ? (*merging)(state.input, plan.neighbours(plans[i + 1])) : state.input;
  }
  return x;
}

Tensor Swin::Parts::classify(const Tensor& encoded) const {
  const Tensor logits = head(mean(encoded, {1}));  // [B, classes]
  return logits.dtype() == DType::bf16 ? cast(logits, DType::f32) : logits;
}

Swin::Swin(const Scope& scope, const SwinOptions& options) : parts_(std::make_unique<const Parts>(scope, options)) {}
Swin::Swin(Swin&&) noexcept = default;
Swin& Swin::operator=(Swin&&) noexcept = default;
Swin::~Swin() = default;

Tensor Swin::logits(const Tensor& images, const Run& run) const {
  return parts_->classify(parts_->encode(images, parts_->plans(images), run, nullptr));
}

Swin::WithAttention Swin::with_attention(const Tensor& images, const Run& run) const {
  const std::vector<SwinTokens> plans = parts_->plans(images);
  WithAttention out;
  std::vector<Tensor> weights;
  out.logits = parts_->classify(parts_->encode(images, plans, run, &weights));
  const SwinTokens& plan = plans.back();
  out.grid = plan.grid();
  const std::int64_t window = swin_window(parts_->options, plans.size() - 1), tokens = plan.count(), n = window * window;
  for (std::size_t j = 0; j < weights.size(); ++j) {
    const Tensor w = cast(weights[j], DType::f32).contiguous();  // [B * windows, heads, n, n]
    const WindowCut cut = window_cut(plan.grid().first, plan.grid().second, window, j % 2 == 1, parts_->options.padding);
    const std::vector<std::int64_t> source = cut.sources();
    const std::int64_t windows = cut.windows(), heads = w.size(1);
    const Tensor all = Tensor::zeros({w.size(0) / windows, heads, tokens, tokens}, DType::f32);
    const float* from = w.data<const float>();
    for (std::int64_t b = 0; b < w.size(0); ++b)
      for (std::int64_t h = 0; h < heads; ++h)
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t k = 0; k < n; ++k, ++from) {
            const std::int64_t first = b % windows * n, query = source[static_cast<std::size_t>(first + i)],
                               key = source[static_cast<std::size_t>(first + k)];
            if (query >= 0 && key >= 0) all.data<float>()[((b / windows * heads + h) * tokens + query) * tokens + key] = *from;
          }
    out.probabilities.push_back(all);
  }
  return out;
}

std::vector<Parameter> Swin::class_parameters() const { return {parts_->head.weight(), parts_->head.bias()}; }
const SwinOptions& Swin::options() const { return parts_->options; }

std::int64_t smallest_training_batch(const SwinOptions& o, std::int64_t image_height, std::int64_t image_width) {
  const auto [height, width] = source_size(o, image_height, image_width);
  return o.stem == SwinStem::patches || height * width > 1 ? 1 : 2;
}

}  // namespace capstan::nn
