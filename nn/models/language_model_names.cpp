#include "nn/models/language_model_names.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::nn {
namespace {

bool has_ending(std::span<const std::string> names, std::string_view end) {
  return std::ranges::any_of(names, [&](const std::string& n) { return n.ends_with(end); });
}

bool is_gated(FeedForwardKind kind) { return kind == FeedForwardKind::swiglu || kind == FeedForwardKind::geglu; }

/// Of keys and values: theirs may have more heads.
void averages_heads(TensorPair& pair, std::int64_t head_width) {
  pair.resized = [head_width](const Tensor& theirs, const Shape& ours) { return averaged_heads(theirs, ours, head_width); };
  pair.resizing = [head_width](const Shape& theirs, const Shape& ours) {
    return join_text("heads of keys and values are averaged in groups, ", theirs[0] / head_width, " -> ", ours[0] / head_width);
  };
}

class Pairs : public ForeignNames {
 public:
  explicit Pairs(const LanguageModelOptions& o) : o_(o) {}

  void keys_or_values(const std::string& theirs, const std::string& ours) {
    for (const std::string of : {"weight", "bias"})
      averages_heads(add(join_text(theirs, ".", of), join_text(ours, "/", of)), o_.hidden_size / o_.heads);
  }
  /// A matrix [in, out] with its bias.
  void turned(const std::string& theirs, const std::string& ours) {
    add(theirs + ".weight", ours + "/weight").axes = {1, 0};
    add(theirs + ".bias", ours + "/bias");
  }
  /// Query, key and value in one matrix [in, 3 out].
  void turned_in_one(const std::string& theirs, const std::string& ours) {
    const std::int64_t h = o_.hidden_size;
    std::int64_t part = 0;
    for (const std::string name : {"query", "key", "value"}) {
      TensorPair& weight = add(theirs + ".weight", join_text(ours, "/", name, "/weight"));
      weight.shape = Shape{h, h};
      weight.axes = {1, 0};
      weight.axis = 1;
      weight.first = part * h;
      weight.rows = 3 * h;
      if (part > 0) averages_heads(weight, h / o_.heads);
      TensorPair& bias = add(theirs + ".bias", join_text(ours, "/", name, "/bias"));
      bias.shape = Shape{h};
      bias.first = part * h;
      bias.rows = 3 * h;
      if (part > 0) averages_heads(bias, h / o_.heads);
      ++part;
    }
  }
  void table_of_output(const std::string& embedding) {
    if (o_.tied) {
      copies.emplace_back("lm_head.weight", embedding);
    } else {
      add("lm_head.weight", "output/weight");
    }
  }
  void ignore(std::string name) { ignored.push_back(std::move(name)); }

  ForeignNames take() { return std::move(*this); }

 private:
  const LanguageModelOptions& o_;
};

std::string layer(std::int64_t i) { return join_text("layers/", i, "/"); }

ForeignNames gpt2_names(const LanguageModelOptions& o, const std::string& prefix) {
  Pairs pairs(o);
  pairs.add(prefix + "wte.weight", "embedding/weight");
  pairs.add(prefix + "wpe.weight", "positions");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text(prefix, "h.", i, "."), ours = layer(i);
    pairs.both(theirs + "ln_1", ours + "attention_norm");
    pairs.turned_in_one(theirs + "attn.c_attn", ours + "attention");
    pairs.turned(theirs + "attn.c_proj", ours + "attention/output");
    pairs.both(theirs + "ln_2", ours + "feed_forward_norm");
    pairs.turned(theirs + "mlp.c_fc", ours + "feed_forward/inner");
    pairs.turned(theirs + "mlp.c_proj", ours + "feed_forward/outer");
    for (const std::string mask : {"attn.bias", "attn.masked_bias"}) pairs.ignore(theirs + mask);
  }
  pairs.both(prefix + "ln_f", "layers/norm");
  pairs.table_of_output(prefix + "wte.weight");
  return pairs.take();
}

