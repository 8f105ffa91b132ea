#include "nn/models/vit_resnet_stem.h"

#include <string>

#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/pool.h"

namespace capstan::nn {
namespace {

bool is_flax(VitStemForm form) { return form == VitStemForm::flax; }
Padding around(VitStemForm form, std::int64_t amount) { return is_flax(form) ? same_padding() : padding(amount); }
Padding around_pool(VitStemForm form) { return around(form, 0); }

StdConv2d conv(const Scope& scope, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, VitStemForm form) {
  return {scope,
          {.in = in, .out = out, .kernel = kernel, .stride = stride, .padding = around(form, kernel / 2), .bias = false},
          {.form = is_flax(form) ? DeviationForm::sum : DeviationForm::root}};
}
GroupNorm norm(const Scope& scope, std::int64_t channels, Initializer weight = ones()) {
  return {scope, {.channels = channels, .epsilon = 1e-6, .weight_init = std::move(weight)}};
}
GroupNorm shortcut_norm(const Scope& scope, std::int64_t channels, VitStemForm form) {
  return is_flax(form) ? norm(scope, channels) : GroupNorm(scope, {.channels = channels, .groups = channels, .epsilon = 1e-5});
}

// The blocks of a stem in order.
std::vector<VitBottleneckOptions> blocks_of(const VitOptions& o) {
  std::vector<VitBottleneckOptions> blocks;
  std::int64_t in = o.stem_width, inner = o.stem_width;
  for (std::size_t stage = 0; stage < o.stem_blocks.size(); ++stage, inner *= 2)
    for (std::int64_t i = 0; i < o.stem_blocks[stage]; ++i) {
      blocks.push_back({.in = in, .inner = inner, .out = 4 * inner, .stride = stage > 0 && i == 0 ? 2 : 1, .form = o.stem_form});
      in = 4 * inner;
    }
  return blocks;
}

// Places of a window along an axis; 0 where it does not fit.
std::int64_t places(std::int64_t size, std::int64_t kernel, std::int64_t stride, const Padding& padding) {
  if (!padding.same && size + 2 * padding.amount < kernel) return 0;
  return padding.same ? (size + stride - 1) / stride : (size + 2 * padding.amount - kernel) / stride + 1;
}

}  // namespace

VitBottleneck::VitBottleneck(const Scope& scope, const VitBottleneckOptions& o)
    : conv1_(conv(scope / "conv1", o.in, o.inner, 1, 1, o.form)),
      norm1_(norm(scope / "norm1", o.inner)),
      conv2_(conv(scope / "conv2", o.inner, o.inner, 3, o.stride, o.form)),
      norm2_(norm(scope / "norm2", o.inner)),
      conv3_(conv(scope / "conv3", o.inner, o.out, 1, 1, o.form)),
      norm3_(norm(scope / "norm3", o.out, is_flax(o.form) ? zeros() : ones())) {
  if (o.in == o.out && o.stride == 1) return;
  shortcut_conv_ = conv(scope / "shortcut_conv", o.in, o.out, 1, o.stride, o.form);
  shortcut_norm_ = shortcut_norm(scope / "shortcut_norm", o.out, o.form);
}

Tensor VitBottleneck::operator()(const Tensor& x) const {
  const Tensor shortcut = shortcut_conv_ ? (*shortcut_norm_)((*shortcut_conv_)(x)) : x;
  const Tensor narrow = relu(norm1_(conv1_(x)));      // [B, inner, H, W]
  const Tensor mixed = relu(norm2_(conv2_(narrow)));  // [B, inner, H', W']
  return relu(add(shortcut, norm3_(conv3_(mixed))));  // [B, out, H', W']
}

VitResnetStem::VitResnetStem(const Scope& scope, const VitOptions& o)
    : form_(o.stem_form),
      root_conv_(conv(scope / "root" / "conv", o.channels, o.stem_width, 7, 2, o.stem_form)),
      root_norm_(norm(scope / "root" / "norm", o.stem_width)) {
  std::int64_t i = 0;
  for (const VitBottleneckOptions& block : blocks_of(o)) blocks_.emplace_back(scope / "blocks" / i++, block);
}

Tensor VitResnetStem::operator()(const Tensor& images) const {
  const Tensor root = relu(root_norm_(root_conv_(images)));
  Tensor x = max_pool2d(root, {.kernel = {3, 3}, .window = window_over(root.shape(), 3, 2, around_pool(form_))});
  for (const VitBottleneck& block : blocks_) x = block(x);
  return x;
}

std::int64_t VitResnetStem::channels(const VitOptions& options) {
  const std::vector<VitBottleneckOptions> blocks = blocks_of(options);
  return blocks.empty() ? options.stem_width : blocks.back().out;
}

std::pair<std::int64_t, std::int64_t> VitResnetStem::feature_size(const VitOptions& o, std::int64_t height, std::int64_t width) {
  const auto along = [&](std::int64_t size) {
    size = places(places(size, 7, 2, around(o.stem_form, 3)), 3, 2, around_pool(o.stem_form));
    for (const VitBottleneckOptions& b : blocks_of(o)) size = places(size, 3, b.stride, around(o.stem_form, 1));
    return size;
  };
  return {along(height), along(width)};
}

}  // namespace capstan::nn
