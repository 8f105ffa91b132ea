#include "recipes/engine/report/csv.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += c;
    out += c;
  }
  return out + "\"";
}

std::string csv_cell(const JsonValue& value) {
  if (const auto* d = std::get_if<double>(&value))
    return std::isnan(*d) ? "nan" : std::isinf(*d) ? (*d > 0 ? "inf" : "-inf") : join_text(*d);
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  return csv_cell(std::string_view(std::get<std::string>(value)));
}

}  // namespace

std::string csv_of(std::span<const RunRecord> runs) {
  std::vector<std::string> columns;
  std::map<std::string, std::size_t, std::less<>> places;
  for (const RunRecord& run : runs)
    for (const JsonRow& row : run.rows)
      for (const auto& [name, value] : row)
        if (places.try_emplace(name, columns.size()).second) columns.push_back(name);
  const bool named = runs.size() > 1;
  std::string out;
  const auto line = [&](std::string_view run, const std::vector<std::string>& cells) {
    if (named) out += csv_cell(run);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0 || named) out += ',';
      out += cells[i];
    }
    out += kLineEnd;
  };
  std::vector<std::string> cells;
  for (const std::string& name : columns) cells.push_back(csv_cell(std::string_view(name)));
  line("run", cells);
  for (const RunRecord& run : runs)
    for (const JsonRow& row : run.rows) {
      std::ranges::fill(cells, std::string());
      for (const auto& [name, value] : row) cells[places.find(name)->second] = csv_cell(value);
      line(run.name, cells);
    }
  return out;
}

}  // namespace capstan::engine