ForeignNames llama_names(const LanguageModelOptions& o, const std::string& prefix) {
  Pairs pairs(o);
  pairs.add(prefix + "embed_tokens.weight", "embedding/weight");
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const std::string theirs = join_text(prefix, "layers.", i, "."), ours = layer(i);
    pairs.both(theirs + "self_attn.q_proj", ours + "attention/query");
    pairs.keys_or_values(theirs + "self_attn.k_proj", ours + "attention/key");
    pairs.keys_or_values(theirs + "self_attn.v_proj", ours + "attention/value");
    pairs.both(theirs + "self_attn.o_proj", ours + "attention/output");
    pairs.both(theirs + "mlp.gate_proj", ours + "feed_forward/gate");
    pairs.both(theirs + "mlp.up_proj", ours + "feed_forward/inner");
    pairs.both(theirs + "mlp.down_proj", ours + "feed_forward/outer");
    pairs.add(theirs + "input_layernorm.weight", ours + "attention_norm/weight");
    pairs.add(theirs + "post_attention_layernorm.weight", ours + "feed_forward_norm/weight");
    pairs.ignore(theirs + "self_attn.rotary_emb.inv_freq");
  }
  pairs.add(prefix + "norm.weight", "layers/norm/weight");
  pairs.table_of_output(prefix + "embed_tokens.weight");
  return pairs.take();
}

bool names_gpt2(std::span<const std::string> names) { return has_ending(names, "h.0.attn.c_attn.weight"); }
bool names_llama(std::span<const std::string> names) { return has_ending(names, "layers.0.self_attn.q_proj.weight"); }

/// "model.", "transformer." or nothing: what stands before the name that the file has.
std::string prefix_of(std::span<const std::string> names, std::string_view usual, std::string_view name) {
  return std::ranges::find(names, name) == names.end() ? std::string(usual) : std::string();
}

}  // namespace

bool is_hugging_face_language_model(std::span<const std::string> names) {
  return (names_gpt2(names) && has_ending(names, "wte.weight")) || (names_llama(names) && has_ending(names, "embed_tokens.weight"));
}

bool is_gpt2(const LanguageModelOptions& o) {
  return o.positions == LanguagePositions::learned && o.norm == NormKind::layer && o.bias && !is_gated(o.activation) &&
         (o.kv_heads == 0 || o.kv_heads == o.heads);
}
bool is_llama(const LanguageModelOptions& o) {
  return o.positions == LanguagePositions::rotary && o.norm == NormKind::rms && is_gated(o.activation);
}

ForeignNames hugging_face_names(const LanguageModelOptions& o, std::span<const std::string> names) {
  if (names.empty() ? is_gpt2(o) : names_gpt2(names)) return gpt2_names(o, prefix_of(names, "transformer.", "wte.weight"));
  return llama_names(o, prefix_of(names, "model.", "embed_tokens.weight"));
}

ForeignNames own_names(const LanguageModelOptions& o) {
  Pairs pairs(o);
  for (std::int64_t i = 0; i < o.layers; ++i)
    for (const std::string part : {"attention/key", "attention/value"})
      for (const std::string of : {"/weight", "/bias"}) {
        const std::string name = layer(i) + part + of;
        averages_heads(pairs.add(name, name), o.hidden_size / o.heads);
      }
  return pairs.take();
}

Tensor averaged_heads(const Tensor& theirs, const Shape& ours, std::int64_t head_width) {
  const std::int64_t from = theirs.rank() > 0 ? theirs.size(0) : 0, to = ours.rank() > 0 ? ours[0] : 0;
  if (theirs.rank() != ours.rank() || to == 0 || to % head_width != 0 || from <= to || from % to != 0 ||
      theirs.shape().without(0) != ours.without(0))
    return {};
  const Tensor heads = reshape(cast(theirs, DType::f32), Shape{to / head_width, from / to, head_width * (theirs.numel() / from)});
  return reshape(mean(heads, {1}), ours);  // of [groups, heads of a group, numbers of a head]
}

}  // namespace capstan::nn
