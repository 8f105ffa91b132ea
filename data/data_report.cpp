#include "data/data_report.h"

#include <algorithm>

namespace capstan::data {

std::vector<std::string> lines_of(const DataReport& report) {
  std::size_t width = 0;
  for (const DataReport::Fact& f : report.facts) width = std::max(width, f.what.size());
  std::vector<std::string> lines;
  for (const DataReport::Fact& f : report.facts) lines.push_back(f.what + std::string(width - f.what.size() + 2, ' ') + f.text);
  for (const std::string& w : report.warnings) lines.push_back("warning: " + w);
  return lines;
}

std::string grouped(std::int64_t count) {
  std::string text = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

}  // namespace capstan::data
