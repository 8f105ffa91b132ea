#pragma once
// GRU4Rec in the files of its PyTorch code (nn/models/gru4rec_names.h): weights alone, for such programs keep pickles.

#include <vector>

#include "nn/models/gru4rec.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read it when they are used.
std::vector<engine::ForeignForm> gru4rec_forms(const nn::Gru4RecOptions& options);

}  // namespace capstan::formats
