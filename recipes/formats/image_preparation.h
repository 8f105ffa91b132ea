#pragma once
// How images are made ready for a classifier, in the files that Hugging Face transformers keep beside it; and what directories of
// classifiers have in common.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/resize.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/engine/pretrained/model_directory.h"
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

/// The options of a model as it is written: for the size that its images have.
template <class Options>
Options written_options(Options options, const ImagePreparation& images) {
  if (images.image_size > 0) options.image_size = images.image_size;
  return options;
}

/// What preprocessor_config.json says, if it is there. `usual`: the size of images that the model is for; 0: unknown, then
/// model.image_size is set.
void set_preparation(const engine::ModelDirectory& directory, std::int64_t usual, Settings& out);

/// What is written of a model: the members of its config.json that are its own, and its images.
struct HuggingFaceModel {
  JsonMembers own;
  std::int64_t image_size = 0, channels = 0;
};
engine::DirectoryForm hugging_face_classifiers(std::string_view architecture, std::string_view model_type, SettingsOf settings,
                                               std::function<HuggingFaceModel()> written, const ImagePreparation& images);

}  // namespace capstan::formats
