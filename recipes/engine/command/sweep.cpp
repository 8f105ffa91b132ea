#include "recipes/engine/command/sweep.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/child_process.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/report/run_result.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRuns = 10'000, kLongestName = 120;
constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

enum class RunState { waiting, done, stopped, failed };

struct SweepRun {
  std::vector<std::string> values;  // of the axes
  std::string name, directory;
  std::vector<std::string> arguments;  // of `capstan`, without --resume
  RunState state = RunState::waiting;
  std::string reason = {};  // why it stopped or failed
  int code = 0;
  double seconds = 0;  // in all calls
  std::optional<MetricInfo> metric = {};
  double best = kNoNumber, last_loss = kNoNumber;
  std::int64_t best_step = -1;
};

/// The parts between separators that do not stand in quotes, without blanks around them.
std::vector<std::string> split_values(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && c == separator) {
      parts.emplace_back();
      continue;
    }
    if (quote == 0 ? c == '"' || c == '\'' : c == quote) quote = quote == 0 ? c : '\0';
    parts.back() += c;
  }
  for (std::string& part : parts) part = std::string(trimmed(part));
  return parts;
}

std::string text_of_value(const std::string& value) { return std::string(unquoted(value)); }

std::vector<Assignment> with_values(const SweepSettings& settings, std::span<const std::string> values) {
  std::vector<Assignment> all = settings.shared;
  for (std::size_t a = 0; a < settings.axes.size(); ++a)
    all.push_back({.key = settings.axes[a].key, .value = values[a], .origin = std::string(kCommandLineOrigin)});
  return all;
}

/// Every combination; the last axis changes fastest.
std::vector<std::vector<std::string>> combinations(std::span<const SweepAxis> axes) {
  std::vector<std::vector<std::string>> all{{}};
  for (const SweepAxis& axis : axes) {
    std::vector<std::vector<std::string>> longer;
    for (const auto& start : all)
      for (const std::string& value : axis.values) {
        longer.push_back(start);
        longer.back().push_back(value);
      }
    require<ConfigError>(longer.size() <= kMostRuns, "sweep: more than ", kMostRuns, " combinations of values");
    all = std::move(longer);
  }
  return all;
}

/// How the configuration that a directory was run with differs from this one, in words; empty where it does not.
std::string difference_from(const std::string& directory, const OptionTable& table) {
  const std::string file = directory + "/" + std::string(kRunConfig);
  if (!fs::exists(file)) return "";
  std::string text;
  for (const Assignment& a : read_config_file(file)) {
    const Option* option = table.find(a.key);
    if (option == nullptr || option->concern == Concern::machine) continue;
    const std::string before = text_of_value(a.value), now = option->get();
    if (before != now) text += join_text(text.empty() ? "" : ", ", a.key, " = ", before, ", now ", now);
  }
  return text;
}

/// What the rows of a run say, as far as they can be read.
void read_rows(SweepRun& run) {
  const std::string file = run.directory + "/metrics.jsonl";
  if (!fs::exists(file)) return;
  std::istringstream lines(data::read_text(file));
  for (std::string line; std::getline(lines, line);) try {
      const data::Json row = data::parse_json(line, file);
      const std::string_view split = row["split"].text();
      if (split == "train") {
        const auto loss = row.find("loss");
        run.last_loss = loss ? loss->number() : kNoNumber;
      } else if (split == "validation" && run.metric && run.state != RunState::done) {
        const auto value = row.find(run.metric->name);
        if (!value) continue;
        const bool first = std::isnan(run.best), lower = run.metric->goal == Goal::minimize;
        if (!first && (lower ? value->number() >= run.best : value->number() <= run.best)) continue;
        run.best = value->number();
        run.best_step = row["step"].integer();
      }
    } catch (const DataError&) {
      continue;  // a line that a kill has cut off
    }
}

