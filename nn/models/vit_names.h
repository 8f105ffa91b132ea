#pragma once
// What the tensors of a vision transformer (vit.h) are called by others.
//
// Hugging Face transformers: ViTModel and ViTForImageClassification. timm: vit_*_patch*_*, where query, key and value are one matrix. The
// first port to PyTorch of the original code (jeonsworld), also with its ResNet stem. The original code (google-research, Flax) has
// matrices [in, out], heads apart and convolutions HWIO; its files are NPZ. Positions of another grid are interpolated as
// options.interpolation says, both grids being square.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/vit_options.h"

namespace capstan::nn {

bool is_hugging_face_vit(std::span<const std::string> names);
bool is_timm_vit(std::span<const std::string> names);
bool is_torch_port_vit(std::span<const std::string> names);
bool is_google_vit(std::span<const std::string> names);

/// `names`: of the file that is read; none when one is written.
ForeignNames hugging_face_names(const VitOptions& options, std::span<const std::string> names = {});
ForeignNames timm_names(const VitOptions& options);
ForeignNames torch_port_names(const VitOptions& options);
ForeignNames google_names(const VitOptions& options);

}  // namespace capstan::nn
