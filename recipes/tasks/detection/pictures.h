#pragma once
// Pictures of what was found in an image, as SVG files with the image inside (data/figure.h says why SVG).
//
//     boxes      the image, each detection as a frame in the colour of its class with its name and score
//     attention  a row a detection: the image with its box, and in colours over the grey image where the model looked for it

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/detection/box.h"
#include "data/image/image.h"

namespace capstan::detection {

struct DrawnBox {
  data::Box box;  ///< pixels of the image
  std::string label;
  std::int64_t category = 0;  ///< its colour
};

std::string boxes_svg(const data::Image& image, std::span<const DrawnBox> boxes);

struct DrawnAttention {
  DrawnBox box;
  std::vector<float> weights;  ///< [rows, columns] over the image, none negative
  std::int64_t rows = 0, columns = 0;
};
/// Throws DataError if weights and grid do not fit, a weight is negative, or nothing is drawn. Large images are shrunk.
std::string attention_svg(const data::Image& image, std::span<const DrawnAttention> drawn);

}  // namespace capstan::detection