std::string state_text(const SweepRun& run) {
  switch (run.state) {
    case RunState::waiting: return "not run";
    case RunState::done: return "done";
    case RunState::stopped: return "stopped";
    case RunState::failed: return join_text("failed: ", run.reason);
  }
  return "?";
}

/// Whether a person who watches the sweep wants to see this line of a run; all of them are in its log.txt.
bool is_telling(std::string_view line) {
  return line.starts_with("epoch ") || line.starts_with("warning:") || line.starts_with("capstan: ") || line.starts_with("resumed from ");
}

/// The best first; those without a value last, as they come.
std::vector<const SweepRun*> ranked(std::span<const SweepRun> runs) {
  std::vector<const SweepRun*> order;
  for (const SweepRun& run : runs) order.push_back(&run);
  std::ranges::stable_sort(order, [](const SweepRun* a, const SweepRun* b) {
    if (std::isnan(a->best) || std::isnan(b->best)) return !std::isnan(a->best) && std::isnan(b->best);
    return a->metric && a->metric->goal == Goal::minimize ? a->best < b->best : a->best > b->best;
  });
  return order;
}

std::string metric_name(std::span<const SweepRun> runs) {
  for (const SweepRun& run : runs)
    if (run.metric) return run.metric->name;
  return "metric";
}

std::vector<std::string> sweep_heads(std::span<const SweepAxis> axes, std::span<const SweepRun> runs) {
  std::vector<std::string> names;
  for (const SweepAxis& axis : axes) names.push_back(axis.short_name);
  for (std::string name : {metric_name(runs), std::string("at step"), std::string("last loss")}) names.push_back(std::move(name));
  return names;
}

std::string table_for_people(std::span<const SweepAxis> axes, std::span<const SweepRun> runs) {
  std::vector<std::vector<std::string>> rows{sweep_heads(axes, runs)};
  rows[0].insert(rows[0].end(), {"time", "state"});
  for (const SweepRun* run : ranked(runs)) {
    std::vector<std::string> cells;
    for (const std::string& value : run->values) cells.push_back(text_of_value(value));
    cells.push_back(std::isnan(run->best) ? "-" : short_number(run->best));
    cells.push_back(run->best_step < 0 ? "-" : std::to_string(run->best_step));
    cells.push_back(std::isnan(run->last_loss) ? "-" : short_number(run->last_loss));
    cells.push_back(run->seconds > 0 ? duration_text(run->seconds) : "-");
    cells.push_back(state_text(*run));
    rows.push_back(std::move(cells));
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) text += padded(row[i], widths[i], /*right=*/i >= axes.size()) + "  ";
    text += row.back() + "\n";
  }
  return text;
}

std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string table_for_programs(std::span<const SweepAxis> axes, std::span<const SweepRun> runs) {
  std::string text;
  for (const SweepAxis& axis : axes) text += axis.key + "\t";
  text += metric_name(runs) + "\tat_step\tlast_loss\tseconds\tstate\tdirectory\n";
  const auto number = [](double v) { return std::isnan(v) ? std::string() : join_text(v); };
  for (const SweepRun* run : ranked(runs)) {
    for (const std::string& value : run->values) text += one_line(text_of_value(value)) + "\t";
    text += number(run->best) + "\t" + (run->best_step < 0 ? std::string() : std::to_string(run->best_step)) + "\t" +
            number(run->last_loss) + "\t" + join_text(std::round(1e3 * run->seconds) / 1e3) + "\t" + one_line(state_text(*run)) + "\t" +
            run->name + "\n";
  }
  return text;
}

/// The seconds that earlier calls have spent on each run, by its name.
std::map<std::string, double> seconds_before(const std::string& table_file) {
  std::map<std::string, double> seconds;
  if (!fs::exists(table_file)) return seconds;
  std::istringstream lines(data::read_text(table_file));
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells = split_values(line, '\t');
    if (cells.size() < 3) continue;
    const std::string& cell = cells[cells.size() - 3];
    double value = 0;
    if (std::from_chars(cell.data(), cell.data() + cell.size(), value).ec == std::errc()) seconds[cells.back()] = value;
  }
  return seconds;
}

