#include "recipes/engine/report/report_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/markup.h"
#include "recipes/engine/report/chart.h"
#include "recipes/engine/report/finding_section.h"
#include "recipes/engine/report/page_style.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

using data::escaped_markup;

constexpr std::size_t kFirstMetrics = 6;  // of a validation that are drawn before a reader asks for more
constexpr std::size_t kRunsWithRaw = 3;   // up to so many runs show their losses behind the smoothed ones
constexpr std::size_t kRowsToSmooth = 40;
constexpr std::size_t kOpenLayers = 24;  // a longer table of layers is folded up

/// What the validations of a run say: the metrics of the model, and beside them what methods reach.
struct ValidationColumns {
  std::vector<std::string> metrics;
  std::map<std::pair<std::string, std::string>, double> baselines;  ///< by method and metric, of the last row that says so
  std::vector<std::string> methods;                                 ///< in the order of their appearance
};

/// "popularity/recall@10" is what a method reaches where there is a "recall@10" (terminal/metric_table.h).
ValidationColumns validation_columns(const RunRecord& run) {
  std::vector<std::string> names;
  std::map<std::string, double, std::less<>> last;
  for (const JsonRow* row : run.rows_of("validation"))
    for (const auto& [name, value] : *row)
      if (const auto number = number_in(*row, name); number && name != "step" && name != "epoch" && name != "seconds") {
        if (!last.contains(name)) names.push_back(name);
        last[name] = *number;
      }
  ValidationColumns out;
  for (const std::string& name : names) {
    const auto slash = name.find('/');
    if (slash == std::string::npos || !last.contains(std::string_view(name).substr(slash + 1))) {
      out.metrics.push_back(name);
      continue;
    }
    const std::string method = name.substr(0, slash);
    if (std::ranges::find(out.methods, method) == out.methods.end()) out.methods.push_back(method);
    out.baselines[{method, name.substr(slash + 1)}] = last[name];
  }
  return out;
}

void add_missing(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& s : from)
    if (std::ranges::find(to, s) == to.end()) to.push_back(s);
}

/// A name that may be broken behind each slash.
std::string breakable(std::string_view name) {
  std::string out;
  for (const char c : escaped_markup(name)) {
    out += c;
    if (c == '/') out += "<wbr>";
  }
  return out;
}

std::string cell(std::string_view text, std::string_view classes = "") {
  return classes.empty() ? join_text("<td>", text, "</td>") : join_text("<td class=\"", classes, "\">", text, "</td>");
}
std::string head(std::string_view text, std::string_view scope = "col") { return join_text("<th scope=\"", scope, "\">", text, "</th>"); }

std::string state_text(const RunRecord& run) {
  using enum RunRecord::State;
  switch (run.state) {
    case running: return "running";
    case stopped: return run.reason;
    case broken: return "ended by an error: " + run.reason;
    case silent: return "ended without saying why";
    case untrained: return "not trained";
  }
  return "";
}

/// The last two parts of the file in "path:line", which say enough; the whole is a tooltip.
std::string short_origin(const std::string& origin) {
  const std::filesystem::path path(origin);
  if (!path.has_parent_path()) return origin;
  return (path.parent_path().filename() / path.filename()).string();
}

class PageWriter {
 public:
  PageWriter(std::span<const RunRecord> runs, const ReportOptions& options) : runs_(runs), options_(options) {
    for (const RunRecord& run : runs_) {
      const ValidationColumns& columns = validations_.emplace_back(validation_columns(run));
      add_missing(metrics_, columns.metrics);
      add_missing(methods_, columns.methods);
      for (const JsonRow* row : run.rows_of("train"))
        for (const auto& [name, value] : *row)
          if (!std::holds_alternative<std::string>(value)) add_missing(train_, {name});
      if (run.about)
        for (const MetricInfo& m : run.about->metrics) goals_.try_emplace(m.name, m.goal);
      const bool known = run.about && std::ranges::find(columns.metrics, run.about->metric) != columns.metrics.end();
      selecting_.push_back(known ? run.about->metric : columns.metrics.empty() ? "" : columns.metrics.front());
    }
    const auto first = std::ranges::find_if(selecting_, [](const std::string& m) { return !m.empty(); });
    metric_ = first == selecting_.end() ? "" : *first;
  }

