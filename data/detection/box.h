#pragma once
// Boxes and how much two of them have in common, in f64. Plain functions; the differentiable loss is autograd/ops/box_loss.h.
//
// Three forms: Box (left, top, width, height; in pixels, as annotations have it), Corners (x1, y1, x2, y2) and Centre (cx, cy, w, h; in
// DETR as shares of the image). A pixel is an area of 1: the box of pixels 0 .. 9 is 10 wide, with no +1 anywhere.

#include <algorithm>

namespace capstan::data {

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double area() const { return width * height; }
  bool operator==(const Box&) const = default;
};

struct Corners {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double area() const { return (x2 - x1) * (y2 - y1); }
  bool operator==(const Corners&) const = default;
};

struct Centre {
  double cx = 0, cy = 0, width = 0, height = 0;
  bool operator==(const Centre&) const = default;
};

inline Corners corners_of(const Box& b) { return {b.x, b.y, b.x + b.width, b.y + b.height}; }
inline Corners corners_of(const Centre& b) {
  return {b.cx - 0.5 * b.width, b.cy - 0.5 * b.height, b.cx + 0.5 * b.width, b.cy + 0.5 * b.height};
}
inline Box box_of(const Corners& c) { return {c.x1, c.y1, c.x2 - c.x1, c.y2 - c.y1}; }
/// In shares of an image of this size.
inline Centre centre_of(const Box& b, double image_width, double image_height) {
  return {(b.x + 0.5 * b.width) / image_width, (b.y + 0.5 * b.height) / image_height, b.width / image_width, b.height / image_height};
}
/// From shares of an image to its pixels.
inline Box box_of(const Centre& c, double image_width, double image_height) {
  return {(c.cx - 0.5 * c.width) * image_width, (c.cy - 0.5 * c.height) * image_height, c.width * image_width, c.height * image_height};
}

/// The part of a box inside an image of this size; of width or height 0 if there is none.
inline Box clipped(const Box& b, double image_width, double image_height) {
  const double left = std::clamp(b.x, 0.0, image_width), right = std::clamp(b.x + b.width, 0.0, image_width);
  const double top = std::clamp(b.y, 0.0, image_height), bottom = std::clamp(b.y + b.height, 0.0, image_height);
  return {left, top, std::max(0.0, right - left), std::max(0.0, bottom - top)};
}

/// Area of what two boxes have in common.
inline double intersection(const Corners& a, const Corners& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}
/// Intersection over union, 0 .. 1; 0 if both boxes are empty.
inline double iou(const Corners& a, const Corners& b) {
  const double common = intersection(a, b), all = a.area() + b.area() - common;
  return all > 0 ? common / all : 0;
}
/// IoU - (C - U) / C with the union U and the smallest box C around both (Rezatofighi et al. 2019), -1 .. 1; for C = 0, two points at one
/// place, 0.
inline double generalized_iou(const Corners& a, const Corners& b) {
  const double common = intersection(a, b), all = a.area() + b.area() - common;
  const double around = (std::max(a.x2, b.x2) - std::min(a.x1, b.x1)) * (std::max(a.y2, b.y2) - std::min(a.y1, b.y1));
  if (!(around > 0)) return 0;
  return (all > 0 ? common / all : 0) - (around - all) / around;
}

}  // namespace capstan::data
