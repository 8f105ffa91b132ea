#include "recipes/engine/report/run_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/engine/report/chart.h"

namespace capstan::engine {
namespace {

constexpr std::size_t kFirstMetrics = 6;  // of a validation that are drawn before a reader asks for more
constexpr std::size_t kRunsWithRaw = 3;   // up to so many runs show their losses behind the smoothed ones
constexpr std::size_t kRowsToSmooth = 40;
constexpr std::array<std::string_view, 8> kTrainColumns{"step",          "epoch",       "loss",        "lr",
                                                        "gradient_norm", "items_per_s", "loader_wait", "error"};

/// The more rows, the longer the average: about a hundredth and a half of them. Few are smooth enough, and it would only lag behind.
double smoothing_for(std::size_t rows) {
  constexpr double kShortest = 2.5, kShare = 150;
  return rows < kRowsToSmooth ? 0 : 1 - 1 / std::max(kShortest, static_cast<double>(rows) / kShare);
}

struct ColumnChart {
  std::string note = {};
  bool from_zero = false, smooth = false;
  double factor = 1;
};
/// A column of the rows of training; smoothed, with what was smoothed in the background.
std::string column_chart(const ComparedRuns& compared, std::optional<double> smoothing, FigureIds& ids, const std::string& title,
                         const std::string& column, const ColumnChart& how) {
  Chart chart{.title = title, .note = how.note, .from_zero = how.from_zero};
  double least = 1, most = 0;
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    std::vector<ChartPoint> raw = points_of(compared.runs()[i], "train", column, how.factor);
    if (raw.empty()) continue;
    const double weight = how.smooth && raw.size() > 2 ? smoothing.value_or(smoothing_for(raw.size())) : 0;
    std::vector<ChartPoint> line = weight > 0 ? smoothed(raw, weight) : raw;
    if (weight > 0 && compared.runs().size() <= kRunsWithRaw)
      chart.series.push_back({.name = compared.several() ? compared.runs()[i].name + ", each row" : "each row",
                              .run = i,
                              .points = std::move(raw),
                              .faint = true});
    chart.series.push_back(
        {.name = compared.label(weight > 0 ? "smoothed" : column, compared.runs()[i]), .run = i, .points = std::move(line)});
    if (weight > 0) least = std::min(least, weight), most = std::max(most, weight);
  }
  if (most > 0)
    chart.note +=
        join_text(chart.note.empty() ? "" : ", ", "smoothed by ", least == most ? "" : plain_number(least) + " to ", plain_number(most));
  return chart.series.empty() ? "" : figure_of(chart, ids.next());
}

std::string metric_chart(const ComparedRuns& compared, FigureIds& ids, const std::string& metric) {
  Chart chart{.title = metric};
  if (std::ranges::find(compared.picking(), metric) != compared.picking().end()) chart.note = "picks the best";
  if (const Goal goal = compared.goal(metric); goal != Goal::none)
    chart.note += join_text(chart.note.empty() ? "" : ", ", goal == Goal::minimize ? "lower is better" : "higher is better");
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    std::vector<ChartPoint> all = points_of(compared.runs()[i], "validation", metric);
    if (all.empty()) continue;
    if (const JsonRow* best = compared.runs()[i].best())
      if (const auto value = number_in(*best, metric))
        chart.marks.push_back({.x = static_cast<double>(step_of(*best)),
                               .y = *value,
                               .label = compared.several() ? "" : join_text("best: ", page_number(*value)),
                               .run = i});
    chart.series.push_back({.name = compared.label("model", compared.runs()[i]), .run = i, .points = std::move(all)});
  }
  for (const std::string& method : compared.methods()) {
    if (const auto shared = compared.shared_baseline(method, metric)) {
      chart.levels.push_back({method, *shared});
      continue;
    }
    for (std::size_t i = 0; i < compared.runs().size(); ++i)
      if (const auto value = compared.baseline(i, method, metric))
        chart.levels.push_back({join_text(method, ", ", compared.runs()[i].name), *value});
  }
  return chart.series.empty() ? "" : figure_of(chart, ids.next());
}

}  // namespace

std::string FigureIds::next() { return join_text("f", ++given_); }

