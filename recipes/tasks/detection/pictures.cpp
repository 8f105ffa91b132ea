#include "recipes/tasks/detection/pictures.h"

#include "autograd/core/error.h"
#include "data/figure.h"
#include "data/image/heat_map.h"

namespace capstan::detection {
namespace {

data::FramedBox framed(const DrawnBox& b) {
  return {.x = b.box.x, .y = b.box.y, .width = b.box.width, .height = b.box.height, .label = b.label, .colour = b.category};
}

}  // namespace

std::string boxes_svg(const data::Image& image, std::span<const DrawnBox> boxes) {
  data::ImagePanel panel{.image = image, .boxes = {}, .caption = boxes.empty() ? "nothing found" : ""};
  for (const DrawnBox& b : boxes) panel.boxes.push_back(framed(b));
  return data::svg_of(data::ImageFigure{.panels = {panel}});
}

std::string attention_svg(const data::Image& image, std::span<const DrawnAttention> drawn) {
  data::ImageFigure figure{.panels = {}, .columns = 2};
  for (const DrawnAttention& a : drawn) {
    const data::Image mask = data::mask_of(a.weights, a.rows, a.columns, image.height, image.width);
    data::FramedBox plain = framed(a.box);
    plain.label.clear();
    figure.panels.push_back({.image = image, .boxes = {framed(a.box)}, .caption = ""});
    figure.panels.push_back({.image = data::heat_map(image, mask), .boxes = {plain}, .caption = "where it looked"});
  }
  return data::svg_of(figure);
}

}  // namespace capstan::detection
