#pragma once
// The names of torch.nn's attention and transformer layers, for the lists of nn/foreign_names.h. `theirs` and `ours` are what stands before
// a name: "transformer.encoder." and "encoder/".

#include <cstdint>
#include <string>
#include <vector>

#include "nn/attention.h"
#include "nn/foreign_names.h"
#include "nn/transformer.h"

namespace capstan::nn {

/// torch.nn.MultiheadAttention: one in_proj matrix where keys and values are as wide as queries, else three.
void add_torch_attention(ForeignNames& names, const std::string& theirs, const std::string& ours, const AttentionOptions& options);
/// torch.nn.TransformerEncoder and TransformerDecoder: `layers` layers and, where there is one, the normalisation behind them.
void add_torch_encoder(ForeignNames& names, const std::string& theirs, const std::string& ours, const TransformerStackOptions& options);
void add_torch_decoder(ForeignNames& names, const std::string& theirs, const std::string& ours, const TransformerStackOptions& options);
/// torch.nn.Transformer, without custom stacks.
ForeignNames torch_names(const TransformerOptions& options, const std::string& theirs = "", const std::string& ours = "");

}  // namespace capstan::nn
