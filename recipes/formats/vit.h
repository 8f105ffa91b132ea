#pragma once
// The vision transformer in the files of others: Hugging Face transformers and timm, whose directories say everything about model, classes
// and images; the first port to PyTorch and the original NPZ files, of which only the tensors are read.

#include <cstdint>
#include <vector>

#include "data/image/resize.h"
#include "nn/models/vit_options.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// How images are made ready.
struct ImagePreparation {
  std::vector<double> mean{.5}, deviation{.5};  ///< of the pixels in 0 .. 1: one number, or one a channel
  std::int64_t image_size = 0;                  ///< 0: that of the model; another one has its positions interpolated when it is written
  data::Filter filter = data::Filter::bicubic;
  double crop_share = 1;  ///< side of the middle part to the shorter side
};

/// `options` must outlive the forms, which read them when they are used.
std::vector<engine::ForeignForm> vit_forms(const nn::VitOptions& options, const ImagePreparation& images);

}  // namespace capstan::formats
