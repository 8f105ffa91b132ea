#pragma once
// What the tensors of a residual network (resnet.h) are called by others: torchvision and timm (resnet18, 34, 50, 101, 152), which agree,
// and Hugging Face transformers, ResNetModel and ResNetForImageClassification.
//
// The number of batches that a normalisation has seen is a whole number of theirs (num_batches_tracked); files without it are read too. A
// network with frozen normalisations has none: it is not taken, and not written.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/resnet.h"

namespace capstan::nn {

bool is_torchvision_resnet(std::span<const std::string> names);
bool is_hugging_face_resnet(std::span<const std::string> names);

ForeignNames torchvision_names(const ResNetOptions& options);
/// `names`: of the file that is read; none when one is written.
ForeignNames hugging_face_names(const ResNetOptions& options, std::span<const std::string> names = {});

}  // namespace capstan::nn
