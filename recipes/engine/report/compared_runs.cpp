#include "recipes/engine/report/compared_runs.h"

#include <algorithm>
#include <cmath>

namespace capstan::engine {
namespace {

/// What the validations of a run say: the metrics of the model, and beside them what methods reach.
struct ValidationColumns {
  std::vector<std::string> metrics;
  Baselines baselines;
  std::vector<std::string> methods;  ///< in the order of their appearance
};

/// "popularity/recall@10" is what a method reaches where there is a "recall@10" (terminal/metric_table.h).
ValidationColumns validation_columns(const RunRecord& run) {
  std::vector<std::string> names;
  std::map<std::string, double, std::less<>> last;
  for (const JsonRow* row : run.rows_of("validation"))
    for (const auto& [name, value] : *row)
      if (const auto number = number_in(*row, name); number && name != "step" && name != "epoch" && name != "seconds") {
        if (!last.contains(name)) names.push_back(name);
        last[name] = *number;
      }
  ValidationColumns out;
  for (const std::string& name : names) {
    const auto slash = name.find('/');
    if (slash == std::string::npos || !last.contains(std::string_view(name).substr(slash + 1))) {
      out.metrics.push_back(name);
      continue;
    }
    const std::string method = name.substr(0, slash);
    if (std::ranges::find(out.methods, method) == out.methods.end()) out.methods.push_back(method);
    out.baselines[{method, name.substr(slash + 1)}] = last[name];
  }
  return out;
}

void add_missing(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& s : from)
    if (std::ranges::find(to, s) == to.end()) to.push_back(s);
}

}  // namespace

ComparedRuns::ComparedRuns(std::span<const RunRecord> runs) : runs_(runs) {
  for (const RunRecord& run : runs_) {
    ValidationColumns columns = validation_columns(run);
    add_missing(metrics_, columns.metrics);
    add_missing(methods_, columns.methods);
    for (const JsonRow* row : run.rows_of("train"))
      for (const auto& [name, value] : *row)
        if (!std::holds_alternative<std::string>(value)) add_missing(train_columns_, {name});
    if (run.about)
      for (const MetricInfo& m : run.about->metrics) goals_.try_emplace(m.name, m.goal);
    const bool known = run.about && std::ranges::find(columns.metrics, run.about->metric) != columns.metrics.end();
    picking_.push_back(known ? run.about->metric : columns.metrics.empty() ? "" : columns.metrics.front());
    baselines_.push_back(std::move(columns.baselines));
  }
  const auto first = std::ranges::find_if(picking_, [](const std::string& m) { return !m.empty(); });
  metric_ = first == picking_.end() ? "" : *first;
}

Goal ComparedRuns::goal(std::string_view metric) const {
  const auto found = goals_.find(metric);
  return found == goals_.end() ? Goal::none : found->second;
}

std::optional<double> ComparedRuns::baseline(std::size_t run, const std::string& method, const std::string& metric) const {
  const auto found = baselines_[run].find({method, metric});
  return found == baselines_[run].end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> ComparedRuns::shared_baseline(const std::string& method, const std::string& metric) const {
  std::optional<double> out;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const auto value = baseline(i, method, metric);
    if (value && out && *value != *out) return std::nullopt;
    if (value) out = value;
  }
  return out;
}

std::optional<double> ComparedRuns::best_of(const std::string& metric, const std::vector<std::optional<double>>& values) const {
  const Goal wanted = goal(metric);
  if (wanted == Goal::none) return std::nullopt;
  std::optional<double> best;
  for (const auto& v : values)
    if (v && std::isfinite(*v) && (!best || (wanted == Goal::minimize ? *v < *best : *v > *best))) best = v;
  return best;
}

std::vector<ChartPoint> points_of(const RunRecord& run, std::string_view split, std::string_view column, double factor) {
  std::vector<ChartPoint> out;
  for (const JsonRow* row : run.rows_of(split))
    if (const auto value = number_in(*row, column)) out.push_back({static_cast<double>(step_of(*row)), factor * *value});
  std::ranges::stable_sort(out, {}, &ChartPoint::x);
  return out;
}

std::optional<double> median_of(std::vector<ChartPoint> points) {
  std::erase_if(points, [](const ChartPoint& p) { return !std::isfinite(p.y); });
  if (points.empty()) return std::nullopt;
  const auto at = points.begin() + static_cast<std::ptrdiff_t>(points.size() / 2);
  std::ranges::nth_element(points, at, {}, &ChartPoint::y);
  return at->y;
}

std::string state_text(const RunRecord& run) {
  using enum RunRecord::State;
  switch (run.state) {
    case running: return "running";
    case stopped: return run.reason;
    case broken: return "ended by an error: " + run.reason;
    case silent: return "ended without saying why";
    case untrained: return "not trained";
  }
  return "";
}

}  // namespace capstan::engine
