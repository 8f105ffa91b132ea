#pragma once
// Codecs: the two decoders behind image.h. For image.cpp alone; everybody else calls decode_image.

#include <cstddef>
#include <span>
#include <string_view>

#include "data/image/image.h"

namespace capstan::data::detail {

extern const bool kHasJpeg, kHasPng;
Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits);
Image decode_png(std::span<const std::byte> bytes, std::string_view name, const ImageLimits& limits);

/// Throws DataError naming `name` if an image of this size must not be decoded.
void check_size(std::int64_t height, std::int64_t width, std::string_view name, const ImageLimits& limits);

}  // namespace capstan::data::detail
