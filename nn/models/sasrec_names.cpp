#include "nn/models/sasrec_names.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::nn {

bool is_torch_port_sasrec(std::span<const std::string> names) {
  const auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  return has("item_emb.weight") && has("last_layernorm.weight");
}

ForeignNames torch_port_names(const SasrecOptions& o) {
  const std::int64_t d = o.hidden_size;
  ForeignNames out;
  out.add("item_emb.weight", "item_embedding/weight");
  TensorPair& positions = out.add("pos_emb.weight", "position_embedding/weight");
  positions.first = 1;
  positions.rows = o.max_length + 1;
  Tensor identity = Tensor::zeros({d, d}, DType::f32);
  for (std::int64_t i = 0; i < d; ++i) identity.data<float>()[i * d + i] = 1;
  for (std::int64_t i = 0; i < o.blocks; ++i) {
    const std::string ours = join_text("blocks/", i, "/"), attention = join_text("attention_layers.", i, ".");
    out.both(join_text("attention_layernorms.", i), ours + "attention_norm");
    for (const std::string of : {"weight", "bias"}) {
      std::int64_t part = 0;
      for (const std::string name : {"query", "key", "value"}) {
        TensorPair& p = out.add(join_text(attention, "in_proj_", of), join_text(ours, name, "/", of));
        p.first = d * part++;
        p.rows = 3 * d;
      }
    }
    if (o.output_projection) {
      out.both(attention + "out_proj", ours + "output");
    } else {
      out.constants.emplace_back(attention + "out_proj.weight", identity);
      out.constants.emplace_back(attention + "out_proj.bias", Tensor::zeros({d}, DType::f32));
    }
    out.both(join_text("forward_layernorms.", i), ours + "forward_norm");
    for (const auto& [conv, linear] : {std::pair("conv1", "inner"), std::pair("conv2", "outer")}) {
      const std::string theirs = join_text("forward_layers.", i, ".", conv);
      out.add(theirs + ".weight", join_text(ours, linear, "/weight")).shape = Shape{d, d, 1};
      out.add(theirs + ".bias", join_text(ours, linear, "/bias"));
    }
  }
  out.both("last_layernorm", "last_norm");
  return out;
}

}  // namespace capstan::nn