  std::string page() {
    std::vector<std::pair<std::string, std::string>> sections;  // name, content
    const auto section = [&](std::string name, std::string content) {
      if (!content.empty()) sections.emplace_back(std::move(name), std::move(content));
    };
    if (several()) section("Runs", runs_table());
    section("Results", results());
    section("Training", training());
    section("Validation", validation());
    section("Speed", speed());
    section("Learning-rate range", rate_range());
    section("Layers", layers());
    section("Findings", findings());
    if (several()) section("Differences", differences());
    section("Data", data_read());
    section("Configuration", configuration());

    std::string body = header(), links;
    for (std::size_t i = 0; i < sections.size(); ++i) links += join_text("<a href=\"#part-", i, "\">", sections[i].first, "</a>\n");
    body += join_text("<nav aria-label=\"Parts of this page\">\n", links, "</nav>\n");
    if (several()) body += legend();
    body += warnings();
    for (std::size_t i = 0; i < sections.size(); ++i)
      body += join_text("<section id=\"part-", i, "\">\n<h2>", sections[i].first, "</h2>\n", sections[i].second, "</section>\n");
    return document(body);
  }

 private:
  bool several() const { return runs_.size() > 1; }
  std::string next_id() { return join_text("f", ++figures_); }

  static std::vector<ChartPoint> points(const RunRecord& run, std::string_view split, std::string_view column, double factor = 1) {
    std::vector<ChartPoint> out;
    for (const JsonRow* row : run.rows_of(split))
      if (const auto value = number_in(*row, column)) out.push_back({static_cast<double>(step_of(*row)), factor * *value});
    std::ranges::stable_sort(out, {}, &ChartPoint::x);
    return out;
  }
  /// What a method reaches in a run.
  std::optional<double> baseline(std::size_t run, const std::string& method, const std::string& metric) const {
    const auto found = validations_[run].baselines.find({method, metric});
    return found == validations_[run].baselines.end() ? std::nullopt : std::optional(found->second);
  }
  static const JsonRow* last_validation(const RunRecord& run) {
    const auto rows = run.rows_of("validation");
    return rows.empty() ? nullptr : rows.back();
  }
  std::string label(const std::string& name, const RunRecord& run) const { return several() ? run.name : name; }

  // ------------------------------------------------------------------ the head of the page

  std::string header() const {
    const RunRecord& first = runs_.front();
    std::string title = first.name;
    if (several()) title = join_text(runs_.size(), " runs compared");
    std::string out = join_text("<header>\n<p class=\"kicker\">Capstan report</p>\n<h1>", escaped_markup(title), "</h1>\n");
    if (several()) return out + "</header>\n";
    std::vector<std::string> parts;
    if (first.about)
      parts.push_back(first.about->config.empty() ? first.about->recipe : first.about->config);
    else if (!first.config_value("recipe").empty())
      parts.emplace_back(first.config_value("recipe"));
    if (!first.started.empty()) parts.push_back(first.started.substr(0, 16));
    parts.push_back(state_text(first));
    std::string lead;
    for (const std::string& p : parts) lead += join_text(lead.empty() ? "" : " · ", p);
    return out + join_text("<p class=\"lead\">", escaped_markup(lead), "</p>\n", facts(first), "</header>\n");
  }

  std::string facts(const RunRecord& run) const {
    std::string out;
    const auto fact = [&](std::string_view name, std::string_view value, std::string_view more = "") {
      out += join_text("<div><dt>", breakable(name), "</dt><dd>", escaped_markup(value),
                       more.empty() ? std::string() : join_text("<small>", escaped_markup(more), "</small>"), "</dd></div>\n");
    };
    if (const JsonRow* best = run.best())
      if (const auto value = number_in(*best, metric_))
        fact(join_text("best ", metric_), page_number(*value), join_text("at step ", data::grouped(step_of(*best))));
    const auto losses = points(run, "train", "loss");
    if (!losses.empty()) fact("training loss", page_number(losses.back().y), "the last row's");
    if (!run.rows.empty()) {
      const auto epochs = number_in(run.rows.back(), "epoch").value_or(0);
      fact("steps", data::grouped(run.last_step()), join_text(epochs, epochs == 1 ? " epoch done" : " epochs done"));
    }
    if (!run.started.empty())
      fact("time", duration_text(run.seconds),
           run.resumed == 0 ? "" : join_text("resumed ", run.resumed, run.resumed == 1 ? " time" : " times"));
    if (const auto speed = middle(points(run, "train", "items_per_s"))) fact("items per second", page_number(*speed), "median");
    if (run.about && run.about->parameters > 0) fact("parameters", data::grouped(run.about->parameters));
    return out.empty() ? "" : join_text("<dl class=\"facts\">\n", out, "</dl>\n");
  }

