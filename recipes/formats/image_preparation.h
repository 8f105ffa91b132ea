#pragma once
// How images are made ready for a model, in the files that Hugging Face transformers and timm keep beside it; and their names of classes.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/resize.h"
#include "data/json.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/recipe.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::formats {

struct ImagePreparation {
  std::vector<double> mean{.5}, deviation{.5};  ///< of the pixels in 0 .. 1: one number, or one a channel
  std::int64_t image_size = 0;                  ///< 0: that of the model; another one has its positions interpolated when it is written
  data::Filter filter = data::Filter::bicubic;
  double crop_share = 1;  ///< side of the middle part to the shorter side
};

/// As the configuration of a recipe has it.
ImagePreparation preparation_of(const image_classification::Options& options);

/// The names of classes as the task keeps them; nothing for none.
engine::NamedTensors named_classes(const std::vector<std::string>& names);

// ---- Hugging Face transformers

/// What preprocessor_config.json says, if it is there. `usual`: the size of images that the model is for; 0: unknown, then
/// model.image_size is set.
void set_preparation(const engine::ModelDirectory& directory, std::int64_t usual, Settings& out);
/// The names of a config.json of one of these architectures, or of none said; nothing for another, which does not classify.
engine::NamedTensors hugging_face_classes(const engine::ModelDirectory& directory, std::span<const std::string_view> classifiers);
/// The content of a preprocessor_config.json.
std::string preprocessor_text(const ImagePreparation& images, std::int64_t image_size, std::int64_t channels);

// ---- timm

/// Whether config.json names an architecture that begins so.
bool is_timm_architecture(const engine::ModelDirectory& directory, std::string_view prefix);
/// Mean, deviation, part and filter of a pretrained_cfg.
void set_timm_preparation(const data::Json& preparation, Settings& out);
/// The names of a config.json: label_names, or LABEL_0, LABEL_1, ... for num_classes.
engine::NamedTensors timm_classes(const engine::ModelDirectory& directory);
/// A config.json. `args`: of the model; `features`: its width before the classifier; the last two are names of layers of theirs.
struct TimmModel {
  std::string_view architecture;
  JsonMembers args;
  std::int64_t image_size = 0, channels = 0, features = 0;
  std::string_view global_pool, first_conv, classifier;
};
std::string timm_text(const TimmModel& model, const ImagePreparation& images, const std::vector<std::string>& classes);

}  // namespace capstan::formats
