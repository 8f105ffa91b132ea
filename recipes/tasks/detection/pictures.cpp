#include "recipes/tasks/detection/pictures.h"

#include <algorithm>
#include <cmath>

#include "data/figure.h"
#include "data/image/heat_map.h"
#include "data/image/resize.h"

namespace capstan::detection {
namespace {

/// An image for a drawing: no side is longer than `most`. The factor is what its boxes shrink by.
struct Shown {
  data::Image image;
  double factor = 1;

  Shown(const data::Image& full, std::int64_t most) {
    factor = std::min(1.0, static_cast<double>(most) / static_cast<double>(std::max(full.height, full.width)));
    const auto shrunk = [&](std::int64_t size) { return std::max<std::int64_t>(1, std::llround(factor * static_cast<double>(size))); };
    image = factor < 1 ? data::resize(full, shrunk(full.height), shrunk(full.width)) : full;
  }
  data::FramedBox framed(const DrawnBox& b) const {
    return {.x = factor * b.box.x,
            .y = factor * b.box.y,
            .width = factor * b.box.width,
            .height = factor * b.box.height,
            .label = b.label,
            .colour = b.category};
  }
};
constexpr std::int64_t kMostOfBoxes = 1280, kMostOfAttention = 480;  // pixels

}  // namespace

std::string boxes_svg(const data::Image& image, std::span<const DrawnBox> boxes) {
  const Shown shown(image, kMostOfBoxes);
  data::ImagePanel panel{.image = shown.image, .boxes = {}, .caption = boxes.empty() ? "nothing found" : ""};
  for (const DrawnBox& b : boxes) panel.boxes.push_back(shown.framed(b));
  return data::svg_of(data::ImageFigure{.panels = {panel}});
}

std::string attention_svg(const data::Image& image, std::span<const DrawnAttention> drawn) {
  const Shown shown(image, kMostOfAttention);
  data::ImageFigure figure{.panels = {}, .columns = 2};
  for (const DrawnAttention& a : drawn) {
    const data::Image mask = data::mask_of(a.weights, a.rows, a.columns, shown.image.height, shown.image.width);
    data::FramedBox plain = shown.framed(a.box);
    plain.label.clear();
    figure.panels.push_back({.image = shown.image, .boxes = {shown.framed(a.box)}, .caption = ""});
    figure.panels.push_back({.image = data::heat_map(shown.image, mask), .boxes = {plain}, .caption = "where it looked"});
  }
  return data::svg_of(figure);
}

}  // namespace capstan::detection
