#pragma once
// The vision transformer in the files of others: Hugging Face transformers and timm, whose directories say everything about model, classes
// and images; the first port to PyTorch and the original NPZ files, of which only the tensors are read.

#include <vector>

#include "nn/models/vit_options.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// Everything must outlive the forms, which read it when they are used. `mean`, `deviation`: of the pixels in 0 .. 1, one number or one a
/// channel.
std::vector<engine::ForeignForm> vit_forms(const nn::VitOptions& options, const std::vector<double>& mean,
                                           const std::vector<double>& deviation);

}  // namespace capstan::formats
