#include "recipes/engine/terminal/metric_table.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {

MetricTable metric_table(const Metrics& metrics, bool baselines) {
  const auto known = [&](std::string_view name) { return std::ranges::find(metrics, name, &Metric::name) != metrics.end(); };
  MetricTable table{.columns = {"model"}, .rows = {}};
  std::vector<const Metric*> others;
  for (const Metric& m : metrics) {
    const auto slash = m.name.find('/');
    if (slash != std::string::npos && known(std::string_view(m.name).substr(slash + 1))) {
      others.push_back(&m);
    } else {
      table.rows.push_back({m.name, {short_number(m.value)}});
    }
  }
  if (!baselines) return table;
  for (const Metric* m : others) {
    const auto slash = m->name.find('/');
    const std::string method = m->name.substr(0, slash);
    auto column = std::ranges::find(table.columns, method);
    if (column == table.columns.end()) column = table.columns.insert(column, method);
    const auto place = static_cast<std::size_t>(column - table.columns.begin());
    const auto row = std::ranges::find(table.rows, m->name.substr(slash + 1), &MetricTable::Row::name);
    require<InternalError>(row != table.rows.end(), "metric table: no row for ", m->name);
    row->values.resize(std::max(row->values.size(), place + 1));
    row->values[place] = short_number(m->value);
  }
  return table;
}

std::string to_text(const MetricTable& table, std::size_t columns, std::string_view indent) {
  constexpr std::size_t kGap = 2;
  const auto value_of = [](const MetricTable::Row& row, std::size_t c) { return c < row.values.size() ? row.values[c] : std::string(); };
  std::size_t names = std::string_view("metric").size();
  for (const auto& row : table.rows) names = std::max(names, width_of(row.name));
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    widths.push_back(table.columns.size() > 1 ? width_of(table.columns[c]) : 0);
    for (const auto& row : table.rows) widths.back() = std::max(widths.back(), width_of(value_of(row, c)));
  }
  std::string out;
  for (std::size_t first = 0; first < table.columns.size();) {
    std::size_t last = first, used = width_of(indent) + names;
    do used += kGap + widths[last++];
    while (last < table.columns.size() && used + kGap + widths[last] <= columns);
    const auto line = [&](std::string_view name, const auto& cell) {
      std::string text = std::string(indent) + padded(name, names);
      for (std::size_t c = first; c < last; ++c) text += std::string(kGap, ' ') + padded(cell(c), widths[c], /*right=*/true);
      text.erase(text.find_last_not_of(' ') + 1);
      out += text + "\n";
    };
    if (table.columns.size() > 1) line("metric", [&](std::size_t c) { return table.columns[c]; });
    for (const auto& row : table.rows) line(row.name, [&](std::size_t c) { return value_of(row, c); });
    first = last;
  }
  return out;
}

std::string validation_text(const Metrics& metrics, bool baselines, int fd) {
  std::string text = to_text(metric_table(metrics, baselines), columns_of(fd), "  ");
  if (!text.empty()) text.pop_back();  // a message ends its last line itself
  return text;
}

}  // namespace capstan::engine
