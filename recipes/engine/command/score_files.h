#pragma once
// `capstan evaluate CONFIG --detections FILE --annotations FILE`: scores what any program answered, from files alone. No model, no
// checkpoint and no configuration take part; CONFIG only says whose metric it is. Recipes that offer it stand in a table beside that of the
// recipes (run_program).

#include <span>
#include <string>
#include <string_view>

#include "data/data_report.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

struct Console;

/// What came out.
struct FileScores {
  Metrics metrics;
  data::DataReport report;  ///< what was read
  std::string details;      ///< for people: lines below the metrics, such as a table of classes
  std::string curves;       ///< SVG, for --curves
};

struct FileScorer {
  std::string_view recipe;  ///< the name that CONFIG begins with
  FileScores (*score)(const std::string& detections, const std::string& annotations);
};

/// Whether the arguments of `evaluate` ask for it. Throws ConfigError if they do half.
bool scores_files(std::span<const std::string> arguments);
/// `arguments`: CONFIG and what follows it. Returns the exit code; throws what goes wrong.
int score_files(std::span<const FileScorer> scorers, std::span<const std::string> arguments, const Console& console);

}  // namespace capstan::engine
