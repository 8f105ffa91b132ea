#pragma once
// Finding: one thing that a pass over a split shows beside its metrics, for the report of a run: a table, a matrix of counts, curves or
// pictures. An Evaluation of a recipe makes them of what it has seen (recipe.h, findings()); it may keep a few samples for that, chosen by
// a rule that does not depend on how the split is cut into batches. A finding says in its text what is shown and how it was chosen.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "data/image/image.h"

namespace capstan::engine {

/// Rows of text, such as source, reference and translation. A column of numbers is set to the right.
struct FindingTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// Counts by two names, such as the confusion of classes: rows are what is true, columns what was said.
struct FindingMatrix {
  std::string row_title, column_title;
  std::vector<std::string> rows, columns;
  std::vector<double> counts;  ///< [rows, columns]
};

struct FindingCurves {
  std::string x_title, y_title;
  struct Curve {
    std::string name;
    std::vector<std::pair<double, double>> points;
    bool joined = true;  ///< by a line; false: each point stands alone, such as a measurement
  };
  std::vector<Curve> curves;
};

struct FindingPictures {
  struct Picture {
    std::string caption;
    data::Image image;
  };
  std::vector<Picture> pictures;
};

struct Finding {
  std::string title;
  std::string text;
  std::variant<FindingTable, FindingMatrix, FindingCurves, FindingPictures> shown;
};

}  // namespace capstan::engine
