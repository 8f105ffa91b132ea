#pragma once
// ComparedRuns: what the runs of a report have in common: the metrics and columns of all, which metric picks the best of each, and what
// simple methods reach beside the models.

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recipes/engine/metrics/metric.h"
#include "recipes/engine/report/chart.h"
#include "recipes/engine/report/run_record.h"

namespace capstan::engine {

/// What methods reach, by method and metric, as the last row says that has it.
using Baselines = std::map<std::pair<std::string, std::string>, double>;

class ComparedRuns {
 public:
  /// `runs` must outlive this.
  explicit ComparedRuns(std::span<const RunRecord> runs);

  std::span<const RunRecord> runs() const { return runs_; }
  bool several() const { return runs_.size() > 1; }
  /// The numbers in the rows of training, of any run.
  const std::vector<std::string>& train_columns() const { return train_columns_; }
  /// Of the models in any validation, in the order of their appearance; so with the methods beside them.
  const std::vector<std::string>& metrics() const { return metrics_; }
  const std::vector<std::string>& methods() const { return methods_; }
  /// The metric that picks the best, of each run; empty: the run has no validation.
  const std::vector<std::string>& picking() const { return picking_; }
  /// That of the first run that has one.
  const std::string& metric() const { return metric_; }
  /// Goal::none where no run says it.
  Goal goal(std::string_view metric) const;

  /// What a line of a chart is called: by its run where there are several.
  std::string label(const std::string& name, const RunRecord& run) const { return several() ? run.name : name; }
  /// What a method reaches in a run.
  std::optional<double> baseline(std::size_t run, const std::string& method, const std::string& metric) const;
  /// What a method reaches, if all runs that say so say the same.
  std::optional<double> shared_baseline(const std::string& method, const std::string& metric) const;
  /// The best of several values where it is known what that means.
  std::optional<double> best_of(const std::string& metric, const std::vector<std::optional<double>>& values) const;

 private:
  std::span<const RunRecord> runs_;
  std::vector<std::string> train_columns_, metrics_, methods_, picking_;
  std::string metric_;
  std::vector<Baselines> baselines_;  // of each run
  std::map<std::string, Goal, std::less<>> goals_;
};

/// A column of the rows of a split by step, times `factor`.
std::vector<ChartPoint> points_of(const RunRecord& run, std::string_view split, std::string_view column, double factor = 1);
/// The median of those that are finite; of an even number the upper one.
std::optional<double> median_of(std::vector<ChartPoint> points);
/// In words.
std::string state_text(const RunRecord& run);

}  // namespace capstan::engine
