#pragma once
// What every preprocessor_config.json of Hugging Face transformers says, whatever the images are for: how pixels are normalised and which
// filter resizes them.

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/resize.h"
#include "data/json.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

/// data.mean, data.deviation and evaluate.filter, as far as the file says them.
void set_pixels(const data::Json& processor, Settings& out);

/// The number of a filter, as the Python Imaging Library counts them.
std::string resample_text(data::Filter filter);
/// That pixels are brought to 0 .. 1, then less the mean and through the deviation.
JsonMembers normalization_members(const std::vector<double>& mean, const std::vector<double>& deviation, std::int64_t channels);

}  // namespace capstan::formats
