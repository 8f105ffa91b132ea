#pragma once
// What the tensors of the transformer from tokens to tokens (transformer.h) are called by programs around torch.nn.Transformer, whose own
// names its layers have: `transformer.encoder.layers.0.self_attn.in_proj_weight`. Tables have the names of PyTorch's tutorial on
// translation, src_tok_emb.embedding, tgt_tok_emb.embedding and generator, which has no bias here. One table for several is written once,
// under the first of these names, and read where it stands several times too.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/transformer.h"

namespace capstan::nn {

bool is_torch_transformer(std::span<const std::string> names);
/// For sinusoidal positions: the tutorial's are no weights.
ForeignNames torch_names(const TransformerModelOptions& options);

}  // namespace capstan::nn
