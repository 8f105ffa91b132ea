#pragma once
// The names of DETR's tensors elsewhere: in the original code (and torch.hub), and in Hugging Face transformers, whose backbone has the
// names of timm's ResNet (which are torchvision's) or of its own.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/detr.h"

namespace capstan::nn {

bool is_original_detr(std::span<const std::string> names);
bool is_hugging_face_detr(std::span<const std::string> names);

ForeignNames original_detr_names(const DetrOptions& options, const ResNetOptions& backbone);
/// `names`: those of the file, which say what the backbone's are called, and whether the model is a bare one; empty: transformers' own, of
/// a dilated backbone timm's.
ForeignNames hugging_face_detr_names(const DetrOptions& options, const ResNetOptions& backbone, std::span<const std::string> names);

/// The names of a ResNet's file for a DETR that starts from it: its classifier is not taken, and all that is not the backbone counts as a
/// head.
ForeignNames detr_backbone_names(const ForeignNames& resnet);

}  // namespace capstan::nn
