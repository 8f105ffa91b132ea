#pragma once
// LabelledImages: a data set of images of one size, all in memory, with a class each.

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace capstan::data {

struct LabelledImages {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;      ///< [size, height, width, channels]
  std::vector<std::int64_t> labels;      ///< [size], 0 .. classes - 1
  std::vector<std::string> class_names;  ///< [classes]; "0", "1", ... where the files name none

  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t image_bytes() const { return height * width * channels; }
  ImageView image(std::int64_t index) const {
    ImageView v;
    v.height = height, v.width = width, v.channels = channels, v.stride = width * channels;
    v.pixels = pixels.data() + index * image_bytes();
    return v;
  }
};

/// The content of a plain or gzip file, at most `max_bytes` of it. Throws IoError, or DataError if it is damaged or larger.
std::vector<std::uint8_t> read_inflated(const std::string& path, std::int64_t max_bytes = std::int64_t{1} << 34);

/// The first of folder/<name> and folder/<name>.gz that exists, over all names in order; empty if none does.
std::string find_plain_or_gzip(const std::string& folder, const std::vector<std::string>& names);

/// "0", "1", ..., one for each class.
std::vector<std::string> numbered_classes(std::int64_t count);

}  // namespace capstan::data
