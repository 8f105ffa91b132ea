#pragma once
// The charts of one or several runs over each other: training, validation, speed and the learning-rate range, each as a part of a page.
// A part is empty where the runs say nothing about it.

#include <cstddef>
#include <optional>
#include <string>

#include "recipes/engine/report/compared_runs.h"

namespace capstan::engine {

/// Names the figures of a page, each once.
class FigureIds {
 public:
  std::string next();

 private:
  std::size_t given_ = 0;
};

/// `smoothing`: weight of the moving average (ReportOptions).
std::string training_charts(const ComparedRuns& compared, std::optional<double> smoothing, FigureIds& ids);
/// A chart for each metric, those first that pick the best; a long row of them is folded up.
std::string validation_charts(const ComparedRuns& compared, FigureIds& ids);
std::string speed_charts(const ComparedRuns& compared, std::optional<double> smoothing, FigureIds& ids);
std::string rate_range_chart(const ComparedRuns& compared, FigureIds& ids);

}  // namespace capstan::engine