std::string training_charts(const ComparedRuns& compared, std::optional<double> smoothing, FigureIds& ids) {
  std::vector<std::string> terms{"loss"};
  for (const std::string& c : compared.train_columns())
    if (std::ranges::find(kTrainColumns, c) == kTrainColumns.end()) terms.push_back(c);
  std::string out;
  for (const std::string& term : terms)
    out += column_chart(compared, smoothing, ids, term == "loss" ? "Training loss" : join_text("Training loss: ", term), term,
                        {.smooth = true});
  out += column_chart(compared, smoothing, ids, "Learning rate", "lr", {.from_zero = true});
  out += column_chart(compared, smoothing, ids, "Norm of the gradient", "gradient_norm", {.note = "before clipping", .smooth = true});
  if (out.empty() && !compared.runs().empty() && !compared.several() && compared.runs().front().state != RunRecord::State::untrained)
    return "<p class=\"note\">There is no row of training yet.</p>\n";
  return out.empty() ? "" : join_text("<div class=\"charts\">\n", out, "</div>\n");
}

std::string validation_charts(const ComparedRuns& compared, FigureIds& ids) {
  std::vector<std::string> order = compared.metrics();
  std::stable_partition(order.begin(), order.end(),
                        [&](const std::string& m) { return std::ranges::find(compared.picking(), m) != compared.picking().end(); });
  std::string out, more;
  for (std::size_t k = 0; k < order.size(); ++k) (k < kFirstMetrics ? out : more) += metric_chart(compared, ids, order[k]);
  if (out.empty()) return "";
  out = join_text("<div class=\"charts\">\n", out, "</div>\n");
  if (!more.empty())
    out += join_text("<details class=\"more\"><summary>", order.size() - kFirstMetrics, " more metrics</summary><div class=\"charts\">\n",
                     more, "</div></details>\n");
  return out;
}

std::string speed_charts(const ComparedRuns& compared, std::optional<double> smoothing, FigureIds& ids) {
  std::string out = column_chart(compared, smoothing, ids, "Items per second", "items_per_s", {.from_zero = true, .smooth = true});
  out += column_chart(compared, smoothing, ids, "Waiting for data", "loader_wait",
                      {.note = "% of the time", .from_zero = true, .smooth = true, .factor = 100});
  return out.empty() ? "" : join_text("<div class=\"charts\">\n", out, "</div>\n");
}

std::string rate_range_chart(const ComparedRuns& compared, FigureIds& ids) {
  Chart chart{.title = "Loss by learning rate",
              .note = "smoothed, as the suggestion reads it; each step behind it",
              .x_title = "learning rate",
              .x_scale = ChartScale::logarithmic};
  bool positive = true;
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    const RunRecord& run = compared.runs()[i];
    if (run.rate_range.empty()) continue;
    ChartSeries each{.name = compared.label("each step", run), .run = i, .points = {}, .faint = true},
        line{.name = compared.label("loss", run), .run = i, .points = {}};
    for (const RunRecord::RateRow& row : run.rate_range) {
      if (row.rate <= 0) continue;
      each.points.push_back({row.rate, row.loss});
      line.points.push_back({row.rate, row.smoothed});
    }
    for (ChartSeries* s : {&each, &line}) std::ranges::stable_sort(s->points, {}, &ChartPoint::x);
    positive = positive && std::ranges::none_of(each.points, [](const ChartPoint& p) { return p.y <= 0; });
    if (run.suggested_rate > 0 && !line.points.empty()) {
      const auto near = std::ranges::min_element(
          line.points, {}, [&](const ChartPoint& p) { return std::isfinite(p.y) ? std::abs(std::log(p.x / run.suggested_rate)) : 1e9; });
      chart.marks.push_back({.x = run.suggested_rate,
                             .y = near->y,
                             .label = join_text("suggested: ", plain_number(run.suggested_rate)),
                             .run = i,
                             .across = true});
    }
    chart.series.push_back(std::move(each));
    chart.series.push_back(std::move(line));
  }
  if (positive) chart.y_scale = ChartScale::logarithmic;  // the end of the range would hide the fall before it
  return chart.series.empty() ? "" : join_text("<div class=\"charts\">\n", figure_of(chart, ids.next()), "</div>\n");
}

}  // namespace capstan::engine
