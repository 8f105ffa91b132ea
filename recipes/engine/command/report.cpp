#include "recipes/engine/command/report.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <ostream>
#include <set>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/output_file.h"
#include "recipes/engine/command/commands.h"
#include "recipes/engine/command/sweep.h"
#include "recipes/engine/config/arguments.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/recipe.h"
#include "recipes/engine/report/csv.h"
#include "recipes/engine/report/event_file.h"
#include "recipes/engine/report/live_report.h"
#include "recipes/engine/report/report_page.h"
#include "recipes/engine/report/run_record.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// The arguments that are neither flags nor their values.
std::vector<std::string> runs_in(std::span<const std::string> arguments, std::span<const Flag> flags, std::vector<std::string>& rest) {
  std::vector<std::string> runs;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (!a.starts_with("--")) {
      runs.push_back(a);
      continue;
    }
    rest.push_back(a);
    const auto flag = std::ranges::find(flags, std::string_view(a).substr(2), &Flag::name);
    if (flag != flags.end() && !flag->value_name.empty() && i + 1 < arguments.size()) rest.push_back(arguments[++i]);
  }
  return runs;
}

/// The directories of the runs of a sweep; else what was given.
std::vector<std::string> runs_of(const std::string& given) {
  namespace fs = std::filesystem;
  const fs::path directory(given);
  std::error_code error;
  if (!fs::exists(directory / kSweepTable, error) || fs::exists(directory / "metrics.jsonl", error)) return {given};
  std::vector<std::string> runs;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (fs::exists(entry.path() / "metrics.jsonl", error)) runs.push_back(entry.path().string());
  require<DataError>(!runs.empty(), given, ": is the directory of a sweep of which no run has begun");
  std::ranges::sort(runs);
  return runs;
}

/// Runs of equal names are told apart by their paths.
void make_names_unique(std::vector<RunRecord>& runs) {
  std::map<std::string, int> count;
  for (const RunRecord& run : runs) ++count[run.name];
  for (RunRecord& run : runs)
    if (count[run.name] > 1) run.name = run.directory;
}

/// For a directory of its own below another.
std::string as_file_name(std::string name) {
  std::ranges::replace(name, '/', '_');
  return name == "." || name == ".." ? "run" : name;
}

}  // namespace

int report_runs(std::span<const std::string> arguments, const Console& console) {
  const std::vector<Flag>& flags = command_text("report").flags;
  std::vector<std::string> rest;
  const std::vector<std::string> paths = runs_in(arguments, flags, rest);
  const Arguments given = parse_arguments(rest, flags, nullptr);
  require<ConfigError>(!paths.empty(), "report: needs the directory of a run, or several\nusage: capstan report ",
                       command_text("report").arguments);
  ReportOptions options;
  if (given.has("smoothing")) {
    const double smoothing = named_by("report: --smoothing", [&] { return parse_number(given.value("smoothing")); });
    require<ConfigError>(smoothing >= 0 && smoothing < 1, "report: --smoothing must be at least 0 and below 1, got ", smoothing);
    options.smoothing = smoothing;
  }

  std::vector<RunRecord> runs;
  std::set<std::string> seen;
  std::vector<std::string> directories;
  for (const std::string& path : paths) std::ranges::copy(runs_of(expand_home(path)), std::back_inserter(directories));
  for (const std::string& path : directories) {
    RunRecord run = read_run(path);
    require<ConfigError>(seen.insert(run.directory).second, "report: ", path, " is named twice");
    for (const std::string& note : run.notes) console.err << "capstan: " << note << "\n";
    runs.push_back(std::move(run));
  }
  make_names_unique(runs);

  const bool exports = given.has("csv") || given.has("tensorboard");
  std::string output = given.value("output");
  if (output.empty() && !exports) {
    require<ConfigError>(paths.size() == 1, "report: of several runs it needs --output FILE");
    output = join_text(runs.size() == 1 ? runs.front().directory : expand_home(paths.front()), "/", kReportFile);
  }
  require<ConfigError>(output != "-" || given.value("csv") != "-", "report: --output and --csv cannot both be standard output");
  std::ostream& said = output == "-" || given.value("csv") == "-" ? console.err : console.out;
  const auto write = [&](std::string_view flag, const std::string& to, const std::string& text) {
    if (to == "-") {
      console.out << text;
      return;
    }
    const std::string path = expand_home(to);
    named_by(join_text("report: --", flag), [&] { data::write_output(path, text); });
    said << path << "\n";
  };
  if (given.has("csv")) write("csv", given.value("csv"), csv_of(runs));
  if (given.has("tensorboard")) {
    const std::string directory = expand_home(given.value("tensorboard"));
    for (const RunRecord& run : runs)
      said << write_events(run, runs.size() == 1 ? directory : join_text(directory, "/", as_file_name(run.name))) << "\n";
  }
  if (!output.empty()) write("output", output, report_page(runs, options));
  return kOk;
}

}  // namespace capstan::engine
