#include "data/detection/annotations.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

constexpr std::size_t kNamed = 3;  // places of a fault that a report names

bool is_kept(BoxFault fault, BoxChecks checks) {
  return checks == BoxChecks::for_scores && (fault == BoxFault::empty || fault == BoxFault::outside);
}

}  // namespace

std::string_view to_text(BoxFault fault) {
  switch (fault) {
    case BoxFault::not_finite: return "with coordinates that are not finite numbers";
    case BoxFault::empty: return "of no width or height";
    case BoxFault::outside: return "outside their image";
    case BoxFault::unknown_category: return "of an unknown category";
    case BoxFault::unknown_image: return "of an unknown image";
  }
  throw InternalError("annotations: an unknown fault");
}

std::optional<BoxFault> fault_of(const Box& box, std::int64_t width, std::int64_t height) {
  if (!std::isfinite(box.x) || !std::isfinite(box.y) || !std::isfinite(box.width) || !std::isfinite(box.height))
    return BoxFault::not_finite;
  if (!(box.width > 0) || !(box.height > 0)) return BoxFault::empty;
  const bool known = width > 0 && height > 0;
  if (known && !(clipped(box, static_cast<double>(width), static_cast<double>(height)).area() > 0)) return BoxFault::outside;
  return std::nullopt;
}

void BoxChecker::add(AnnotatedImage& image, const AnnotatedBox& box, const std::string& where) {
  if (box.category < 0) return note(BoxFault::unknown_category, where);
  if (const auto fault = fault_of(box.box, image.width, image.height)) {
    note(*fault, where);
    if (!is_kept(*fault, all_.checks)) return;
  }
  image.boxes.push_back(box);
}

std::int64_t AnnotatedImages::boxes() const {
  std::int64_t count = 0;
  for (const AnnotatedImage& i : images) count += std::ssize(i.boxes);
  return count;
}

std::int64_t AnnotatedImages::crowds() const {
  std::int64_t count = 0;
  for (const AnnotatedImage& i : images) count += std::ranges::count(i.boxes, true, &AnnotatedBox::crowd);
  return count;
}

std::int64_t AnnotatedImages::without_boxes() const {
  return std::ranges::count_if(images, [](const AnnotatedImage& i) { return i.boxes.empty(); });
}

std::int64_t AnnotatedImages::over_the_border() const {
  constexpr double kRounding = 1e-6;  // of coordinates that are shares of the image
  std::int64_t count = 0;
  for (const AnnotatedImage& i : images) {
    if (i.width <= 0 || i.height <= 0) continue;
    const double right = static_cast<double>(i.width) * (1 + kRounding), bottom = static_cast<double>(i.height) * (1 + kRounding);
    count += std::ranges::count_if(i.boxes, [&](const AnnotatedBox& b) {
      const Corners c = corners_of(b.box);
      return c.x1 < right * -kRounding || c.y1 < bottom * -kRounding || c.x2 > right || c.y2 > bottom;
    });
  }
  return count;
}

std::vector<std::string> AnnotatedImages::category_names() const {
  std::vector<std::string> names;
  for (const BoxCategory& c : categories) names.push_back(c.name);
  return names;
}

std::int64_t AnnotatedImages::classes_by_id() const {
  std::int64_t largest = -1;
  for (const BoxCategory& c : categories) largest = std::max(largest, c.id);
  return largest + 1;
}

void AnnotatedImages::describe(std::string part, DataReport& report) const {
  std::string text = join_text(source, ": ", grouped(std::ssize(images)), " images");
  if (const std::int64_t n = without_boxes(); n > 0) text += join_text(" (", grouped(n), " with nothing in them)");
  text += join_text(", ", grouped(boxes()), " boxes of ", categories.size(), " categories");
  if (const std::int64_t n = crowds(); n > 0) text += join_text(" (", grouped(n), " of crowds)");
  if (const std::int64_t n = over_the_border(); n > 0) text += join_text("; ", grouped(n), " boxes reach over the border of their image");
  report.fact(std::move(part), std::move(text));
  std::map<BoxFault, std::vector<const BrokenBox*>> by_fault;
  for (const BrokenBox& b : broken) by_fault[b.fault].push_back(&b);
  for (const auto& [fault, met] : by_fault) {
    std::string line = join_text(source, ": ", grouped(std::ssize(met)), " boxes ", to_text(fault),
                                 is_kept(fault, checks) ? " count as boxes to be found, as in pycocotools: " : " are left out: ");
    for (std::size_t i = 0; i < std::min(kNamed, met.size()); ++i) line += join_text(i == 0 ? "" : ", ", met[i]->where);
    report.warn(line + (met.size() > kNamed ? ", ..." : ""));
  }
  for (const std::string& w : warnings) report.warn(w);
}

}  // namespace capstan::data
