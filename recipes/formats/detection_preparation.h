#pragma once
// How images are made ready for a detector, in the files that Hugging Face transformers keep beside it: resized in their own ratio until
// one side has its size, and padded to the largest of a batch.

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/resize.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/formats/hugging_face.h"

namespace capstan::formats {

struct DetectionPreparation {
  std::vector<double> mean{.485, .456, .406}, deviation{.229, .224, .225};  ///< of the pixels in 0 .. 1: one number, or one a channel
  std::int64_t side = 800,
               longest = 1333;  ///< the shorter side becomes `side`, or less, so that the longer one is at most `longest`; 0: no limit
  data::Filter filter = data::Filter::bilinear;
};

/// What preprocessor_config.json says, if it is there, as data.mean, data.deviation, evaluate.side, evaluate.longest and evaluate.filter.
/// Throws DataError for a processor that changes the ratio of images.
void set_detection_preparation(const engine::ModelDirectory& directory, Settings& out);
/// The content of a preprocessor_config.json.
std::string detection_preprocessor_text(const DetectionPreparation& images, std::int64_t channels);

}  // namespace capstan::formats
