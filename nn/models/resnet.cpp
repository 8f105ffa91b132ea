#include "nn/models/resnet.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/pool.h"
#include "autograd/ops/shape_ops.h"
#include "nn/conv_norm.h"
#include "nn/linear.h"

namespace capstan::nn {
namespace {

const ResNetOptions& checked(const ResNetOptions& o) {
  check(o);
  return o;
}

/// Places of a window along an axis that keeps its size but for the stride.
std::int64_t places(std::int64_t size, std::int64_t stride) { return (size + stride - 1) / stride; }
std::int64_t after_stem(const ResNetOptions& o, std::int64_t size) {
  return o.stem == ResNetStem::large ? places(places(size, 2), 2) : size;
}

/// What all layers of a network share.
struct Layers {
  const ResNetOptions& options;

  ConvNorm operator()(const Scope& scope, std::string_view number, const Conv2dOptions& conv, bool last = false) const {
    Conv2dOptions c = conv;
    c.padding = padding(c.dilation * (c.kernel - 1) / 2);
    c.init = he_normal({.in = c.out * c.kernel * c.kernel, .out = c.out * c.kernel * c.kernel});  // by fan out
    return {scope / join_text("conv", number),
            scope / join_text("norm", number),
            {.conv = c,
             .norm = {.channels = c.out,
                      .epsilon = options.norm_epsilon,
                      .momentum = options.norm_momentum,
                      .frozen = options.norm == ResNetNorm::frozen,
                      .counts_batches = options.norm == ResNetNorm::batch,
                      .weight_init = last && options.zero_last_gain ? zeros() : ones()}}};
  }
  ConvNorm stem(const Scope& scope) const {
    const bool large = options.stem == ResNetStem::large;
    return (*this)(scope, "", {.in = options.channels, .out = options.stem_width, .kernel = large ? 7 : 3, .stride = large ? 2 : 1});
  }
};

class Block {
 public:
  Block(const Scope& scope, const ResNetBlockOptions& o, const Layers& layer) {
    const std::int64_t inner = o.inner();
    if (o.kind == ResNetBlock::bottleneck) {
      layers_.push_back(layer(scope, "1", {.in = o.in, .out = inner}));
      layers_.push_back(layer(scope, "2", {.in = inner, .out = inner, .kernel = 3, .stride = o.stride, .dilation = o.first_dilation}));
      layers_.push_back(layer(scope, "3", {.in = inner, .out = o.out}, true));
    } else {
      layers_.push_back(layer(scope, "1", {.in = o.in, .out = inner, .kernel = 3, .stride = o.stride, .dilation = o.first_dilation}));
      layers_.push_back(layer(scope, "2", {.in = inner, .out = o.out, .kernel = 3, .dilation = o.dilation}, true));
    }
    if (o.projects()) shortcut_ = layer(scope / "shortcut", "", {.in = o.in, .out = o.out, .stride = o.stride});
  }

  /// [B, in, H, W] -> [B, out, H', W'].
  Tensor operator()(const Tensor& x, const Run& run) const {
    Tensor y = x;
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) y = layers_[i](y, run, {.relu = true});
    const Tensor shortcut = shortcut_ ? (*shortcut_)(x, run) : x;
    return layers_.back()(y, run, {.residual = shortcut, .relu = true});
  }

 private:
  std::vector<ConvNorm> layers_;
  std::optional<ConvNorm> shortcut_;  // where the shape changes
};

std::vector<Block> blocks(const Scope& scope, const ResNetOptions& o) {
  std::vector<Block> all;
  std::int64_t stage = 0;
  for (const auto& of_stage : resnet_blocks(o)) {
    std::int64_t i = 0;
    for (const ResNetBlockOptions& b : of_stage) all.emplace_back((scope / "stages" / stage / i++).at_depth(stage + 1), b, Layers{o});
    ++stage;
  }
  return all;
}

}  // namespace

ResNetOptions resnet_options(const ResNetSize& size) {
  ResNetOptions o;
  o.block = size.block;
  o.blocks = {size.blocks.begin(), size.blocks.end()};
  for (std::size_t i = 0; i < o.widths.size(); ++i) o.widths[i] = (size.block == ResNetBlock::basic ? 64 : 256) << i;
  return o;
}

