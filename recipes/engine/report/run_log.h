#pragma once
// The records of a run: metrics.jsonl and layers.jsonl (one JSON object per line, for programs) and log.txt (lines with a time, for
// people).
//
// A row is one write, so a killed run leaves whole rows. Numbers are the shortest text that reads back as the same number; NaN and
// infinity, which JSON lacks, are null and named in "not_finite". On resume, rows past the restored step are removed, so that every step
// is reported once. A record that cannot be written (disk full) never stops training: it is counted and the caller is told.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "data/json.h"

namespace capstan::engine {

using JsonValue = std::variant<bool, std::int64_t, double, std::string>;
using JsonRow = std::vector<std::pair<std::string, JsonValue>>;

using data::json_string;

/// {"step":1,"loss":null,"not_finite":{"loss":"nan"}}
std::string to_json(const JsonRow& row);

/// The rows of a metrics file that belong to a run restored at `step`: complete lines whose "step" is at most that.
std::string rows_up_to(std::string_view jsonl, std::int64_t step);

class RunLog {
 public:
  /// Opens the files of a run directory for appending, after removing the rows past `restored_step` (-1: all rows of an earlier run).
  /// Throws IoError.
  RunLog(const std::string& directory, std::int64_t restored_step);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  /// The first field must be "step". False if it could not be written.
  bool row(const JsonRow& row);
  /// The same for layers.jsonl, rows of one step at once; the first ones make the file.
  bool layer_rows(std::span<const JsonRow> rows);
  bool text(std::string_view line);
  std::int64_t dropped() const { return dropped_; }

 private:
  bool append(int fd, const std::string& bytes);

  std::string layers_path_;
  int metrics_ = -1, text_ = -1, layers_ = -1;
  std::int64_t dropped_ = 0;
};

}  // namespace capstan::engine
