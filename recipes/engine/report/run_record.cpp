#include "recipes/engine/report/run_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <functional>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;
using data::Json;

constexpr std::string_view kGoalWords[] = {"minimize", "maximize", "none"};
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

bool exists(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// A number of a row, or null.
double number_or_nan(const Json& json, std::string_view name) {
  const auto found = json.find(name);
  return found ? found->number() : kNotANumber;
}

/// Calls `use` with each whole line; what makes no sense is counted. A last line without an end is one that is being written.
template <class Use>
void each_line(const std::string& path, std::vector<std::string>& notes, const Use& use) {
  const std::string text = data::read_text(path);
  std::int64_t number = 0, bad = 0;
  std::string first;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) break;
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    try {
      use(line, join_text(path, ":", number));
    } catch (const DataError& e) {
      if (bad++ == 0) first = e.what();
    }
  }
  if (bad > 0)
    notes.push_back(
        join_text(path, ": ", bad, " of ", number, bad == 1 ? " lines is" : " lines are", " left out, first because of ", first));
}

/// Runs what reads a file that may be broken.
void noted(std::vector<std::string>& notes, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& e) {
    notes.emplace_back(e.what());
  }
}

/// Another process has the directory (checkpoint_directory.h, RunLock).
bool is_locked(const std::string& directory) {
  const int fd = ::open((directory + "/run.lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  return locked;
}

std::vector<RunRecord::ConfigValue> config_of(const std::string& path) {
  const std::string text = data::read_text(path);
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  std::vector<RunRecord::ConfigValue> out;
  for (const Assignment& a : parse_config(text, path)) {
    std::size_t number = 0;
    const auto colon = a.origin.rfind(':');
    std::from_chars(a.origin.data() + colon + 1, a.origin.data() + a.origin.size(), number);
    std::string origin;
    if (number >= 1 && number <= lines.size()) {
      const std::string_view line = lines[number - 1];
      if (const auto comment = line.rfind(" # "); comment != std::string_view::npos) origin = trimmed(line.substr(comment + 3));
    }
    out.push_back({.key = a.key, .value = std::string(unquoted(a.value)), .origin = std::move(origin)});
  }
  return out;
}

/// Seconds since 1970 of a local time "2024-05-31 12:00:00".
double seconds_of(const std::string& time) {
  std::tm t{};
  if (strptime(time.c_str(), "%Y-%m-%d %H:%M:%S", &t) == nullptr) return kNotANumber;
  t.tm_isdst = -1;
  return static_cast<double>(std::mktime(&t));
}

/// The integer that follows `before` at the start of a text.
std::optional<std::int64_t> integer_after(std::string_view text, std::string_view before) {
  const auto at = text.find(before);
  if (at == std::string_view::npos) return std::nullopt;
  std::int64_t value = 0;
  const char* const from = text.data() + at + before.size();
  if (std::from_chars(from, text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

/// log.txt from front to end.
class LogReader {
 public:
  explicit LogReader(RunRecord& run) : run_(run) {}

  void line(std::string_view line) {
    constexpr std::size_t kTime = 19;                                          // "2024-05-31 12:00:00"
    if (line.size() < kTime + 2 || line[4] != '-' || line[13] != ':') return;  // the rest of a message of several lines
    const std::string time(line.substr(0, kTime));
    const double now = seconds_of(time);
    if (std::isnan(now)) return;
    if (run_.started.empty()) run_.started = time;
    run_.ended = time;
    message(line.substr(kTime + 2), now);
    last_ = now;
  }
  void end() {
    close_session();
    run_.logged_best = best_.empty() ? -1 : best_.back();
  }

 private:
  void message(std::string_view text, double now) {
    if (text == "new run") {
      open_session(0, now);
      best_.clear();
    } else if (text.starts_with("resumed ")) {
      const std::int64_t step = integer_after(text, " at step ").value_or(0);
      open_session(step, now);
      ++run_.resumed;
      std::erase_if(best_, [&](std::int64_t b) { return b > step; });
    } else if (text.ends_with("the comparison starts anew")) {
      best_.clear();
    } else if (text.starts_with("stopped at step ")) {
      const auto step = integer_after(text, "stopped at step ");
      moment(step.value_or(0), now);
      constexpr std::string_view kError = " by an error: ";
      const auto error = text.find(kError);
      run_.state = error == std::string_view::npos ? RunRecord::State::stopped : RunRecord::State::broken;
      const auto colon = text.find(": ");
      run_.reason = error != std::string_view::npos   ? text.substr(error + kError.size())
                    : colon != std::string_view::npos ? text.substr(colon + 2)
                                                      : text;
    } else if (text.starts_with("step ") && text.find("  validation") != std::string_view::npos) {
      const std::int64_t step = integer_after(text, "step ").value_or(0);
      moment(step, now);
      if (text.find("(best)") != std::string_view::npos) best_.push_back(step);
    } else if (text.starts_with("warning: ")) {
      std::string warning(text.substr(std::string_view("warning: ").size()));
      if (std::ranges::find(run_.warnings, warning) == run_.warnings.end()) run_.warnings.push_back(std::move(warning));
    }
  }
  void open_session(std::int64_t step, double now) {
    close_session();
    session_ = now;
    run_.state = RunRecord::State::silent;
    run_.reason.clear();
    std::erase_if(run_.moments, [&](const RunRecord::Moment& m) { return m.step >= step; });
    moment(step, now);
  }
  void close_session() {
    if (!std::isnan(session_)) run_.seconds += last_ - session_;
    session_ = kNotANumber;
  }
  void moment(std::int64_t step, double now) {
    auto& all = run_.moments;
    if (!all.empty() && all.back().step == step)
      all.back().time = now;
    else if (all.empty() || (all.back().step < step && all.back().time <= now))
      all.push_back({step, now});
  }

  RunRecord& run_;
  std::vector<std::int64_t> best_;
  double session_ = kNotANumber, last_ = 0;
};

void read_log(const std::string& path, RunRecord& run) {
  const std::string text = data::read_text(path);
  LogReader reader(run);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    reader.line(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  reader.end();
}

void read_rate_range(const std::string& path, RunRecord& run) {
  each_line(path, run.notes, [&](std::string_view line, const std::string& name) {
    const Json json = data::parse_json(line, name, data::NotFinite::null);
    if (json.has("suggested")) run.suggested_rate = json["suggested"].number();
    if (json.has("lr"))
      run.rate_range.push_back({.rate = json["lr"].number(),
                                .loss = number_or_nan(json, "loss"),
                                .smoothed = number_or_nan(json, json.has("smoothed") ? "smoothed" : "loss")});
  });
}

void read_layers(const std::string& path, RunRecord& run) {
  each_line(path, run.notes, [&](std::string_view line, const std::string& name) {
    const Json json = data::parse_json(line, name, data::NotFinite::null);
    run.layers.push_back({.step = json["step"].integer(),
                          .name = std::string(json["name"].text()),
                          .weight = number_or_nan(json, "weight"),
                          .gradient = number_or_nan(json, "gradient"),
                          .update = number_or_nan(json, "update")});
  });
}

JsonValue value_of(const Json& json, const std::optional<Json>& not_finite, std::string_view name) {
  using enum Json::Kind;
  switch (json.kind()) {
    case boolean: return json.boolean();
    case text: return std::string(json.text());
    case number:
      if (const auto whole = json.whole()) return *whole;
      return json.number();
    default: break;
  }
  const auto word = not_finite ? not_finite->find(name) : std::nullopt;
  const double infinity = std::numeric_limits<double>::infinity();
  if (word && word->text() == "inf") return infinity;
  if (word && word->text() == "-inf") return -infinity;
  return kNotANumber;
}

/// Whether b is better than a.
bool better(Goal goal, double a, double b) { return goal == Goal::minimize ? b < a : b > a; }

}  // namespace

std::string about_json(const RunAbout& about) {
  std::string metrics, facts, warnings;
  for (const MetricInfo& m : about.metrics)
    metrics += join_text(metrics.empty() ? "" : ",", json_string(m.name), ":\"", kGoalWords[static_cast<std::size_t>(m.goal)], "\"");
  for (const auto& f : about.data.facts)
    facts += join_text(facts.empty() ? "" : ",\n  ", "[", json_string(f.what), ",", json_string(f.text), "]");
  for (const std::string& w : about.data.warnings) warnings += join_text(warnings.empty() ? "" : ",", json_string(w));
  return join_text("{\"recipe\":", json_string(about.recipe), ",\"config\":", json_string(about.config),
                   ",\"metric\":", json_string(about.metric), ",\"parameters\":", about.parameters,
                   ",\"batches_per_epoch\":", about.batches_per_epoch, ",\"batches_per_step\":", about.batches_per_step,
                   ",\n \"metrics\":{", metrics, "},\n \"data\":[", facts, "],\n \"warnings\":[", warnings, "]}\n");
}

RunAbout parse_run_about(std::string_view text, const std::string& name) {
  const Json json = data::parse_json(text, name);
  RunAbout about{.recipe = std::string(json["recipe"].text()),
                 .config = std::string(json["config"].text()),
                 .metric = std::string(json["metric"].text()),
                 .metrics = {},
                 .parameters = json["parameters"].integer(),
                 .batches_per_epoch = json["batches_per_epoch"].integer(),
                 .batches_per_step = json["batches_per_step"].integer(),
                 .data = {}};
  for (const auto& [metric, goal] : json["metrics"].members()) {
    const auto word = std::ranges::find(kGoalWords, goal.text());
    if (word == std::end(kGoalWords)) goal.fail("minimize, maximize or none");
    about.metrics.push_back({std::string(metric), static_cast<Goal>(word - std::begin(kGoalWords))});
  }
  for (const Json& fact : json["data"].items()) {
    const auto parts = fact.items();
    if (parts.size() != 2) fact.fail("a name and a text");
    about.data.fact(std::string(parts[0].text()), std::string(parts[1].text()));
  }
  for (const Json& warning : json["warnings"].items()) about.data.warn(std::string(warning.text()));
  return about;
}

std::optional<double> number_in(const JsonRow& row, std::string_view name) {
  for (const auto& [key, value] : row) {
    if (key != name) continue;
    if (const auto* d = std::get_if<double>(&value)) return *d;
    if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  }
  return std::nullopt;
}

std::int64_t step_of(const JsonRow& row) { return static_cast<std::int64_t>(number_in(row, "step").value_or(0)); }

std::string_view text_in(const JsonRow& row, std::string_view name) {
  for (const auto& [key, value] : row)
    if (const auto* text = std::get_if<std::string>(&value); text != nullptr && key == name) return *text;
  return {};
}

JsonRow parse_row(std::string_view line, const std::string& name) {
  const Json json = data::parse_json(line, name, data::NotFinite::null);
  const auto not_finite = json.find("not_finite");
  JsonRow row;
  for (const auto& [key, value] : json.members())
    if (!value.is(Json::Kind::object) && !value.is(Json::Kind::list)) row.emplace_back(key, value_of(value, not_finite, key));
  if (!json["step"].whole()) json["step"].fail("a whole number");
  json["split"].text();
  return row;
}

std::string_view RunRecord::config_value(std::string_view key) const {
  const auto found = std::ranges::find(config, key, &ConfigValue::key);
  return found == config.end() ? std::string_view() : found->value;
}

std::vector<const JsonRow*> RunRecord::rows_of(std::string_view split) const {
  std::vector<const JsonRow*> out;
  for (const JsonRow& row : rows)
    if (text_in(row, "split") == split) out.push_back(&row);
  return out;
}

std::int64_t RunRecord::last_step() const {
  std::int64_t last = 0;
  for (const JsonRow& row : rows) last = std::max(last, step_of(row));
  return last;
}

const JsonRow* RunRecord::best() const {
  const JsonRow* best = nullptr;
  const auto info = about ? std::ranges::find(about->metrics, about->metric, &MetricInfo::name) : std::vector<MetricInfo>::const_iterator();
  const bool known = about && info != about->metrics.end();
  double best_value = 0;
  for (const JsonRow* row : rows_of("validation")) {
    const auto value = known ? number_in(*row, info->name) : std::nullopt;
    if (value && std::isfinite(*value) && (best == nullptr || better(info->goal, best_value, *value))) best = row, best_value = *value;
    if (!known && step_of(*row) == logged_best) best = row;
  }
  return best;
}

RunRecord read_run(const std::string& given, bool own) {
  std::error_code error;
  require<ConfigError>(fs::exists(given, error), given, ": there is no such run: expected the directory of one, or its metrics.jsonl");
  fs::path place(given);
  const bool is_file = !fs::is_directory(place, error);
  RunRecord run;
  const fs::path parent = is_file ? place.parent_path() : place;
  run.directory = parent.empty() ? "." : parent.string();
  fs::path whole = fs::weakly_canonical(run.directory, error);
  if (error) whole = run.directory;
  run.name = (whole.filename().empty() ? whole.parent_path() : whole).filename().string();
  const auto file = [&](std::string_view name) { return (parent / name).string(); };
  const std::string metrics = is_file ? given : file("metrics.jsonl");
  require<DataError>(exists(metrics) || exists(file("config.cfg")) || exists(file("lr_range.jsonl")), given,
                     ": holds no metrics.jsonl: expected the directory of a run, as `capstan train` makes it");

  if (exists(metrics))
    each_line(metrics, run.notes, [&](std::string_view line, const std::string& name) { run.rows.push_back(parse_row(line, name)); });
  require<DataError>(!run.rows.empty() || run.notes.empty(), run.notes.empty() ? given : run.notes.front());
  const auto optional = [&](std::string_view name, const auto& read) {
    const std::string path = file(name);
    if (exists(path)) noted(run.notes, [&] { read(path); });
  };
  optional("config.cfg", [&](const std::string& path) { run.config = config_of(path); });
  optional("run.json", [&](const std::string& path) { run.about = parse_run_about(data::read_text(path), path); });
  optional("layers.jsonl", [&](const std::string& path) { read_layers(path, run); });
  optional("lr_range.jsonl", [&](const std::string& path) { read_rate_range(path, run); });
  optional("findings.json", [&](const std::string& path) { run.findings = parse_findings(data::read_text(path), path); });
  optional("log.txt", [&](const std::string& path) { read_log(path, run); });
  if (!run.rows.empty() && run.state == RunRecord::State::untrained) run.state = RunRecord::State::silent;
  if (!run.rows.empty() && run.state == RunRecord::State::silent)
    if (const std::string_view message = text_in(run.rows.back(), "error"); !message.empty()) {
      run.state = RunRecord::State::broken;
      run.reason = message;
    }
  if (!own && is_locked(run.directory)) run.state = RunRecord::State::running;
  return run;
}

}  // namespace capstan::engine
