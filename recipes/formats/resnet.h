#pragma once
// The residual network in the files of others: directories of Hugging Face transformers and of timm, which say everything about model,
// classes and images; the weights of torchvision, whose names timm shares.

#include <string_view>
#include <vector>

#include "data/json.h"
#include "nn/models/resnet.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/image_preparation.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read them when they are used.
std::vector<engine::ForeignForm> resnet_forms(const nn::ResNetOptions& options, const ImagePreparation& images);

// ---- for a model that has one in it

/// The network of a configuration of transformers, and the members that such a one has.
nn::ResNetOptions hugging_face_resnet(const data::Json& config);
JsonMembers hugging_face_members(const nn::ResNetOptions& options);
/// The network that timm calls so: "resnet50". Behind a point may be the name of its weights.
nn::ResNetOptions timm_resnet(const data::Json& name);
/// The keys of this section that say what a network is.
void set_resnet(const nn::ResNetOptions& options, std::string_view section, Settings& out);
/// Whether others have the stem and the epsilon.
bool is_usual(const nn::ResNetOptions& options);

}  // namespace capstan::formats
