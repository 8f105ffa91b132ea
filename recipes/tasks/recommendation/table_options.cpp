#include "recipes/tasks/recommendation/table_options.h"

#include <algorithm>

namespace capstan::recommendation {

std::string side_by_side(const data::IdMap& given, const data::IdMap& known) {
  const auto some = [](const data::IdMap& ids) {
    std::string out;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(3, ids.size()); ++i) out += join_text(i > 0 ? ", '" : "'", ids[i], "'");
    return out;
  };
  return join_text("items here are ", some(given), ", ..., those known are ", some(known), ", ...");
}

std::vector<std::string> query_fields(std::string_view line, const data::IdMap& names) {
  const char* separator = line.find('\t') == line.npos ? " " : "\t";
  while (line.starts_with(' ')) line.remove_prefix(1);
  while (line.ends_with(' ')) line.remove_suffix(1);
  if (*separator == ' ' && names.find(line) >= 0) return {std::string(line)};
  data::RecordCutter cutter(separator);
  if (cutter.cut(line) != data::RecordCutter::State::complete) {
    cutter = data::RecordCutter(separator, /*quotes=*/false);  // a quote that opens nothing is a letter
    cutter.cut(line);
  }
  std::vector<std::string> out;
  for (const auto field : cutter.fields())
    if (!field.empty()) out.emplace_back(field);
  return out;
}

}  // namespace capstan::recommendation
