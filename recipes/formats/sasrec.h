#pragma once
// SASRec in the files of its PyTorch port (nn/models/sasrec_names.h): weights alone, for such programs keep pickles.

#include <vector>

#include "nn/models/sasrec.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read it when they are used.
std::vector<engine::ForeignForm> sasrec_forms(const nn::SasrecOptions& options);

}  // namespace capstan::formats