  static std::optional<double> middle(std::vector<ChartPoint> points) {
    std::erase_if(points, [](const ChartPoint& p) { return !std::isfinite(p.y); });
    if (points.empty()) return std::nullopt;
    const auto at = points.begin() + static_cast<std::ptrdiff_t>(points.size() / 2);
    std::ranges::nth_element(points, at, {}, &ChartPoint::y);
    return at->y;
  }

  std::string legend() const {
    std::string out = "<div class=\"runs\" aria-label=\"Colours of the runs\">\n";
    for (std::size_t i = 0; i < runs_.size(); ++i)
      out += join_text("<span class=\"key\" data-run=\"r", i, "\">", swatch(i), escaped_markup(runs_[i].name), "</span>\n");
    return out + "</div>\n";
  }

  std::string warnings() const {
    std::string out;
    for (const RunRecord& run : runs_) {
      std::vector<std::string> all = run.notes;
      if (run.about) all.insert(all.end(), run.about->data.warnings.begin(), run.about->data.warnings.end());
      for (const std::string& w : run.warnings)
        if (std::ranges::find(all, w) == all.end()) all.push_back(w);
      for (const std::string& w : all)
        out +=
            join_text("<p>", several() ? join_text("<b>", escaped_markup(run.name), "</b> ") : std::string(), escaped_markup(w), "</p>\n");
    }
    return out.empty() ? "" : join_text("<aside class=\"warnings\" aria-label=\"Warnings\">\n", out, "</aside>\n");
  }

