#pragma once
// DETR in the files of others: directories of Hugging Face transformers, which say everything about model, classes and images, whatever
// library their backbone is of; the original code, of which only the tensors are read; and classifying ResNets, whose network becomes the
// backbone of a DETR that is trained from there.

#include <vector>

#include "nn/models/detr.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/formats/detection_preparation.h"

namespace capstan::formats {

/// `options` and `backbone`, the sections model and model.backbone of a configuration, must outlive the forms, which read them when they
/// are used.
std::vector<engine::ForeignForm> detr_forms(const nn::DetrOptions& options, const nn::ResNetOptions& backbone,
                                            const DetectionPreparation& images);

}  // namespace capstan::formats
