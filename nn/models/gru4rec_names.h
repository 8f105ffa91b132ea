#pragma once
// What the tensors of GRU4Rec (gru4rec.h) are called by the official PyTorch code, with a shared or a separate table. Its cells have the
// gates of reset_after. One-hot input is a cell of another kind there and has no names here.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/gru4rec.h"

namespace capstan::nn {

bool is_torch_gru4rec(std::span<const std::string> names);
/// Throws ConfigError for options that the official code does not have.
void require_torch_gru4rec(const Gru4RecOptions& options);
/// Of options that it has.
ForeignNames torch_names(const Gru4RecOptions& options);

}  // namespace capstan::nn
