#pragma once
// Resizing with antialiasing, as the Python Imaging Library does it, to the bit: separable filters whose support grows with the
// shrinking factor, coefficients of 22 binary digits, rows first, rounded to bytes between the passes.
//
// A target pixel i is centred at (i + 1/2) in/out of the source; its weights are the filter at the distances divided by
// max(1, in/out), cut at the border and normalised to 1.

#include <cstdint>

#include "data/image/image.h"

namespace capstan::data {

enum class Filter : std::uint8_t {
  box,       ///< support 1/2: the mean when shrinking, nearest when growing
  bilinear,  ///< support 1
  bicubic,   ///< support 2, a = -1/2
};

Image resize(const ImageView& image, std::int64_t height, std::int64_t width, Filter filter = Filter::bilinear);
/// The shorter side becomes `side`; the longer one keeps the ratio, rounded down.
Image resize_shorter_side(const ImageView& image, std::int64_t side, Filter filter = Filter::bilinear);

}  // namespace capstan::data
