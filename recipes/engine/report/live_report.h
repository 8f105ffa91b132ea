#pragma once
// LiveReport: the page and the findings of a run while it goes on (train.report). Nothing here stops a run: what cannot be written is said
// once.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/report/finding.h"

namespace capstan::engine {

inline constexpr std::string_view kReportFile = "report.html";
inline constexpr std::string_view kFindingsFile = "findings.json";
inline constexpr std::string_view kAboutFile = "run.json";

class LiveReport {
 public:
  /// `say` is told what goes wrong.
  LiveReport(std::string directory, std::function<void(std::string_view)> say);

  /// findings.json, of the validation after `step`.
  void findings(std::int64_t step, const std::function<std::vector<Finding>()>& findings);
  /// report.html, of all that the directory says. One of a run that goes on loads itself again now and then.
  void page(bool goes_on);

 private:
  void attempt(const std::string& path, const std::function<void()>& write);

  std::string directory_;
  std::function<void(std::string_view)> say_;
  bool failed_ = false;
};

}  // namespace capstan::engine
