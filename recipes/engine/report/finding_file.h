#pragma once
// findings.json: findings (finding.h) as a file, from the process that evaluates to the one that writes a report. Pictures are PNG.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "recipes/engine/report/finding.h"

namespace capstan::engine {

/// Pictures as they stand in the file, and in a page.
struct StoredPictures {
  struct Picture {
    std::string caption;
    std::int64_t width = 0, height = 0;
    std::string png;  ///< base64
  };
  std::vector<Picture> pictures;
};

struct StoredFinding {
  std::string title, text;
  std::variant<FindingTable, FindingMatrix, FindingCurves, StoredPictures> shown;
};

struct StoredFindings {
  std::int64_t step = 0;  ///< of the model
  std::string split;      ///< what it was evaluated on
  std::vector<StoredFinding> findings;
};

std::string findings_json(std::int64_t step, std::string_view split, const std::vector<Finding>& findings);
/// Throws DataError.
StoredFindings parse_findings(std::string_view text, const std::string& name);

}  // namespace capstan::engine