void check(const ResNetOptions& o) {
  constexpr std::size_t kMaxStages = 8;
  require<ConfigError>(!o.blocks.empty() && o.blocks.size() == o.widths.size() && o.blocks.size() <= kMaxStages,
                       "resnet: model.blocks and model.widths need one number for each stage, at most ", kMaxStages, ", got ",
                       o.blocks.size(), " and ", o.widths.size());
  for (const std::int64_t width : o.widths)
    require<ConfigError>(o.block == ResNetBlock::basic || width % 4 == 0,
                         "resnet: model.widths of bottlenecks must be multiples of 4, got ", width);
  require<ConfigError>(!o.dilate_last || o.blocks.size() > 1, "resnet: model.dilate_last needs two stages: the first one has no stride");
}

std::vector<std::vector<ResNetBlockOptions>> resnet_blocks(const ResNetOptions& o) {
  std::vector<std::vector<ResNetBlockOptions>> stages(o.blocks.size());
  std::int64_t in = o.stem_width;
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    const bool dilated = o.dilate_last && stage + 1 == stages.size();
    for (std::int64_t i = 0; i < o.blocks[stage]; ++i) {
      stages[stage].push_back({.kind = o.block,
                               .in = in,
                               .out = o.widths[stage],
                               .stride = stage > 0 && i == 0 && !dilated ? 2 : 1,
                               .first_dilation = dilated && i > 0 ? 2 : 1,
                               .dilation = dilated ? 2 : 1});
      in = o.widths[stage];
    }
  }
  return stages;
}

struct ResNet::Parts {
  Parts(const Scope& scope, const ResNetOptions& o)
      : options(checked(o)),
        stem(Layers{o}.stem((scope / "stem").at_depth(0))),
        blocks(nn::blocks(scope, o)),
        head(o.classes > 0 ? std::optional<Linear>(std::in_place, scope / "head",
                                                   LinearOptions{.in = o.widths.back(), .out = o.classes, .init = fan_in_uniform()})
                           : std::nullopt) {}

  ResNetOptions options;
  ConvNorm stem;
  std::vector<Block> blocks;
  std::optional<Linear> head;
};

ResNet::ResNet(const Scope& scope, const ResNetOptions& options) : parts_(std::make_unique<const Parts>(scope, options)) {}
ResNet::ResNet(ResNet&&) noexcept = default;
ResNet& ResNet::operator=(ResNet&&) noexcept = default;
ResNet::~ResNet() = default;

Tensor ResNet::features(const Tensor& images, const Run& run) const {
  // Of grey images both orders are one, and the stem takes the usual one.
  Tensor x = channels_last(parts_->stem(channels_last(images), run, {.relu = true}));  // [B, stem_width, H, W]
  if (options().stem == ResNetStem::large) x = max_pool2d(x, {.kernel = {3, 3}, .window = square_window(2, 1, 1)});
  for (const Block& block : parts_->blocks) x = block(x, run);
  return x;
}

Tensor ResNet::logits(const Tensor& images, const Run& run) const {
  require<ConfigError>(parts_->head.has_value(), "resnet: there is no classifier, for model.classes is 0");
  const Tensor y = (*parts_->head)(global_avg_pool2d(features(images, run)));  // [B, classes]
  return y.dtype() == DType::bf16 ? cast(y, DType::f32) : y;
}

std::vector<Parameter> ResNet::class_parameters() const {
  return parts_->head ? std::vector<Parameter>{parts_->head->weight(), parts_->head->bias()} : std::vector<Parameter>{};
}
const ResNetOptions& ResNet::options() const { return parts_->options; }

std::pair<std::int64_t, std::int64_t> feature_size(const ResNetOptions& o, std::int64_t height, std::int64_t width) {
  const auto along = [&](std::int64_t size) {
    size = after_stem(o, size);
    for (const auto& stage : resnet_blocks(o))
      for (const ResNetBlockOptions& b : stage) size = places(size, b.stride);
    return size;
  };
  return {along(height), along(width)};
}

std::int64_t smallest_training_batch(const ResNetOptions& o, std::int64_t height, std::int64_t width) {
  if (o.norm == ResNetNorm::frozen) return 1;
  const auto [h, w] = feature_size(o, height, width);
  return h * w > 1 ? 1 : 2;
}

}  // namespace capstan::nn
