#pragma once
// What the tensors of a Swin transformer (swin.h) are called by others.
//
// Hugging Face transformers: SwinModel and SwinForImageClassification. The original code and timm have query, key and value as one matrix;
// timm (from 0.9) counts the merging of tokens with the stage behind it, and calls the classifier head.fc. What they keep beside weights,
// indices and masks, is computed here. Position tables of another window and positions of another grid are interpolated bicubically, as the
// original does it.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/swin_options.h"

namespace capstan::nn {

bool is_hugging_face_swin(std::span<const std::string> names);
bool is_timm_swin(std::span<const std::string> names);
bool is_original_swin(std::span<const std::string> names);

/// `names`: of the file that is read; none when one is written.
ForeignNames hugging_face_names(const SwinOptions& options, std::span<const std::string> names = {});
ForeignNames timm_names(const SwinOptions& options);
ForeignNames original_names(const SwinOptions& options);

}  // namespace capstan::nn
