#include "recipes/tasks/detection/findings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/image/contact_sheet.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/tasks/detection/curves.h"
#include "recipes/tasks/detection/frames.h"

namespace capstan::detection {
namespace {

constexpr std::int64_t kImages = 6, kListedClasses = 80;
constexpr std::int64_t kLeastSide = 160, kMostSide = 400;

struct ShownBox {
  data::Box box;
  std::int64_t label = 0;
};

/// The image at this size with boxes of its own pixels.
data::Image with_frames(data::Image page, const data::Image& image, const std::vector<ShownBox>& boxes) {
  const double down = static_cast<double>(page.height) / static_cast<double>(image.height),
               across = static_cast<double>(page.width) / static_cast<double>(image.width);
  for (const ShownBox& b : boxes)
    draw_frame(page, {.x = b.box.x * across, .y = b.box.y * down, .width = b.box.width * across, .height = b.box.height * down},
               class_colour(b.label).rgb);
  return page;
}

/// "2 cat (orange), 1 dog (blue)"
std::string counted_classes(const std::vector<ShownBox>& boxes, const std::vector<std::string>& names) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const ShownBox& b : boxes) ++counts[b.label];
  std::string out;
  for (const auto& [label, count] : counts)
    out += join_text(out.empty() ? "" : ", ", count, " ", names[data::at(label)], " (", class_colour(label).name, ")");
  return out.empty() ? "none" : out;
}

}  // namespace

std::vector<engine::Finding> findings_of(const CocoMetric::Result& result, std::span<const std::string> names) {
  engine::FindingCurves curves{.x_title = "recall", .y_title = "precision", .curves = {}};
  for (const data::Curve& c : precision_curves(result, names)) {
    curves.curves.push_back({.name = c.name, .points = {}});
    for (std::size_t i = 0; i < c.x.size(); ++i) curves.curves.back().points.emplace_back(c.x[i], c.y[i]);
  }
  if (curves.curves.empty()) return {};
  std::vector<std::int64_t> classes;
  for (std::int64_t c = 0; c < result.categories(); ++c)
    if (result.truths(c) > 0 || result.detections(c) > 0) classes.push_back(c);
  const auto all = std::ssize(classes);
  if (all > kListedClasses) {
    std::ranges::stable_sort(classes, std::ranges::greater{}, [&](std::int64_t c) { return result.truths(c); });
    classes.resize(data::at(kListedClasses));
  }
  const auto shown = [](double v) { return v < 0 ? std::string("-") : engine::decimals(v, 3); };
  constexpr std::int64_t kHalf = 0, kThreeQuarters = 5;
  engine::FindingTable table{.columns = {"class", "true boxes", "found boxes", "AP", "AP50", "AP75", "recall"}, .rows = {}};
  for (const std::int64_t c : classes)
    table.rows.push_back({names[data::at(c)], join_text(result.truths(c)), join_text(result.detections(c)), shown(result.ap(c)),
                          shown(result.ap_at(kHalf, c)), shown(result.ap_at(kThreeQuarters, c)), shown(result.ar(c))});
  return {
      {.title = "Precision and recall",
       .text = "COCO's interpolated precision at each recall: the mean of the classes at an overlap (IoU) of .5, of .75 and over the ten "
               "from .5 to .95, then the classes with most boxes at .5. Numbers are average precisions.",
       .shown = std::move(curves)},
      {.title = "Class by class",
       .text = join_text("Average precision over all ten overlaps, at .5 and at .75, and the recall with up to 100 boxes an image",
                         all > kListedClasses ? join_text(", of the ", kListedClasses, " classes with most boxes of ", all) : "", "."),
       .shown = std::move(table)}};
}

engine::Finding boxes_finding(const Dataset& data, engine::Split part, const FoundBoxes& found, double threshold) {
  const std::vector<std::string>& names = data.class_names();
  engine::FindingPictures shown;
  for (const std::int64_t index : engine::spread_places(data.size(part), kImages)) {
    const Example example = data.read(part, index);
    std::vector<ShownBox> wanted, given;
    for (const data::AnnotatedBox& b : example.boxes) wanted.push_back({b.box, b.category});
    for (const data::DetectedBox& b : found(index))
      if (b.score >= threshold) given.push_back({b.box, b.category});
    const data::Image page = data::with_channels(engine::page_picture(example.image, kLeastSide, kMostSide), 3);
    data::ContactSheet sheet(1, 2, {.height = page.height, .width = page.width});
    sheet.place(0, 0, with_frames(page, example.image, wanted));
    sheet.place(0, 1, with_frames(page, example.image, given));
    shown.pictures.push_back({.caption = join_text("true: ", counted_classes(wanted, names), "; found: ", counted_classes(given, names)),
                              .image = sheet.page()});
  }
  return {.title = "Boxes",
          .text = join_text(
              "Images at equal distances in the split: on the left the true boxes, on the right those that are found with a score "
              "of at least ",
              engine::decimals(threshold, 2), " (predict.threshold). A class has one colour."),
          .shown = std::move(shown)};
}

}  // namespace capstan::detection
