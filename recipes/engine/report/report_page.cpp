#include "recipes/engine/report/report_page.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/markup.h"
#include "recipes/engine/report/chart.h"
#include "recipes/engine/report/compared_runs.h"
#include "recipes/engine/report/finding_section.h"
#include "recipes/engine/report/html_table.h"
#include "recipes/engine/report/page_style.h"
#include "recipes/engine/report/run_charts.h"
#include "recipes/engine/report/run_tables.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

using data::escaped_markup;

class PageWriter {
 public:
  PageWriter(std::span<const RunRecord> runs, const ReportOptions& options) : compared_(runs), options_(options) {}

  std::string page() {
    std::vector<std::pair<std::string, std::string>> sections;  // name, content
    const auto section = [&](std::string name, std::string content) {
      if (!content.empty()) sections.emplace_back(std::move(name), std::move(content));
    };
    if (compared_.several()) section("Runs", runs_table(compared_));
    section("Results", results_table(compared_));
    section("Training", training_charts(compared_, options_.smoothing, ids_));
    section("Validation", validation_charts(compared_, ids_));
    section("Speed", speed_charts(compared_, options_.smoothing, ids_));
    section("Learning-rate range", rate_range_chart(compared_, ids_));
    section("Layers", layers_tables(compared_));
    section("Findings", findings());
    if (compared_.several()) section("Differences", differences_table(compared_));
    section("Data", data_tables(compared_));
    section("Configuration", configuration_tables(compared_));

    std::string body = header(), links;
    for (std::size_t i = 0; i < sections.size(); ++i) links += join_text("<a href=\"#part-", i, "\">", sections[i].first, "</a>\n");
    body += join_text("<nav aria-label=\"Parts of this page\">\n", links, "</nav>\n");
    if (compared_.several()) body += legend();
    body += warnings();
    for (std::size_t i = 0; i < sections.size(); ++i)
      body += join_text("<section id=\"part-", i, "\">\n<h2>", sections[i].first, "</h2>\n", sections[i].second, "</section>\n");
    return document(body);
  }

 private:
  std::string header() const {
    const RunRecord& first = compared_.runs().front();
    std::string title = first.name;
    if (compared_.several()) title = join_text(compared_.runs().size(), " runs compared");
    std::string out = join_text("<header>\n<p class=\"kicker\">Capstan report</p>\n<h1>", escaped_markup(title), "</h1>\n");
    if (compared_.several()) return out + "</header>\n";
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
      out += join_text("<div><dt>", html_breakable(name), "</dt><dd>", escaped_markup(value),
                       more.empty() ? std::string() : join_text("<small>", escaped_markup(more), "</small>"), "</dd></div>\n");
    };
    if (const JsonRow* best = run.best())
      if (const auto value = number_in(*best, compared_.metric()))
        fact(join_text("best ", compared_.metric()), page_number(*value), join_text("at step ", data::grouped(step_of(*best))));
    const auto losses = points_of(run, "train", "loss");
    if (!losses.empty()) fact("training loss", page_number(losses.back().y), "the last row's");
    if (!run.rows.empty()) {
      const auto epochs = number_in(run.rows.back(), "epoch").value_or(0);
      fact("steps", data::grouped(run.last_step()), join_text(epochs, epochs == 1 ? " epoch done" : " epochs done"));
    }
    if (!run.started.empty())
      fact("time", duration_text(run.seconds),
           run.resumed == 0 ? "" : join_text("resumed ", run.resumed, run.resumed == 1 ? " time" : " times"));
    if (const auto speed = median_of(points_of(run, "train", "items_per_s"))) fact("items per second", page_number(*speed), "median");
    if (run.about && run.about->parameters > 0) fact("parameters", data::grouped(run.about->parameters));
    return out.empty() ? "" : join_text("<dl class=\"facts\">\n", out, "</dl>\n");
  }

  std::string legend() const {
    std::string out = "<div class=\"runs\" aria-label=\"Colours of the runs\">\n";
    for (std::size_t i = 0; i < compared_.runs().size(); ++i)
      out += join_text("<span class=\"key\" data-run=\"r", i, "\">", swatch(i), escaped_markup(compared_.runs()[i].name), "</span>\n");
    return out + "</div>\n";
  }

  std::string warnings() const {
    std::string out;
    for (const RunRecord& run : compared_.runs()) {
      std::vector<std::string> all = run.notes;
      if (run.about) all.insert(all.end(), run.about->data.warnings.begin(), run.about->data.warnings.end());
      for (const std::string& w : run.warnings)
        if (std::ranges::find(all, w) == all.end()) all.push_back(w);
      for (const std::string& w : all)
        out += join_text("<p>", compared_.several() ? join_text("<b>", escaped_markup(run.name), "</b> ") : std::string(),
                         escaped_markup(w), "</p>\n");
    }
    return out.empty() ? "" : join_text("<aside class=\"warnings\" aria-label=\"Warnings\">\n", out, "</aside>\n");
  }

  std::string findings() {
    std::string out;
    for (const RunRecord& run : compared_.runs()) {
      if (!run.findings || run.findings->findings.empty()) continue;
      if (compared_.several()) out += join_text("<h3>", escaped_markup(run.name), "</h3>\n");
      out += join_text("<p class=\"note\">Of the ", escaped_markup(run.findings->split), " part, by the model of step ",
                       data::grouped(run.findings->step), ".</p>\n");
      for (const StoredFinding& f : run.findings->findings) out += finding_section(f, ids_.next(), compared_.several() ? 4 : 3);
    }
    return out;
  }

  std::string document(const std::string& body) const {
    std::string hidden, places;
    if (compared_.several())
      for (std::size_t i = 0; i < compared_.runs().size(); ++i) hidden += join_text(".hide-r", i, " svg .r", i, "{display:none}\n");
    for (const RunRecord& run : compared_.runs()) places += join_text(places.empty() ? "" : ", ", html_code(run.directory));
    const std::string title = compared_.several() ? join_text(compared_.runs().size(), " runs") : compared_.runs().front().name;
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

  ComparedRuns compared_;
  ReportOptions options_;
  FigureIds ids_;
};

}  // namespace

std::string report_page(std::span<const RunRecord> runs, const ReportOptions& options) {
  require<InternalError>(!runs.empty(), "report: there is no run");
  return PageWriter(runs, options).page();
}

}  // namespace capstan::engine
