#include "data/detection/augment.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "autograd/core/error.h"
#include "data/image/transforms.h"

namespace capstan::data {
namespace {

std::vector<AnnotatedBox> scaled(std::span<const AnnotatedBox> boxes, double across, double down) {
  std::vector<AnnotatedBox> all(boxes.begin(), boxes.end());
  for (AnnotatedBox& b : all) {
    b.box = {b.box.x * across, b.box.y * down, b.box.width * across, b.box.height * down};
    b.area *= across * down;
  }
  return all;
}

/// In the part; clipped, without what is empty.
std::vector<AnnotatedBox> moved_into(std::span<const AnnotatedBox> boxes, const Rectangle& part) {
  std::vector<AnnotatedBox> all;
  for (AnnotatedBox b : boxes) {
    b.box.x -= static_cast<double>(part.left);
    b.box.y -= static_cast<double>(part.top);
    b.box = clipped(b.box, static_cast<double>(part.width), static_cast<double>(part.height));
    b.area = b.box.area();
    if (b.area > 0) all.push_back(b);
  }
  return all;
}

std::int64_t one_of(const std::vector<std::int64_t>& values, Rng& rng) { return values[rng.below(values.size())]; }

/// What is done to an image.
struct Draw {
  struct Crop {
    std::int64_t height, width;  // of the image first
    Rectangle part;
  };
  bool flips;
  std::optional<Crop> crop;
  std::int64_t height, width;  // in the end
};

Draw draw(std::int64_t height, std::int64_t width, const BoxAugmentation& options, std::uint64_t key) {
  Rng rng(key);
  Draw out{};
  out.flips = rng.uniform() < options.flip;
  if (rng.uniform() < options.crop) {
    const auto [whole_height, whole_width] = shorter_side_size(height, width, one_of(options.crop_sides, rng), 0);
    const Rectangle part = random_part(whole_height, whole_width, options.crop_least, options.crop_most, rng);
    out.crop = {whole_height, whole_width, part};
    height = part.height, width = part.width;
  }
  std::tie(out.height, out.width) = shorter_side_size(height, width, one_of(options.sides, rng), options.longest);
  return out;
}

}  // namespace

std::vector<AnnotatedBox> boxes_to_learn(std::span<const AnnotatedBox> boxes, std::int64_t height, std::int64_t width) {
  std::vector<AnnotatedBox> all;
  for (AnnotatedBox b : boxes) {
    b.box = clipped(b.box, static_cast<double>(width), static_cast<double>(height));
    if (!b.crowd && b.box.area() > 0) all.push_back(b);
  }
  return all;
}

void flip_horizontal(BoxedImage& boxed) {
  flip_horizontal(boxed.image);
  for (AnnotatedBox& b : boxed.boxes) b.box.x = static_cast<double>(boxed.image.width) - b.box.x - b.box.width;
}

std::pair<std::int64_t, std::int64_t> shorter_side_size(std::int64_t height, std::int64_t width, std::int64_t side, std::int64_t longest) {
  const auto shorter = static_cast<double>(std::min(height, width)), longer = static_cast<double>(std::max(height, width));
  if (longest > 0 && longer / shorter * static_cast<double>(side) > static_cast<double>(longest))
    side = std::max<std::int64_t>(1, std::llrint(static_cast<double>(longest) * shorter / longer));
  const std::int64_t other = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * longer / shorter));
  return width < height ? std::pair(other, side) : std::pair(side, other);
}

BoxedImage resized(const ImageView& image, std::span<const AnnotatedBox> boxes, std::int64_t height, std::int64_t width, Filter filter) {
  const double across = static_cast<double>(width) / static_cast<double>(image.width),
               down = static_cast<double>(height) / static_cast<double>(image.height);
  return {.image = resize(image, height, width, filter), .boxes = scaled(boxes, across, down)};
}

BoxedImage cropped(const ImageView& image, std::span<const AnnotatedBox> boxes, const Rectangle& part) {
  return {.image = copy_of(image.part(part.top, part.left, part.height, part.width)), .boxes = moved_into(boxes, part)};
}

Rectangle random_part(std::int64_t height, std::int64_t width, std::int64_t smallest, std::int64_t largest, Rng& rng) {
  const auto drawn = [&](std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
  };
  Rectangle part;
  part.width = drawn(std::min(smallest, width), std::min(largest, width));
  part.height = drawn(std::min(smallest, height), std::min(largest, height));
  part.top = drawn(0, height - part.height);
  part.left = drawn(0, width - part.width);
  return part;
}

void BoxAugmentation::check() const {
  const auto sound = [](const std::vector<std::int64_t>& all) {
    return !all.empty() && std::ranges::all_of(all, [](std::int64_t side) { return side > 0; });
  };
  require<ConfigError>(sound(sides) && (crop == 0 || sound(crop_sides)),
                       "augmentation of boxes: needs at least one side, and sides above 0");
  require<ConfigError>(crop_least > 0 && crop_least <= crop_most,
                       "augmentation of boxes: the parts cut out need sides of 1 <= least <= most: ", crop_least, ", ", crop_most);
  require<ConfigError>(flip >= 0 && flip <= 1 && crop >= 0 && crop <= 1, "augmentation of boxes: probabilities lie in 0 .. 1: flip ", flip,
                       ", crop ", crop);
}

std::pair<std::int64_t, std::int64_t> training_size(std::int64_t height, std::int64_t width, const BoxAugmentation& options,
                                                    std::uint64_t key) {
  const Draw drawn = draw(height, width, options, key);
  return {drawn.height, drawn.width};
}

BoxedImage for_training(const ImageView& image, std::span<const AnnotatedBox> boxes, const BoxAugmentation& options, std::uint64_t key) {
  const Draw drawn = draw(image.height, image.width, options, key);
  BoxedImage out;
  if (drawn.crop) {
    const auto& [height, width, part] = *drawn.crop;
    const double across = static_cast<double>(width) / static_cast<double>(image.width),
                 down = static_cast<double>(height) / static_cast<double>(image.height);
    out = resized(resize_part(image, height, width, part, options.filter), moved_into(scaled(boxes, across, down), part), drawn.height,
                  drawn.width, options.filter);
  } else {
    out = resized(image, boxes, drawn.height, drawn.width, options.filter);
  }
  if (drawn.flips) flip_horizontal(out);
  return out;
}

}  // namespace capstan::data
