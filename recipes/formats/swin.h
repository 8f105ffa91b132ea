#pragma once
// The Swin transformer in the files of others: Hugging Face transformers and timm, whose directories say everything about model, classes
// and images; the original code, of which only the tensors are read.

#include <vector>

#include "nn/models/swin_options.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/formats/image_preparation.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read them when they are used.
std::vector<engine::ForeignForm> swin_forms(const nn::SwinOptions& options, const ImagePreparation& images);

}  // namespace capstan::formats