/// Keys that stand twice among the arguments, of which an ordinary command takes the last.
void require_each_once(std::span<const std::string> arguments, const OptionTable& table) {
  std::set<std::string, std::less<>> seen;
  for (std::string_view a : arguments) {
    if (a.starts_with("--")) a.remove_prefix(2);
    const std::string_view key = a.substr(0, a.find('='));
    if (table.find(key) != nullptr)
      require<ConfigError>(seen.emplace(key).second, "sweep: ", key, " is given twice; values of one key stand behind each other: ", key,
                           "=a,b");
  }
}

/// The runs of a sweep: started one after the other, or some at a time, watched and recorded.
class Sweep {
 public:
  Sweep(SweepSettings settings, std::string directory, std::vector<SweepRun> runs, const Console& console, const StartRun& start)
      : settings_(std::move(settings)), directory_(std::move(directory)), runs_(std::move(runs)), console_(console), start_(start) {
    const std::map<std::string, double> before = seconds_before(table_file());
    for (SweepRun& run : runs_) {
      if (const auto found = before.find(run.name); found != before.end()) run.seconds = found->second;
      look_at(run);
    }
    record();
  }

  void run_all(std::size_t jobs) {
    std::size_t next = 0;
    bool told = false;
    const StopSignals signals;
    for (;;) {
      while (stop_signal() == 0 && under_way_.size() < jobs && next < runs_.size()) {
        if (runs_[next].state == RunState::done) {
          say(runs_[next], "is done already");
        } else {
          start(runs_[next]);
        }
        ++next;
      }
      if (under_way_.empty()) break;
      wait_for_output();
      if (stop_signal() != 0 && !std::exchange(told, true)) {
        console_.err << "sweep: stopping; "
                     << (under_way_.size() == 1 ? "the run that is under way is saved first"
                                                : "the runs that are under way are saved first")
                     << std::endl;
        for (UnderWay& u : under_way_) u.process->signal(stop_signal());
      }
    }
  }

  int finish() {
    console_.out << table_for_people(settings_.axes, runs_);
    console_.err << "sweep: the table is in " << table_file() << std::endl;
    if (stop_signal() != 0) return 128 + stop_signal();
    for (const SweepRun& run : runs_)
      if (run.state != RunState::done) return run.code != 0 ? run.code : kInternal;
    return kOk;
  }

 private:
  struct UnderWay {
    SweepRun* run;
    std::unique_ptr<ChildProcess> process;
    double began;
    std::string last_error = {};
  };

  std::string table_file() const { return directory_ + "/" + std::string(kSweepTable); }
  void record() { data::write_file_durably(table_file(), std::string_view(table_for_programs(settings_.axes, runs_))); }

  void say(const SweepRun& run, std::string_view text) {
    console_.err << "[" << (&run - runs_.data()) + 1 << "/" << runs_.size() << "] " << run.name << "  " << text << std::endl;
  }

  /// What the directory of a run says of it.
  void look_at(SweepRun& run) {
    if (const auto result = read_result(run.directory)) {
      run.state = RunState::done;
      run.metric = result->metric;
      if (result->metric) {
        run.best = result->best;
        run.best_step = result->best_step;
        for (SweepRun& other : runs_)
          if (!other.metric) other.metric = result->metric;  // the runs of a recipe select alike
      }
    }
    read_rows(run);
  }

  void start(SweepRun& run) {
    std::vector<std::string> arguments = run.arguments;
    const bool goes_on = !checkpoints_of(run.directory).empty();
    if (goes_on) arguments.insert(arguments.end(), {"--resume", "auto"});
    say(run, goes_on ? "goes on" : "starts");
    console_.err.flush();
    console_.out.flush();
    under_way_.push_back(
        {.run = &run, .process = std::make_unique<ChildProcess>([&] { return start_(arguments); }), .began = wall_seconds()});
  }

