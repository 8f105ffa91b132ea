#pragma once
// MetricTable: the metrics of a validation or an evaluation as lines of a table, for people. Not here: what is written for programs
// (report/run_log.h).
//
//     metric            model  popularity  optimum
//     recall@10        0.4512     0.03120   0.5512
//     mrr@10           0.2011     0.01002
//
// A metric "popularity/recall@10" beside one "recall@10" is what a simple method reaches: a column of the second one's row.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

struct MetricTable {
  /// A row: the name of a metric, then the value of the model and of each further column; an empty text where there is none.
  struct Row {
    std::string name;
    std::vector<std::string> values;
  };
  std::vector<std::string> columns;  ///< "model", then the simple methods in the order of first appearance
  std::vector<Row> rows;
};

/// With four significant digits. Without `baselines` the simple methods are left out.
MetricTable metric_table(const Metrics& metrics, bool baselines = true);

/// Lines with a line end each; a head line if there is more than one column. Columns that do not fit into the width follow below in a
/// table of their own.
std::string to_text(const MetricTable& table, std::size_t columns, std::string_view indent = "");

/// The table of a validation, as wide as the terminal `fd` or 120 columns.
std::string validation_text(const Metrics& metrics, bool baselines, int fd);

}  // namespace capstan::engine