  std::string runs_table() const {
    const bool alike = std::ranges::all_of(selecting_, [&](const std::string& m) { return m == metric_; });
    std::string out =
        join_text("<div class=\"scroll\"><table><thead><tr>", head("run"), "<th scope=\"col\" class=\"text\">recipe</th>",
                  "<th scope=\"col\" class=\"text\">state</th>", head("steps"), head(alike ? "best " + breakable(metric_) : "best"),
                  head("at step"), head("last loss"), head("items/s"), head("time"), "</tr></thead><tbody>\n");
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const RunRecord& run = runs_[i];
      const JsonRow* const best = run.best();
      const auto value = best != nullptr ? number_in(*best, selecting_[i]) : std::nullopt;
      const auto losses = points(run, "train", "loss");
      const auto speed = middle(points(run, "train", "items_per_s"));
      out += join_text("<tr class=\"r", i, "\">", head(swatch(i) + escaped_markup(run.name), "row"),
                       cell(escaped_markup(run.about ? run.about->config : std::string(run.config_value("recipe"))), "text"),
                       cell(escaped_markup(state_text(run)), "text"), cell(data::grouped(run.last_step())),
                       cell(value ? (alike ? "" : breakable(selecting_[i]) + " ") + page_number(*value) : ""),
                       cell(value ? data::grouped(step_of(*best)) : ""), cell(losses.empty() ? "" : page_number(losses.back().y)),
                       cell(speed ? page_number(*speed) : ""), cell(run.seconds > 0 ? duration_text(run.seconds) : ""), "</tr>\n");
    }
    return out + "</tbody></table></div>\n";
  }

  // ------------------------------------------------------------------ tables and charts

  /// The table of metrics: of one run at its best and at its last validation, of several at the best of each; beside what methods reach.
  std::string results() const {
    if (metrics_.empty()) return "";
    struct Column {
      std::string title;
      const JsonRow* row = nullptr;
    };
    std::vector<Column> columns;
    const auto at_step = [](const JsonRow& row) { return data::grouped(step_of(row)); };
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const RunRecord& run = runs_[i];
      const JsonRow *const best = run.best(), *const last = last_validation(run);
      if (several()) {
        const JsonRow* const row = best != nullptr ? best : last;
        columns.push_back({swatch(i) + escaped_markup(run.name) + (row == nullptr ? "" : join_text("<br>step ", at_step(*row))), row});
      } else if (last != nullptr) {
        if (best != nullptr) columns.push_back({join_text(best == last ? "best and last" : "best", "<br>step ", at_step(*best)), best});
        if (best != last) columns.push_back({join_text("last<br>step ", at_step(*last)), last});
      }
    }
    std::string out = join_text("<div class=\"scroll\"><table><thead><tr>", head("validation"));
    for (const Column& c : columns) out += join_text("<th scope=\"col\" class=\"run\">", c.title, "</th>");
    for (const std::string& m : methods_) out += head(escaped_markup(m));
    out += "</tr></thead><tbody>\n";
    for (const std::string& metric : metrics_) {
      std::vector<std::optional<double>> values;
      for (const Column& c : columns) values.push_back(c.row == nullptr ? std::nullopt : number_in(*c.row, metric));
      const std::optional<double> best = best_of(metric, values);
      out += "<tr>" + head(escaped_markup(metric), "row");
      for (const auto& v : values) out += cell(v ? page_number(*v) : "", several() && v && best && *v == *best ? "best" : "");
      for (const std::string& m : methods_) {
        const auto v = shared_baseline(m, metric);
        out += cell(v ? page_number(*v) : "");
      }
      out += "</tr>\n";
    }
    return out + "</tbody></table></div>\n";
  }
  /// The best of several values where it is known what that means.
  std::optional<double> best_of(const std::string& metric, const std::vector<std::optional<double>>& values) const {
    const auto goal = goals_.find(metric);
    if (goal == goals_.end() || goal->second == Goal::none) return std::nullopt;
    std::optional<double> best;
    for (const auto& v : values)
      if (v && std::isfinite(*v) && (!best || (goal->second == Goal::minimize ? *v < *best : *v > *best))) best = v;
    return best;
  }
  /// What a method reaches, if all runs that say so say the same.
  std::optional<double> shared_baseline(const std::string& method, const std::string& metric) const {
    std::optional<double> out;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const auto value = baseline(i, method, metric);
      if (value && out && *value != *out) return std::nullopt;
      if (value) out = value;
    }
    return out;
  }

  std::string training() {
    std::vector<std::string> terms{"loss"};
    for (const std::string& c : train_)
      if (std::ranges::find(kTrainColumns, c) == kTrainColumns.end()) terms.push_back(c);
    std::string out;
    for (const std::string& term : terms)
      out += simple_chart(term == "loss" ? "Training loss" : join_text("Training loss: ", term), term, {.smooth = true});
    out += simple_chart("Learning rate", "lr", {.from_zero = true});
    out += simple_chart("Norm of the gradient", "gradient_norm", {.note = "before clipping", .smooth = true});
    if (out.empty() && !runs_.empty() && !several() && runs_.front().state != RunRecord::State::untrained)
      return "<p class=\"note\">There is no row of training yet.</p>\n";
    return out.empty() ? "" : join_text("<div class=\"charts\">\n", out, "</div>\n");
  }

  struct Simple {
    std::string note = {};
    bool from_zero = false, smooth = false;
    double factor = 1;
  };
  /// A column of the rows of training; smoothed, with what was smoothed in the background.
  std::string simple_chart(const std::string& title, const std::string& column, const Simple& how) {
    Chart chart{.title = title, .note = how.note, .from_zero = how.from_zero};
    double least = 1, most = 0;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<ChartPoint> raw = points(runs_[i], "train", column, how.factor);
      if (raw.empty()) continue;
      const double weight = how.smooth && raw.size() > 2 ? options_.smoothing.value_or(smoothing_for(raw.size())) : 0;
      std::vector<ChartPoint> line = weight > 0 ? smoothed(raw, weight) : raw;
      if (weight > 0 && runs_.size() <= kRunsWithRaw)
        chart.series.push_back(
            {.name = several() ? runs_[i].name + ", each row" : "each row", .run = i, .points = std::move(raw), .faint = true});
      chart.series.push_back({.name = label(weight > 0 ? "smoothed" : column, runs_[i]), .run = i, .points = std::move(line)});
      if (weight > 0) least = std::min(least, weight), most = std::max(most, weight);
    }
    if (most > 0)
      chart.note +=
          join_text(chart.note.empty() ? "" : ", ", "smoothed by ", least == most ? "" : plain_number(least) + " to ", plain_number(most));
    return chart.series.empty() ? "" : figure_of(chart, next_id());
  }
  /// The more rows, the longer the average: about a hundredth and a half of them. Few are smooth enough, and it would only lag behind.
  static double smoothing_for(std::size_t rows) {
    constexpr double kShortest = 2.5, kShare = 150;
    return rows < kRowsToSmooth ? 0 : 1 - 1 / std::max(kShortest, static_cast<double>(rows) / kShare);
  }

  std::string validation() {
    std::vector<std::string> order = metrics_;
    std::stable_partition(order.begin(), order.end(),
                          [&](const std::string& m) { return std::ranges::find(selecting_, m) != selecting_.end(); });
    std::string out, more;
    for (std::size_t k = 0; k < order.size(); ++k) (k < kFirstMetrics ? out : more) += metric_chart(order[k]);
    if (out.empty()) return "";
    out = join_text("<div class=\"charts\">\n", out, "</div>\n");
    if (!more.empty())
      out += join_text("<details class=\"more\"><summary>", order.size() - kFirstMetrics, " more metrics</summary><div class=\"charts\">\n",
                       more, "</div></details>\n");
    return out;
  }

  std::string metric_chart(const std::string& metric) {
    Chart chart{.title = metric};
    if (std::ranges::find(selecting_, metric) != selecting_.end()) chart.note = "picks the best";
    if (const auto goal = goals_.find(metric); goal != goals_.end() && goal->second != Goal::none)
      chart.note += join_text(chart.note.empty() ? "" : ", ", goal->second == Goal::minimize ? "lower is better" : "higher is better");
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      std::vector<ChartPoint> all = points(runs_[i], "validation", metric);
      if (all.empty()) continue;
      if (const JsonRow* best = runs_[i].best())
        if (const auto value = number_in(*best, metric))
          chart.marks.push_back({.x = static_cast<double>(step_of(*best)),
                                 .y = *value,
                                 .label = several() ? "" : join_text("best: ", page_number(*value)),
                                 .run = i});
      chart.series.push_back({.name = label("model", runs_[i]), .run = i, .points = std::move(all)});
    }
    for (const std::string& method : methods_) {
      if (const auto shared = shared_baseline(method, metric)) {
        chart.levels.push_back({method, *shared});
        continue;
      }
      for (std::size_t i = 0; i < runs_.size(); ++i)
        if (const auto value = baseline(i, method, metric)) chart.levels.push_back({join_text(method, ", ", runs_[i].name), *value});
    }
    return chart.series.empty() ? "" : figure_of(chart, next_id());
  }

  std::string speed() {
    std::string out = simple_chart("Items per second", "items_per_s", {.from_zero = true, .smooth = true});
    out += simple_chart("Waiting for data", "loader_wait", {.note = "% of the time", .from_zero = true, .smooth = true, .factor = 100});
    return out.empty() ? "" : join_text("<div class=\"charts\">\n", out, "</div>\n");
  }

  std::string rate_range() {
    Chart chart{.title = "Loss by learning rate",
                .note = "smoothed, as the suggestion reads it; each step behind it",
                .x_title = "learning rate",
                .x_scale = ChartScale::logarithmic};
    bool positive = true;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const RunRecord& run = runs_[i];
      if (run.rate_range.empty()) continue;
      ChartSeries each{.name = label("each step", run), .run = i, .points = {}, .faint = true},
          line{.name = label("loss", run), .run = i, .points = {}};
      for (const RunRecord::RateRow& row : run.rate_range) {
        if (row.rate <= 0) continue;
        each.points.push_back({row.rate, row.loss});
        line.points.push_back({row.rate, row.smoothed});
      }
      for (ChartSeries* s : {&each, &line}) std::ranges::stable_sort(s->points, {}, &ChartPoint::x);
      positive = positive && std::ranges::none_of(each.points, [](const ChartPoint& p) { return p.y <= 0; });
      if (run.suggested_rate > 0 && !line.points.empty()) {
        const auto near = std::ranges::min_element(
            line.points, {}, [&](const ChartPoint& p) { return std::isfinite(p.y) ? std::abs(std::log(p.x / run.suggested_rate)) : 1e9; });
        chart.marks.push_back({.x = run.suggested_rate,
                               .y = near->y,
                               .label = join_text("suggested: ", plain_number(run.suggested_rate)),
                               .run = i,
                               .across = true});
      }
      chart.series.push_back(std::move(each));
      chart.series.push_back(std::move(line));
    }
    if (positive) chart.y_scale = ChartScale::logarithmic;  // the end of the range would hide the fall before it
    return chart.series.empty() ? "" : join_text("<div class=\"charts\">\n", figure_of(chart, next_id()), "</div>\n");
  }

  /// The last state of each layer, and its course.
  std::string layers() const {
    std::string out;
    for (const RunRecord& run : runs_) {
      if (run.layers.empty()) continue;
      std::vector<std::string> names;
      std::map<std::string, std::vector<const RunRecord::LayerRow*>, std::less<>> rows;
      for (const RunRecord::LayerRow& row : run.layers) {
        auto& of_layer = rows[row.name];
        if (of_layer.empty()) names.push_back(row.name);
        of_layer.push_back(&row);
      }
      std::string table = join_text("<div class=\"scroll\"><table><thead><tr>", head("layer"), head("largest weight"), head(""),
                                    head("largest gradient"), head(""), head("update / weight"), head(""), "</tr></thead><tbody>\n");
      for (const std::string& name : names) {
        const auto& of_layer = rows.find(name)->second;
        table += "<tr>" + head(join_text("<span class=\"code\">", escaped_markup(name), "</span>"), "row");
        for (const auto& [what, member] :
             {std::pair("largest weight", &RunRecord::LayerRow::weight), std::pair("largest gradient", &RunRecord::LayerRow::gradient),
              std::pair("update over weight", &RunRecord::LayerRow::update)}) {
          std::vector<ChartPoint> course;
          for (const RunRecord::LayerRow* row : of_layer) course.push_back({static_cast<double>(row->step), row->*member});
          table += cell(page_number(of_layer.back()->*member)) + cell(sparkline(course, join_text(what, " of ", name, " by step")));
        }
        table += "</tr>\n";
      }
      table += "</tbody></table></div>\n";
      if (several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
      out += join_text("<p class=\"note\">At step ", data::grouped(run.layers.back().step), ", with the course from step ",
                       data::grouped(run.layers.front().step),
                       " on a logarithmic scale. The last column says how far a step moves a weight, relative to it.</p>\n");
      out +=
          names.size() <= kOpenLayers ? table : join_text("<details><summary>", names.size(), " layers</summary>", table, "</details>\n");
    }
    return out;
  }

  std::string findings() {
    std::string out;
    for (const RunRecord& run : runs_) {
      if (!run.findings || run.findings->findings.empty()) continue;
      if (several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
      out += join_text("<p class=\"note\">Of the ", escaped_markup(run.findings->split), " part, by the model of step ",
                       data::grouped(run.findings->step), ".</p>\n");
      for (const StoredFinding& f : run.findings->findings) out += finding_section(f, next_id(), several() ? 4 : 3);
    }
    return out;
  }

  // ------------------------------------------------------------------ data and configuration

  std::string data_read() const {
    std::string out, before;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const RunRecord& run = runs_[i];
      if (!run.about || run.about->data.facts.empty()) continue;
      std::string table = "<table class=\"words\"><tbody>\n";
      for (const auto& f : run.about->data.facts)
        table += join_text("<tr>", head(escaped_markup(f.what), "row"), cell(escaped_markup(f.text)), "</tr>\n");
      table += "</tbody></table>\n";
      if (several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
      out += table == before ? std::string("<p class=\"note\">The same.</p>\n") : table;
      before = table;
    }
    return out;
  }

  /// The keys that are not the same in all runs.
  std::string differences() const {
    std::vector<std::string> keys;
    for (const RunRecord& run : runs_)
      for (const auto& c : run.config)
        if (std::ranges::find(keys, c.key) == keys.end()) keys.push_back(c.key);
    std::string rows;
    for (const std::string& key : keys) {
      if (key == "run.dir") continue;
      const auto value = [&](const RunRecord& run) {
        const auto found = std::ranges::find(run.config, key, &RunRecord::ConfigValue::key);
        return found == run.config.end() ? std::nullopt : std::optional(found->value);
      };
      const auto first = value(runs_.front());
      if (std::ranges::all_of(runs_, [&](const RunRecord& run) { return run.config.empty() || value(run) == first; })) continue;
      rows += "<tr>" + head(join_text("<span class=\"code\">", escaped_markup(key), "</span>"), "row");
      for (std::size_t i = 0; i < runs_.size(); ++i) rows += cell(escaped_markup(value(runs_[i]).value_or("")), join_text("code r", i));
      rows += "</tr>\n";
    }
    if (rows.empty()) return "<p class=\"note\">The configurations say the same.</p>\n";
    std::string out = join_text("<div class=\"scroll\"><table><thead><tr>", head("key"));
    for (std::size_t i = 0; i < runs_.size(); ++i)
      out += join_text("<th scope=\"col\" class=\"r", i, "\">", swatch(i), escaped_markup(runs_[i].name), "</th>");
    return out + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
  }

  static std::string config_table(const std::vector<const RunRecord::ConfigValue*>& values) {
    std::string out = join_text("<div class=\"scroll\"><table class=\"words\"><thead><tr>", head("key"), head("value"), head("from"),
                                "</tr></thead><tbody>\n");
    for (const auto* v : values)
      out += join_text("<tr>", head(join_text("<span class=\"code\">", escaped_markup(v->key), "</span>"), "row"),
                       cell(escaped_markup(v->value), "code"),
                       join_text("<td class=\"origin\" title=\"", escaped_markup(v->origin), "\">", escaped_markup(short_origin(v->origin)),
                                 "</td></tr>\n"));
    return out + "</tbody></table></div>\n";
  }

  std::string configuration() const {
    std::string out;
    for (const RunRecord& run : runs_) {
      if (run.config.empty()) continue;
      std::vector<const RunRecord::ConfigValue*> set, defaults;
      for (const auto& c : run.config) (c.origin == kByDefault ? defaults : set).push_back(&c);
      out += join_text("<details><summary>", several() ? escaped_markup(run.name) + ": " : std::string(), set.size(),
                       " keys that are set, ", defaults.size(), " as they are by default</summary>\n", config_table(set));
      if (!defaults.empty()) out += "<h3>By default</h3>\n" + config_table(defaults);
      out += "</details>\n";
    }
    return out;
  }

  std::string document(const std::string& body) const {
    std::string hidden, places;
    if (several())
      for (std::size_t i = 0; i < runs_.size(); ++i) hidden += join_text(".hide-r", i, " svg .r", i, "{display:none}\n");
    for (const RunRecord& run : runs_)
      places += join_text(places.empty() ? "" : ", ", "<span class=\"code\">", escaped_markup(run.directory), "</span>");
    const std::string title = several() ? join_text(runs_.size(), " runs") : runs_.front().name;
    return join_text("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>", escaped_markup(title),
                     " · Capstan report</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                     "<meta name=\"color-scheme\" content=\"light dark\">\n",
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
                     "script-src 'sha256-",
                     kPageScriptHash, "'; base-uri 'none'; form-action 'none'\">\n",
                     options_.reload_seconds > 0 ? join_text("<meta http-equiv=\"refresh\" content=\"", options_.reload_seconds, "\">\n")
                                                 : std::string(),
                     "<link rel=\"icon\" href=\"data:,\">\n<style>", kPageStyle, hidden, "</style>\n</head>\n<body>\n<main>\n", body,
                     "<footer>\n<p>Made ", time_text(), " from ", places, ".",
                     options_.reload_seconds > 0
                         ? join_text(" The run goes on; this page loads itself again every ", options_.reload_seconds, " seconds.")
                         : std::string(),
                     "</p>\n</footer>\n</main>\n<script>", kPageScript, "</script>\n</body>\n</html>\n");
  }

  static constexpr std::string_view kByDefault = "default";
  static constexpr std::array<std::string_view, 8> kTrainColumns{"step",          "epoch",       "loss",        "lr",
                                                                 "gradient_norm", "items_per_s", "loader_wait", "error"};

  std::span<const RunRecord> runs_;
  ReportOptions options_;
  std::vector<std::string> train_;              // columns of training
  std::vector<ValidationColumns> validations_;  // of each run
  std::vector<std::string> metrics_, methods_;  // of all
  std::vector<std::string> selecting_;          // the metric that picks the best, of each run
  std::string metric_;                          // that of the first one that has one
  std::map<std::string, Goal, std::less<>> goals_;
  std::size_t figures_ = 0;
};

}  // namespace

std::string report_page(std::span<const RunRecord> runs, const ReportOptions& options) {
  require<InternalError>(!runs.empty(), "report: there is no run");
  return PageWriter(runs, options).page();
}

}  // namespace capstan::engine