  void wait_for_output() {
    std::vector<pollfd> outputs;
    for (const UnderWay& u : under_way_) outputs.push_back({.fd = u.process->output(), .events = POLLIN, .revents = 0});
    if (::poll(outputs.data(), outputs.size(), 200) <= 0) return;  // a signal, too
    std::size_t i = 0;
    for (auto u = under_way_.begin(); u != under_way_.end(); ++i) {
      const bool more = outputs[i].revents == 0 || u->process->read([&](std::string_view line) {
        if (line.starts_with("capstan: ")) u->last_error = line.substr(std::string_view("capstan: ").size());
        if (is_telling(line)) say(*u->run, line);
      });
      if (more) {
        ++u;
        continue;
      }
      ended(*u);
      u = under_way_.erase(u);
    }
  }

  void ended(UnderWay& u) {
    SweepRun& run = *u.run;
    run.code = u.process->wait();
    run.seconds += wall_seconds() - u.began;
    run.best = run.last_loss = kNoNumber;
    run.best_step = -1;
    run.state = RunState::failed;
    const int number = run.code - 128;
    if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGUSR1) {
      run.state = RunState::stopped;
    } else if (run.code != 0) {
      run.reason = !u.last_error.empty() ? u.last_error
                   : number > 0          ? join_text("ended by signal ", number)
                                         : join_text("exit code ", run.code);
    }
    look_at(run);
    if (run.code == 0 && run.state != RunState::done) run.reason = "it left no result.json";
    record();
    std::string text = state_text(run) + " after " + duration_text(run.seconds);
    if (!std::isnan(run.best)) text += "  " + run.metric->name + " " + short_number(run.best);
    say(run, text);
  }

  SweepSettings settings_;
  std::string directory_;
  std::vector<SweepRun> runs_;
  const Console& console_;
  const StartRun& start_;
  std::list<UnderWay> under_way_;
};

}  // namespace

SweepSettings sweep_settings(const OptionTable& table, std::span<const Assignment> assignments) {
  SweepSettings settings;
  for (const Assignment& a : assignments) {
    const Option& option = *table.find(a.key);
    require<ConfigError>(a.key != "recipe", "sweep: recipe cannot be changed, it decides which keys there are");
    const char separator = option.type.starts_with("list") ? ';' : ',';
    std::vector<std::string> values = split_values(a.value, separator);
    if (values.size() == 1) {
      settings.shared.push_back(a);
      continue;
    }
    require<ConfigError>(a.key != "run.dir", "sweep: run.dir is one directory, below which each run has its own, got ", a.value);
    for (const std::string& value : values)
      require<ConfigError>(!value.empty(), "sweep: ", a.key, " has an empty value in '", a.value, "'; its values are separated by ",
                           separator == ';' ? "semicolons" : "commas");
    settings.axes.push_back({.key = a.key, .short_name = a.key.substr(a.key.rfind('.') + 1), .values = std::move(values)});
  }
  for (SweepAxis& axis : settings.axes)
    if (std::ranges::count(settings.axes, axis.short_name, &SweepAxis::short_name) > 1) axis.short_name = "";
  for (SweepAxis& axis : settings.axes)
    if (axis.short_name.empty()) axis.short_name = axis.key;
  return settings;
}

std::string sweep_directory_name(std::span<const std::pair<std::string, std::string>> values) {
  std::string name;
  for (const auto& [key, value] : values) {
    if (!name.empty()) name += ",";
    name += key + "=";
    for (const char c : value) {
      const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("._-+").find(c) != std::string_view::npos;
      if (plain) {
        name += c;
      } else if (c != ' ') {
        name += '_';
      }
    }
  }
  if (name.size() <= kLongestName) return name;
  const data::Digest digest = data::digest_of(std::as_bytes(std::span(name)));
  return name.substr(0, kLongestName) + "-" + std::to_string(digest.crc32c);
}

