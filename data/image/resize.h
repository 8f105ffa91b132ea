#pragma once
// Resizing with antialiasing, as the Python Imaging Library does it, to the bit: separable filters whose support grows with the
// shrinking factor, coefficients of 22 binary digits, rows first, rounded to bytes between the passes.
//
// A target pixel i is centred at (i + 1/2) in/out of the source; its weights are the filter at the distances divided by
// max(1, in/out), cut at the border and normalised to 1.

#include <cstdint>
#include <utility>

#include "data/image/image.h"

namespace capstan::data {

enum class Filter : std::uint8_t {
  box,       ///< support 1/2: the mean when shrinking, nearest when growing
  bilinear,  ///< support 1
  bicubic,   ///< support 2, a = -1/2
};

Image resize(const ImageView& image, std::int64_t height, std::int64_t width, Filter filter = Filter::bilinear);
/// A part of what resize(image, height, width) gives, to the bit. Time and memory are those of the part, however large the whole would be.
Image resize_part(const ImageView& image, std::int64_t height, std::int64_t width, const Rectangle& part, Filter filter = Filter::bilinear);
/// Height and width if the shorter side becomes `side`; the longer one keeps the ratio, rounded down.
std::pair<std::int64_t, std::int64_t> shorter_side_size(const ImageView& image, std::int64_t side);
Image resize_shorter_side(const ImageView& image, std::int64_t side, Filter filter = Filter::bilinear);

}  // namespace capstan::data
