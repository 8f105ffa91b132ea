#include "nn/models/transformer_names.h"

#include <algorithm>

#include "nn/transformer_names.h"

namespace capstan::nn {
namespace {

const std::string kSource = "src_tok_emb.embedding.weight", kTarget = "tgt_tok_emb.embedding.weight", kOutput = "generator.weight";

}  // namespace

bool is_torch_transformer(std::span<const std::string> names) {
  const auto holds = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  return holds(kSource) && holds("transformer.decoder.layers.0.multihead_attn.in_proj_weight");
}

ForeignNames torch_names(const TransformerModelOptions& o) {
  ForeignNames out;
  out.add(kSource, o.tied == TiedTables::all ? "embedding/weight" : "source_embedding/weight");
  if (o.tied == TiedTables::all) {
    out.copies = {{kTarget, kSource}, {kOutput, kSource}};
  } else {
    out.add(kTarget, "target_embedding/weight");
    if (o.tied == TiedTables::none) {
      out.add(kOutput, "output/weight");
    } else {
      out.copies = {{kOutput, kTarget}};
    }
  }
  out.ignored = {"positional_encoding.pos_embedding"};
  const auto stack = [&](std::int64_t layers) -> TransformerStackOptions {
    return {.layers = layers, .layer = {.width = o.hidden_size, .heads = o.heads, .bias = o.bias}};
  };
  add_torch_encoder(out, "transformer.encoder.", "encoder/", stack(o.encoder_layers));
  add_torch_decoder(out, "transformer.decoder.", "decoder/", stack(o.decoder_layers));
  return out;
}

}  // namespace capstan::nn
