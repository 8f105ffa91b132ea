#pragma once
// The report of runs as one page of HTML: nothing is fetched, the charts are drawn here, and what users named is escaped.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "recipes/engine/report/run_record.h"

namespace capstan::engine {

struct ReportOptions {
  std::optional<double>
      smoothing;  ///< weight of the moving average of the rows of training, from 0 to below 1; unset: as suits their number
  std::int64_t reload_seconds = 0;  ///< the page loads itself again after so long; 0: never
};

/// Several runs are drawn over each other. Needs one run at least.
std::string report_page(std::span<const RunRecord> runs, const ReportOptions& options);

}  // namespace capstan::engine
