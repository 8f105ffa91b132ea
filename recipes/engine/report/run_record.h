#pragma once
// RunRecord: what the directory of a run says about it, read back for the report and for other programs.
//
// Everything but the records themselves may be missing: a run that was killed, one that goes on, and one of an earlier version have a
// report, too. What could not be read is said in `notes`, a line each, and left out. Nothing here writes into the directory but run.json,
// which a run says about itself before its first step.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/data_report.h"
#include "recipes/engine/metrics/metric.h"
#include "recipes/engine/report/finding_file.h"
#include "recipes/engine/report/run_log.h"

namespace capstan::engine {

/// The file run.json.
struct RunAbout {
  std::string recipe, config;       ///< "sasrec"; "sasrec/ml1m", or the file as it was named
  std::string metric;               ///< what selects the best; empty: there is no validation
  std::vector<MetricInfo> metrics;  ///< of a validation
  std::int64_t parameters = 0;      ///< numbers in the model
  std::int64_t batches_per_epoch = 0, batches_per_step = 1;
  data::DataReport data;
};
std::string about_json(const RunAbout& about);
/// Throws DataError.
RunAbout parse_run_about(std::string_view text, const std::string& name);

struct RunRecord {
  enum class State : std::uint8_t {
    running,   ///< a process has the directory
    stopped,   ///< it said why
    broken,    ///< an error ended it
    silent,    ///< it ended without a word, as a killed one does
    untrained  ///< nothing of a training is there
  };
  struct ConfigValue {
    std::string key, value, origin;  ///< origin: "default", "path:line", "command line"; empty: not said
  };
  struct LayerRow {
    std::int64_t step = 0;
    std::string name;
    double weight = 0, gradient = 0, update = 0;
  };
  /// When a step was done, in seconds since 1970.
  struct Moment {
    std::int64_t step = 0;
    double time = 0;
  };

  std::string directory, name;  ///< the name is the last part of the directory's path
  std::vector<JsonRow> rows;    ///< of metrics.jsonl; null is NaN or the infinity that "not_finite" says
  std::optional<RunAbout> about;
  std::vector<ConfigValue> config;
  std::vector<LayerRow> layers;  ///< of layers.jsonl
  /// A row of lr_range.jsonl.
  struct RateRow {
    double rate = 0, loss = 0, smoothed = 0;
  };
  std::vector<RateRow> rate_range;
  double suggested_rate = std::numeric_limits<double>::quiet_NaN();
  std::optional<StoredFindings> findings;
  State state = State::untrained;
  std::string reason;                 ///< why it stopped, in the words of log.txt
  std::string started, ended;         ///< first and last line of log.txt, "2024-05-31 12:00:00"
  double seconds = 0;                 ///< that its sessions took together
  std::int64_t resumed = 0;           ///< how often it went on
  std::vector<Moment> moments;        ///< rising in both, as far as log.txt tells
  std::vector<std::string> warnings;  ///< of log.txt, each once
  std::vector<std::string> notes;

  /// Value of a key of the configuration; empty: not there.
  std::string_view config_value(std::string_view key) const;
  /// The rows of "train" or "validation".
  std::vector<const JsonRow*> rows_of(std::string_view split) const;
  std::int64_t last_step() const;
  /// The validation that selects, by the metric and direction of run.json, else by what log.txt calls the best; null: none.
  const JsonRow* best() const;
  std::int64_t logged_best = -1;  ///< the step of the last "(best)" in log.txt
};

/// Of a row: a number under a name; nothing if there is none.
std::optional<double> number_in(const JsonRow& row, std::string_view name);
std::int64_t step_of(const JsonRow& row);
std::string_view text_in(const JsonRow& row, std::string_view name);

/// A line of metrics.jsonl. Throws DataError.
JsonRow parse_row(std::string_view line, const std::string& name);

/// `given` names the directory of a run, or its metrics.jsonl. `own`: this process has the directory, so that its lock says nothing. Throws
/// ConfigError if it is not there, DataError if it is none of a run, IoError.
RunRecord read_run(const std::string& given, bool own = false);

}  // namespace capstan::engine
