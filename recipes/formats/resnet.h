#pragma once
// The residual network in the files of others: directories of Hugging Face transformers and of timm, which say everything about model,
// classes and images; the weights of torchvision, whose names timm shares.

#include <vector>

#include "nn/models/resnet.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/formats/image_preparation.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read them when they are used.
std::vector<engine::ForeignForm> resnet_forms(const nn::ResNetOptions& options, const ImagePreparation& images);

}  // namespace capstan::formats
