#include "nn/transformer_names.h"

#include <utility>

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

void add_both(ForeignNames& names, const std::string& theirs, const std::string& ours, bool bias) {
  names.pairs.push_back({.theirs = theirs + ".weight", .ours = ours + "/weight"});
  if (bias) names.pairs.push_back({.theirs = theirs + ".bias", .ours = ours + "/bias"});
}

AttentionOptions attention_of(const TransformerLayerOptions& o) { return {.width = o.width, .heads = o.heads, .bias = o.bias}; }

void add_feed_forward(ForeignNames& names, const std::string& theirs, const std::string& ours, bool bias) {
  add_both(names, theirs + "linear1", ours + "feed_forward/inner", bias);
  add_both(names, theirs + "linear2", ours + "feed_forward/outer", bias);
}

TransformerStackOptions stack_of(const TransformerOptions& o, std::int64_t layers) {
  return {.layers = layers, .layer = {.width = o.width, .heads = o.heads, .bias = o.bias}};
}

}  // namespace

void add_torch_attention(ForeignNames& names, const std::string& theirs, const std::string& ours, const AttentionOptions& o) {
  const bool packed = (o.key_width == 0 || o.key_width == o.width) && (o.value_width == 0 || o.value_width == o.width);
  const std::pair<std::string, std::string> parts[] = {{"query", "q"}, {"key", "k"}, {"value", "v"}};
  std::int64_t row = 0;
  for (const auto& [name, letter] : parts) {
    TensorPair weight{.theirs = packed ? theirs + "in_proj_weight" : join_text(theirs, letter, "_proj_weight"),
                      .ours = join_text(ours, name, "/weight")};
    if (packed) weight.first = row, weight.rows = 3 * o.width;
    names.pairs.push_back(weight);
    if (o.bias)
      names.pairs.push_back({.theirs = theirs + "in_proj_bias", .ours = join_text(ours, name, "/bias"), .first = row, .rows = 3 * o.width});
    row += o.width;
  }
  if (o.extra_key) {
    names.pairs.push_back({.theirs = theirs + "bias_k", .ours = ours + "extra_key", .shape = Shape{1, 1, o.width}});
    names.pairs.push_back({.theirs = theirs + "bias_v", .ours = ours + "extra_value", .shape = Shape{1, 1, o.width}});
  }
  add_both(names, theirs + "out_proj", ours + "output", o.bias);
}

void add_torch_encoder(ForeignNames& names, const std::string& theirs, const std::string& ours, const TransformerStackOptions& o) {
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string from = join_text(theirs, "layers.", i, "."), to = join_text(ours, o.layer_name, i, "/");
    add_torch_attention(names, from + "self_attn.", to + "attention/", attention_of(o.layer));
    add_feed_forward(names, from, to, o.layer.bias);
    add_both(names, from + "norm1", to + "attention_norm", o.layer.bias);
    add_both(names, from + "norm2", to + "feed_forward_norm", o.layer.bias);
  }
  if (o.final_norm) add_both(names, theirs + "norm", ours + "norm", o.layer.bias);
}

void add_torch_decoder(ForeignNames& names, const std::string& theirs, const std::string& ours, const TransformerStackOptions& o) {
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string from = join_text(theirs, "layers.", i, "."), to = join_text(ours, o.layer_name, i, "/");
    add_torch_attention(names, from + "self_attn.", to + "self_attention/", attention_of(o.layer));
    add_torch_attention(names, from + "multihead_attn.", to + "cross_attention/", attention_of(o.layer));
    add_feed_forward(names, from, to, o.layer.bias);
    add_both(names, from + "norm1", to + "self_attention_norm", o.layer.bias);
    add_both(names, from + "norm2", to + "cross_attention_norm", o.layer.bias);
    add_both(names, from + "norm3", to + "feed_forward_norm", o.layer.bias);
  }
  if (o.final_norm) add_both(names, theirs + "norm", ours + "norm", o.layer.bias);
}

ForeignNames torch_names(const TransformerOptions& o, const std::string& theirs, const std::string& ours) {
  ForeignNames names;
  add_torch_encoder(names, theirs + "encoder.", ours + "encoder/", stack_of(o, o.encoder_layers));
  add_torch_decoder(names, theirs + "decoder.", ours + "decoder/", stack_of(o, o.decoder_layers));
  return names;
}

}  // namespace capstan::nn
