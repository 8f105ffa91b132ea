#include "nn/models/vit_names.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/grid_interpolation.h"

namespace capstan::nn {
namespace {

bool has(std::span<const std::string> names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

/// Positions [.., N, H] of another square grid, with or without one of the class token before them.
std::function<Tensor(const Tensor&, const Shape&)> resized_positions(const VitOptions& o) {
  return [special = o.head == VitHeadInput::token ? 1 : 0, kind = o.interpolation](const Tensor& theirs, const Shape& ours) -> Tensor {
    const std::int64_t width = ours[1];
    if (theirs.rank() < 2 || theirs.size(theirs.rank() - 1) != width) return {};
    const Tensor rows = reshape(cast(theirs.contiguous(), DType::f32), {theirs.numel() / width, width});
    const std::int64_t from = square_side(rows.size(0) - special), to = square_side(ours[0] - special);
    if (from == 0 || to == 0) return {};
    const Tensor grid = interpolate_grid(slice(rows, 0, special, rows.size(0) - special), {from, from}, {to, to}, kind);
    return special == 0 ? grid : concat({slice(rows, 0, 0, special), grid}, 0);
  };
}

/// Names of theirs and ours put together.
class Pairs : public ForeignNames {
 public:
  explicit Pairs(const VitOptions& o) : o_(o) { heads = {"head", "representation"}; }

  /// A matrix [in, out] with its bias.
  void dense(const std::string& theirs, const std::string& ours) {
    add(theirs + "/kernel", ours + "/weight").axes = {1, 0};
    add(theirs + "/bias", ours + "/bias");
  }
  void scaled(const std::string& theirs, const std::string& ours) {
    add(theirs + "/scale", ours + "/weight");
    add(theirs + "/bias", ours + "/bias");
  }
  void convolution(const std::string& theirs, const std::string& ours) { add(theirs + "/kernel", ours + "/weight").axes = {3, 2, 0, 1}; }
  void class_token_and_positions(const std::string& token, const std::string& positions) {
    const std::int64_t special = o_.head == VitHeadInput::token ? 1 : 0;
    if (special == 1) add(token, "class_token").shape = Shape{1, 1, o_.hidden_size};
    TensorPair& p = add(positions, "positions");
    p.resized = resized_positions(o_);
    if (o_.stem == VitStem::patches) {  // otherwise the grid follows from the stem, and files of this form are not written
      const std::int64_t side = o_.image_size / o_.patch_size;
      p.shape = Shape{1, side * side + special, o_.hidden_size};
      p.written = [resized = p.resized](const Tensor& ours, const Shape& shape) {
        return ours.size(0) == shape[1] ? ours : resized(ours, {shape[1], shape[2]});
      };
    }
  }
  /// Query, key and value in one.
  void fused(const std::string& theirs, const std::string& ours) {
    std::int64_t part = 0;
    for (const std::string name : {"query", "key", "value"}) {
      for (const std::string of : {"weight", "bias"}) {
        TensorPair& p = add(join_text(theirs, ".", of), join_text(ours, "/", name, "/", of));
        p.first = part * o_.hidden_size;
        p.rows = 3 * o_.hidden_size;
      }
      ++part;
    }
  }
  /// Of the ResNet: what its blocks are called, by stage and place in it, both from 1.
  template <class Name>
  void each_block(const Name& name) {
    std::int64_t index = 0;
    for (std::size_t stage = 0; stage < o_.stem_blocks.size(); ++stage)
      for (std::int64_t unit = 0; unit < o_.stem_blocks[stage]; ++unit)
        name(stage + 1, unit + 1, unit == 0, join_text("stem/blocks/", index++));
  }

  ForeignNames take() { return std::move(*this); }

 private:
  const VitOptions& o_;
};

std::string layer(std::int64_t i) { return join_text("encoder/", i, "/"); }

}  // namespace

bool is_hugging_face_vit(std::span<const std::string> names) {
  return has(names, "vit.embeddings.patch_embeddings.projection.weight") || has(names, "embeddings.patch_embeddings.projection.weight");
}
bool is_timm_vit(std::span<const std::string> names) {
  return has(names, "patch_embed.proj.weight") && has(names, "blocks.0.norm1.weight");
}
bool is_torch_port_vit(std::span<const std::string> names) { return has(names, "transformer.embeddings.patch_embeddings.weight"); }
bool is_google_vit(std::span<const std::string> names) { return has(names, "Transformer/posembed_input/pos_embedding"); }

ForeignNames hugging_face_names(const VitOptions& o, std::span<const std::string> names) {
  const std::string prefix = has(names, "embeddings.patch_embeddings.projection.weight") ? "" : "vit.";
  Pairs pairs(o);
  pairs.class_token_and_positions(prefix + "embeddings.cls_token", prefix + "embeddings.position_embeddings");
  pairs.both(prefix + "embeddings.patch_embeddings.projection", "patches");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text(prefix, "encoder.layer.", i, "."), ours = layer(i);
    pairs.both(theirs + "layernorm_before", ours + "attention_norm");
    for (const std::string part : {"query", "key", "value"})
      pairs.both(theirs + "attention.attention." + part, join_text(ours, "attention/", part));
    pairs.both(theirs + "attention.output.dense", ours + "attention/output");
    pairs.both(theirs + "layernorm_after", ours + "feed_forward_norm");
    pairs.both(theirs + "intermediate.dense", ours + "feed_forward/inner");
    pairs.both(theirs + "output.dense", ours + "feed_forward/outer");
  }
  pairs.both(prefix + "layernorm", "encoder/norm");
  pairs.both("classifier", "head");
  ForeignNames out = pairs.take();
  for (const std::string pooler : {"vit/pooler", "pooler"}) out.heads.push_back(pooler);
  return out;
}

ForeignNames timm_names(const VitOptions& o) {
  Pairs pairs(o);
  pairs.class_token_and_positions("cls_token", "pos_embed");
  pairs.both("patch_embed.proj", "patches");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text("blocks.", i, "."), ours = layer(i);
    pairs.both(theirs + "norm1", ours + "attention_norm");
    pairs.fused(theirs + "attn.qkv", ours + "attention");
    pairs.both(theirs + "attn.proj", ours + "attention/output");
    pairs.both(theirs + "norm2", ours + "feed_forward_norm");
    pairs.both(theirs + "mlp.fc1", ours + "feed_forward/inner");
    pairs.both(theirs + "mlp.fc2", ours + "feed_forward/outer");
  }
  pairs.both("norm", "encoder/norm");
  pairs.both("pre_logits.fc", "representation");
  pairs.both("head", "head");
  return pairs.take();
}

