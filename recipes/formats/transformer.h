#pragma once
// The transformer that translates in the files of programs around torch.nn.Transformer (nn/models/transformer_names.h): weights alone.

#include <vector>

#include "nn/models/transformer.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read them when they are used.
std::vector<engine::ForeignForm> transformer_forms(const nn::TransformerModelOptions& options);

}  // namespace capstan::formats
