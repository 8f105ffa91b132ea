#include "recipes/engine/report/run_tables.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/markup.h"
#include "recipes/engine/report/chart.h"
#include "recipes/engine/report/html_table.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

using data::escaped_markup;

constexpr std::size_t kOpenLayers = 24;  // a longer table of layers is folded up
constexpr std::string_view kByDefault = "default";

/// The last two parts of the file in "path:line", which say enough; the whole is a tooltip.
std::string short_origin(const std::string& origin) {
  const std::filesystem::path path(origin);
  if (!path.has_parent_path()) return origin;
  return (path.parent_path().filename() / path.filename()).string();
}

const JsonRow* last_validation(const RunRecord& run) {
  const auto rows = run.rows_of("validation");
  return rows.empty() ? nullptr : rows.back();
}

std::string config_table(const std::vector<const RunRecord::ConfigValue*>& values) {
  std::string out = join_text("<div class=\"scroll\"><table class=\"words\"><thead><tr>", html_head("key"), html_head("value"),
                              html_head("from"), "</tr></thead><tbody>\n");
  for (const auto* v : values)
    out += join_text("<tr>", html_head(html_code(v->key), "row"), html_cell(escaped_markup(v->value), "code"),
                     join_text("<td class=\"origin\" title=\"", escaped_markup(v->origin), "\">", escaped_markup(short_origin(v->origin)),
                               "</td></tr>\n"));
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string runs_table(const ComparedRuns& compared) {
  const bool alike = std::ranges::all_of(compared.picking(), [&](const std::string& m) { return m == compared.metric(); });
  std::string out = join_text("<div class=\"scroll\"><table><thead><tr>", html_head("run"), html_head("recipe", "col", "text"),
                              html_head("state", "col", "text"), html_head("steps"),
                              html_head(alike ? "best " + html_breakable(compared.metric()) : "best"), html_head("at step"),
                              html_head("last loss"), html_head("items/s"), html_head("time"), "</tr></thead><tbody>\n");
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    const RunRecord& run = compared.runs()[i];
    const JsonRow* const best = run.best();
    const auto value = best != nullptr ? number_in(*best, compared.picking()[i]) : std::nullopt;
    const auto losses = points_of(run, "train", "loss");
    const auto speed = median_of(points_of(run, "train", "items_per_s"));
    out += join_text("<tr class=\"r", i, "\">", html_head(swatch(i) + escaped_markup(run.name), "row"),
                     html_cell(escaped_markup(run.about ? run.about->config : std::string(run.config_value("recipe"))), "text"),
                     html_cell(escaped_markup(state_text(run)), "text"), html_cell(data::grouped(run.last_step())),
                     html_cell(value ? (alike ? "" : html_breakable(compared.picking()[i]) + " ") + page_number(*value) : ""),
                     html_cell(value ? data::grouped(step_of(*best)) : ""), html_cell(losses.empty() ? "" : page_number(losses.back().y)),
                     html_cell(speed ? page_number(*speed) : ""), html_cell(run.seconds > 0 ? duration_text(run.seconds) : ""), "</tr>\n");
  }
  return out + "</tbody></table></div>\n";
}