ForeignNames torch_port_names(const VitOptions& o) {
  const std::string embeddings = "transformer.embeddings.", resnet = embeddings + "hybrid_model.";
  Pairs pairs(o);
  pairs.class_token_and_positions(embeddings + "cls_token", embeddings + "position_embeddings");
  pairs.both(embeddings + "patch_embeddings", "patches");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text("transformer.encoder.layer.", i, "."), ours = layer(i);
    pairs.both(theirs + "attention_norm", ours + "attention_norm");
    for (const std::string part : {"query", "key", "value"}) pairs.both(theirs + "attn." + part, join_text(ours, "attention/", part));
    pairs.both(theirs + "attn.out", ours + "attention/output");
    pairs.both(theirs + "ffn_norm", ours + "feed_forward_norm");
    pairs.both(theirs + "ffn.fc1", ours + "feed_forward/inner");
    pairs.both(theirs + "ffn.fc2", ours + "feed_forward/outer");
  }
  pairs.both("transformer.encoder.encoder_norm", "encoder/norm");
  pairs.both("head", "head");
  if (o.stem != VitStem::resnet) return pairs.take();
  pairs.add(resnet + "root.conv.weight", "stem/root/conv/weight");
  pairs.both(resnet + "root.gn", "stem/root/norm");
  pairs.each_block([&](std::size_t stage, std::int64_t unit, bool first, const std::string& ours) {
    const std::string theirs = join_text(resnet, "body.block", stage, ".unit", unit, ".");
    for (const std::string i : {"1", "2", "3"}) {
      pairs.add(join_text(theirs, "conv", i, ".weight"), join_text(ours, "/conv", i, "/weight"));
      pairs.both(join_text(theirs, "gn", i), join_text(ours, "/norm", i));
    }
    if (!first) return;
    pairs.add(theirs + "downsample.weight", ours + "/shortcut_conv/weight");
    pairs.both(theirs + "gn_proj", ours + "/shortcut_norm");
  });
  return pairs.take();
}

ForeignNames google_names(const VitOptions& o) {
  const std::int64_t h = o.heads, d = o.hidden_size / o.heads;
  Pairs pairs(o);
  pairs.class_token_and_positions("cls", "Transformer/posembed_input/pos_embedding");
  pairs.convolution("embedding", "patches");
  pairs.add("embedding/bias", "patches/bias");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text("Transformer/encoderblock_", i, "/"), ours = layer(i);
    const std::string attention = theirs + "MultiHeadDotProductAttention_1/";
    pairs.scaled(theirs + "LayerNorm_0", ours + "attention_norm");
    for (const std::string part : {"query", "key", "value"}) {
      TensorPair& kernel = pairs.add(attention + part + "/kernel", join_text(ours, "attention/", part, "/weight"));
      kernel.shape = Shape{o.hidden_size, h, d};
      kernel.axes = {1, 2, 0};
      pairs.add(attention + part + "/bias", join_text(ours, "attention/", part, "/bias")).shape = Shape{h, d};
    }
    TensorPair& out = pairs.add(attention + "out/kernel", ours + "attention/output/weight");
    out.shape = Shape{h, d, o.hidden_size};
    out.axes = {2, 0, 1};
    pairs.add(attention + "out/bias", ours + "attention/output/bias");
    pairs.scaled(theirs + "LayerNorm_2", ours + "feed_forward_norm");
    pairs.dense(theirs + "MlpBlock_3/Dense_0", ours + "feed_forward/inner");
    pairs.dense(theirs + "MlpBlock_3/Dense_1", ours + "feed_forward/outer");
  }
  pairs.scaled("Transformer/encoder_norm", "encoder/norm");
  pairs.dense("pre_logits", "representation");
  pairs.dense("head", "head");
  if (o.stem != VitStem::resnet) return pairs.take();
  pairs.convolution("conv_root", "stem/root/conv");
  pairs.scaled("gn_root", "stem/root/norm");
  pairs.each_block([&](std::size_t stage, std::int64_t unit, bool first, const std::string& ours) {
    const std::string theirs = join_text("block", stage, "/unit", unit, "/");
    for (const std::string i : {"1", "2", "3"}) {
      pairs.convolution(join_text(theirs, "conv", i), join_text(ours, "/conv", i));
      pairs.scaled(join_text(theirs, "gn", i), join_text(ours, "/norm", i));
    }
    if (!first) return;
    pairs.convolution(theirs + "conv_proj", ours + "/shortcut_conv");
    pairs.scaled(theirs + "gn_proj", ours + "/shortcut_norm");
  });
  return pairs.take();
}

}  // namespace capstan::nn
