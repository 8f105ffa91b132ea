#pragma once
// Frames of boxes in the pixels of an image, each class in a colour, for pictures of many images.

#include <array>
#include <cstdint>
#include <string_view>

#include "data/detection/box.h"
#include "data/image/image.h"

namespace capstan::detection {

struct FrameColour {
  std::string_view name;
  std::array<std::uint8_t, 3> rgb;
};
/// Of a class; there are six.
const FrameColour& class_colour(std::int64_t label);

/// Draws a frame of two pixels into an image of colours.
void draw_frame(data::Image& image, const data::Box& box, const std::array<std::uint8_t, 3>& rgb);

}  // namespace capstan::detection
