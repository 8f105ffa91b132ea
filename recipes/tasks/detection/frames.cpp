#include "recipes/tasks/detection/frames.h"

#include <algorithm>
#include <cmath>

#include "data/at.h"

namespace capstan::detection {
namespace {

constexpr std::array<FrameColour, 6> kColours{{{"orange", {240, 80, 40}},
                                               {"blue", {40, 140, 240}},
                                               {"green", {70, 200, 90}},
                                               {"yellow", {240, 200, 40}},
                                               {"purple", {200, 90, 220}},
                                               {"turquoise", {60, 210, 210}}}};

}  // namespace

const FrameColour& class_colour(std::int64_t label) { return kColours[data::at(label) % kColours.size()]; }

void draw_frame(data::Image& image, const data::Box& box, const std::array<std::uint8_t, 3>& rgb) {
  const auto at_most = [](double v, std::int64_t size) { return std::clamp<std::int64_t>(std::llround(v), 0, size - 1); };
  const std::int64_t left = at_most(box.x, image.width), right = at_most(box.x + box.width - 1, image.width),
                     top = at_most(box.y, image.height), bottom = at_most(box.y + box.height - 1, image.height);
  constexpr std::int64_t kThick = 2;
  for (std::int64_t y = top; y <= bottom; ++y)
    for (std::int64_t x = left; x <= right; ++x) {
      if (std::min({x - left, right - x, y - top, bottom - y}) >= kThick) continue;
      for (std::int64_t c = 0; c < 3; ++c) image.at(y, x, c) = rgb[data::at(c)];
    }
}

}  // namespace capstan::detection
