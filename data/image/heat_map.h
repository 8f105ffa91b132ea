#pragma once
// Weights of a grid over an image, for pictures of attention: a grey mask, smooth between the centres of places, and its colours.

#include <cstdint>
#include <span>

#include "data/image/image.h"

namespace capstan::data {

/// Weights [rows, columns], row by row, as a grey image of height x width: the largest of them is white. Throws DataError if sizes do not
/// fit or a weight is negative or not finite.
Image mask_of(std::span<const float> weights, std::int64_t rows, std::int64_t columns, std::int64_t height, std::int64_t width);
/// An image as bright as a mask of its size.
Image masked(const Image& image, const Image& mask);
/// A mask in colours, from dark blue to light yellow, over the grey image.
Image heat_map(const Image& image, const Image& mask);

}  // namespace capstan::data