std::string results_table(const ComparedRuns& compared) {
  if (compared.metrics().empty()) return "";
  struct Column {
    std::string title;
    const JsonRow* row = nullptr;
  };
  std::vector<Column> columns;
  const auto at_step = [](const JsonRow& row) { return data::grouped(step_of(row)); };
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    const RunRecord& run = compared.runs()[i];
    const JsonRow *const best = run.best(), *const last = last_validation(run);
    if (compared.several()) {
      const JsonRow* const row = best != nullptr ? best : last;
      columns.push_back({swatch(i) + escaped_markup(run.name) + (row == nullptr ? "" : join_text("<br>step ", at_step(*row))), row});
    } else if (last != nullptr) {
      if (best != nullptr) columns.push_back({join_text(best == last ? "best and last" : "best", "<br>step ", at_step(*best)), best});
      if (best != last) columns.push_back({join_text("last<br>step ", at_step(*last)), last});
    }
  }
  std::string out = join_text("<div class=\"scroll\"><table><thead><tr>", html_head("validation"));
  for (const Column& c : columns) out += html_head(c.title, "col", "run");
  for (const std::string& m : compared.methods()) out += html_head(escaped_markup(m));
  out += "</tr></thead><tbody>\n";
  for (const std::string& metric : compared.metrics()) {
    std::vector<std::optional<double>> values;
    for (const Column& c : columns) values.push_back(c.row == nullptr ? std::nullopt : number_in(*c.row, metric));
    const std::optional<double> best = compared.best_of(metric, values);
    out += "<tr>" + html_head(escaped_markup(metric), "row");
    for (const auto& v : values) out += html_cell(v ? page_number(*v) : "", compared.several() && v && best && *v == *best ? "best" : "");
    for (const std::string& m : compared.methods()) {
      const auto v = compared.shared_baseline(m, metric);
      out += html_cell(v ? page_number(*v) : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string layers_tables(const ComparedRuns& compared) {
  std::string out;
  for (const RunRecord& run : compared.runs()) {
    if (run.layers.empty()) continue;
    std::vector<std::string> names;
    std::map<std::string, std::vector<const RunRecord::LayerRow*>, std::less<>> rows;
    for (const RunRecord::LayerRow& row : run.layers) {
      auto& of_layer = rows[row.name];
      if (of_layer.empty()) names.push_back(row.name);
      of_layer.push_back(&row);
    }
    std::string table =
        join_text("<div class=\"scroll\"><table><thead><tr>", html_head("layer"), html_head("largest weight"), html_head(""),
                  html_head("largest gradient"), html_head(""), html_head("update / weight"), html_head(""), "</tr></thead><tbody>\n");
    for (const std::string& name : names) {
      const auto& of_layer = rows.find(name)->second;
      table += "<tr>" + html_head(html_code(name), "row");
      for (const auto& [what, member] :
           {std::pair("largest weight", &RunRecord::LayerRow::weight), std::pair("largest gradient", &RunRecord::LayerRow::gradient),
            std::pair("update over weight", &RunRecord::LayerRow::update)}) {
        std::vector<ChartPoint> course;
        for (const RunRecord::LayerRow* row : of_layer) course.push_back({static_cast<double>(row->step), row->*member});
        table += html_cell(page_number(of_layer.back()->*member)) + html_cell(sparkline(course, join_text(what, " of ", name, " by step")));
      }
      table += "</tr>\n";
    }
    table += "</tbody></table></div>\n";
    if (compared.several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
    out += join_text("<p class=\"note\">At step ", data::grouped(run.layers.back().step), ", with the course from step ",
                     data::grouped(run.layers.front().step),
                     " on a logarithmic scale. The last column says how far a step moves a weight, relative to it.</p>\n");
    out += names.size() <= kOpenLayers ? table : join_text("<details><summary>", names.size(), " layers</summary>", table, "</details>\n");
  }
  return out;
}

std::string differences_table(const ComparedRuns& compared) {
  std::vector<std::string> keys;
  for (const RunRecord& run : compared.runs())
    for (const auto& c : run.config)
      if (std::ranges::find(keys, c.key) == keys.end()) keys.push_back(c.key);
  std::string rows;
  for (const std::string& key : keys) {
    if (key == "run.dir") continue;
    const auto value = [&](const RunRecord& run) {
      const auto found = std::ranges::find(run.config, key, &RunRecord::ConfigValue::key);
      return found == run.config.end() ? std::nullopt : std::optional(found->value);
    };
    const auto first = value(compared.runs().front());
    if (std::ranges::all_of(compared.runs(), [&](const RunRecord& run) { return run.config.empty() || value(run) == first; })) continue;
    rows += "<tr>" + html_head(html_code(key), "row");
    for (std::size_t i = 0; i < compared.runs().size(); ++i)
      rows += html_cell(escaped_markup(value(compared.runs()[i]).value_or("")), join_text("code r", i));
    rows += "</tr>\n";
  }
  if (rows.empty()) return "<p class=\"note\">The configurations say the same.</p>\n";
  std::string out = join_text("<div class=\"scroll\"><table><thead><tr>", html_head("key"));
  for (std::size_t i = 0; i < compared.runs().size(); ++i)
    out += html_head(swatch(i) + escaped_markup(compared.runs()[i].name), "col", join_text("r", i));
  return out + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string data_tables(const ComparedRuns& compared) {
  std::string out, before;
  for (std::size_t i = 0; i < compared.runs().size(); ++i) {
    const RunRecord& run = compared.runs()[i];
    if (!run.about || run.about->data.facts.empty()) continue;
    std::string table = "<table class=\"words\"><tbody>\n";
    for (const auto& f : run.about->data.facts)
      table += join_text("<tr>", html_head(escaped_markup(f.what), "row"), html_cell(escaped_markup(f.text)), "</tr>\n");
    table += "</tbody></table>\n";
    if (compared.several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
    out += table == before ? std::string("<p class=\"note\">The same.</p>\n") : table;
    before = table;
  }
  return out;
}

std::string configuration_tables(const ComparedRuns& compared) {
  std::string out;
  for (const RunRecord& run : compared.runs()) {
    if (run.config.empty()) continue;
    std::vector<const RunRecord::ConfigValue*> set, defaults;
    for (const auto& c : run.config) (c.origin == kByDefault ? defaults : set).push_back(&c);
    out += join_text("<details><summary>", compared.several() ? escaped_markup(run.name) + ": " : std::string(), set.size(),
                     " keys that are set, ", defaults.size(), " as they are by default</summary>\n", config_table(set));
    if (!defaults.empty()) out += "<h3>By default</h3>\n" + config_table(defaults);
    out += "</details>\n";
  }
  return out;
}

}  // namespace capstan::engine
