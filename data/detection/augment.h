#pragma once
// Images with their boxes on the way into a detector: flip, resize, crop, as DETR trains (Carion et al. 2020; its transforms.py). Boxes go
// with their pixels; crops clip them and drop what is left without width or height. Not here: floats (normalize of image/transforms.h) and
// the padding of a batch.
//
// A training image is a function of image, boxes and a key; make the key of (seed, epoch, index).

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/rng.h"
#include "data/detection/annotations.h"
#include "data/image/image.h"
#include "data/image/resize.h"

namespace capstan::data {

struct BoxedImage {
  Image image;
  std::vector<AnnotatedBox> boxes;  ///< pixels of `image`, their areas too
};

/// Clipped to an image of this size; without those that are empty then, and without crowds.
std::vector<AnnotatedBox> boxes_to_learn(std::span<const AnnotatedBox> boxes, std::int64_t height, std::int64_t width);

void flip_horizontal(BoxedImage& boxed);

/// Height and width if the shorter side becomes `side`, and less if the longer one would exceed `longest` (0: no limit). The longer side is
/// rounded down, a side that the limit makes shorter to the nearest whole number, halves to even.
std::pair<std::int64_t, std::int64_t> shorter_side_size(std::int64_t height, std::int64_t width, std::int64_t side, std::int64_t longest);

BoxedImage resized(const ImageView& image, std::span<const AnnotatedBox> boxes, std::int64_t height, std::int64_t width,
                   Filter filter = Filter::bilinear);
/// A part of it. Areas become those of the boxes.
BoxedImage cropped(const ImageView& image, std::span<const AnnotatedBox> boxes, const Rectangle& part);

/// Height and width each drawn evenly from smallest .. largest, as far as the image reaches, then the place.
Rectangle random_part(std::int64_t height, std::int64_t width, std::int64_t smallest, std::int64_t largest, Rng& rng);

struct BoxAugmentation {
  double flip = 0.5;
  /// One of these becomes the shorter side, with no side above `longest`.
  std::vector<std::int64_t> sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  std::int64_t longest = 1333;
  /// Before it with this probability: one of `crop_sides` becomes the shorter side, then a part with sides of crop_least .. crop_most.
  double crop = 0.5;
  std::vector<std::int64_t> crop_sides{400, 500, 600};
  std::int64_t crop_least = 384, crop_most = 600;
  Filter filter = Filter::bilinear;
  /// Throws ConfigError for sides below 1, no side at all, crop_least > crop_most, probabilities outside 0 .. 1.
  void check() const;
};

/// Height and width of what for_training makes of an image of this size.
std::pair<std::int64_t, std::int64_t> training_size(std::int64_t height, std::int64_t width, const BoxAugmentation& options,
                                                    std::uint64_t key);
/// `boxes`: boxes_to_learn() of the image.
BoxedImage for_training(const ImageView& image, std::span<const AnnotatedBox> boxes, const BoxAugmentation& options, std::uint64_t key);

}  // namespace capstan::data
