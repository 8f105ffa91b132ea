#include "recipes/tasks/detection/score_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/detection/coco.h"
#include "recipes/engine/terminal/terminal.h"
#include "recipes/tasks/detection/curves.h"

namespace capstan::detection {

engine::FileScores score_files(const std::string& detections, const std::string& annotations) {
  const data::AnnotatedImages truth = data::read_coco(annotations, {.pictures = {}, .checks = data::BoxChecks::for_scores});
  const std::vector<std::vector<data::DetectedBox>> found = data::read_coco_results(detections, truth);
  CocoMetric metric(std::ssize(truth.categories));
  std::int64_t count = 0, answered = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    metric.add(truth.images[i].id, truth.images[i].boxes, found[i]);
    count += std::ssize(found[i]);
    answered += found[i].empty() ? 0 : 1;
  }
  const CocoMetric::Result result = metric.result();
  engine::FileScores scores{.metrics = result.numbers(),
                            .report = {},
                            .details = category_table(result, truth.category_names()),
                            .curves = curves_svg(result, truth.category_names())};
  truth.describe("annotations", scores.report);
  scores.report.fact("detections",
                     join_text(detections, ": ", data::grouped(count), " boxes in ", data::grouped(answered), " of the images"));
  return scores;
}

std::string category_table(const CocoMetric::Result& result, std::span<const std::string> names) {
  using Row = std::vector<std::string>;
  std::vector<Row> rows{{"category", "boxes", "found", "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar@100"}};
  const auto shown = [](double v) { return v < 0 ? std::string("-") : engine::short_number(v); };
  constexpr std::int64_t kAt50 = 0, kAt75 = 5;
  for (std::int64_t c = 0; c < result.categories(); ++c)
    rows.push_back({names[static_cast<std::size_t>(c)], std::to_string(result.truths(c)), std::to_string(result.detections(c)),
                    shown(result.ap(c)), shown(result.ap_at(kAt50, c)), shown(result.ap_at(kAt75, c)),
                    shown(result.ap(c, AreaRange::small)), shown(result.ap(c, AreaRange::medium)), shown(result.ap(c, AreaRange::large)),
                    shown(result.ar(c))});
  std::vector<std::size_t> widths(rows[0].size());
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], engine::width_of(row[i]));
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "  ") + engine::padded(row[i], widths[i], /*right=*/i > 0);
    text += "\n";
  }
  return text;
}

}  // namespace capstan::detection