int sweep(const RecipeEntry& recipe, const CommandLine& line, const Console& console, const StartRun& start) {
  const auto config = recipe.configuration();
  Arguments arguments;
  if (std::ranges::any_of(line.arguments, is_help)) {
    configure(line, *config, arguments, console);
    return kOk;
  }
  const OptionTable& table = config->table();
  try {
    arguments = parse_arguments(line.arguments, flags_of(line.command), &table);
  } catch (const ConfigError& e) {
    throw ConfigError(join_text(e.what(), "\n`capstan sweep ", line.config_name, " --help` shows the flags and keys"));
  }
  require_each_once(line.arguments, table);
  const std::int64_t jobs = named_by("sweep: --jobs", [&] { return parse_integer(arguments.value("jobs", "1")); });
  require<ConfigError>(jobs >= 1 && jobs <= 1024, "sweep: --jobs must be between 1 and 1024, got ", jobs);
  const SweepSettings settings = sweep_settings(table, arguments.assignments);
  require<ConfigError>(!settings.axes.empty(), "sweep: no key has several values, such as optimizer.learning_rate=1e-3,3e-3",
                       "\nusage: capstan sweep ", command_text("sweep").arguments);

  // Every configuration is read before the first run starts.
  std::vector<SweepRun> runs;
  std::string directory;
  std::map<std::string, std::string> names;
  for (std::vector<std::string>& values : combinations(settings.axes)) {
    const auto of_run = recipe.configuration();
    CommandLine one{.command = "train", .config_path = line.config_path, .config_name = line.config_name, .arguments = {}};
    for (const Assignment& a : with_values(settings, values)) one.arguments.push_back(a.key + "=" + a.value);
    Arguments ignored;
    std::ostringstream nothing;
    configure(one, *of_run, ignored, {.in = console.in, .out = nothing, .err = nothing});
    if (directory.empty()) {
      const bool named = of_run->table().find("run.dir")->origin == kCommandLineOrigin;
      directory = run_directory(one, *of_run) + (named ? "" : "-sweep");
    }
    std::vector<std::pair<std::string, std::string>> named_values;
    std::string identity;
    for (const SweepAxis& axis : settings.axes) {
      named_values.emplace_back(axis.short_name, of_run->table().find(axis.key)->get());
      identity += named_values.back().second + "\n";
    }
    const std::string name = sweep_directory_name(named_values);
    const auto [place, is_new] = names.emplace(name, identity);
    require<ConfigError>(is_new || place->second != identity, "sweep: the same values stand twice: ", name);
    SweepRun run{.values = {}, .name = is_new ? name : join_text(name, "-", runs.size() + 1), .directory = "", .arguments = {}};
    for (const auto& value : named_values) run.values.push_back(value.second);
    run.directory = directory + "/" + run.name;
    run.arguments = {"train", line.config_path};
    if (jobs > 1 && of_run->engine().run.threads == 0)
      run.arguments.push_back(join_text("run.threads=", std::max(1, choose_threads(0).count / static_cast<int>(jobs))));
    for (const std::string& argument : one.arguments)
      if (!argument.starts_with("run.dir=")) run.arguments.push_back(argument);
    run.arguments.push_back("run.dir=" + run.directory);
    const std::string difference = difference_from(run.directory, of_run->table());
    require<ConfigError>(difference.empty(), "sweep: ", run.directory, " was run with other settings: ", difference,
                         ": choose another run.dir, or remove that directory");
    runs.push_back(std::move(run));
  }
  require<ConfigError>(checkpoints_of(directory).empty(), "sweep: ", directory, " holds a run: choose another run.dir for the sweep");
  std::error_code error;
  fs::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
  const RunLock lock(directory);
  console.err << "sweep: " << runs.size() << " runs in " << directory << std::endl;
  Sweep all(settings, directory, std::move(runs), console, start);
  all.run_all(static_cast<std::size_t>(jobs));
  return all.finish();
}

}  // namespace capstan::engine
