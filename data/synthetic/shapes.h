#pragma once
// A synthetic source of images: bright coloured shapes on dark textured backgrounds, with their classes and boxes. Class = shape; colour,
// size, place, turn and background are drawn without regard to it, so that nothing but the form tells the class. An image is a function of
// (seed, index): there are as many as one asks for.

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace capstan::data {

struct ShapesOptions {
  std::int64_t size = 32;                     ///< height and width, at least 16
  std::int64_t classes = 6;                   ///< the first of ShapeImages::names(), 2 .. 6
  std::int64_t max_objects = 1;               ///< 1 .. max_objects shapes an image, which overlap a little at most
  double min_extent = 0.5, max_extent = 0.8;  ///< side of a shape's box, as a share of the image's
  double noise = 8;                           ///< standard deviation of the pixel noise, in steps of 0 .. 255
  std::uint64_t seed = 1;
};

struct ShapeObject {
  std::int64_t label = 0;
  double left = 0, top = 0, right = 0, bottom = 0;  ///< the box around what was drawn, in pixels
};

struct ShapeImage {
  Image image;  ///< RGB
  std::vector<ShapeObject> objects;
};

class ShapeImages {
 public:
  /// Throws ConfigError for options outside their ranges.
  explicit ShapeImages(const ShapesOptions& options);

  /// The image of an index >= 0. With one object classes follow each other, so any run of `classes` indices holds each once.
  ShapeImage get(std::int64_t index) const;
  /// Those of indices first .. first + count - 1, drawn on all processors.
  std::vector<ShapeImage> get(std::int64_t first, std::int64_t count) const;
  /// Names of the classes.
  std::vector<std::string> names() const;
  const ShapesOptions& options() const { return options_; }

 private:
  ShapesOptions options_;
};

}  // namespace capstan::data
