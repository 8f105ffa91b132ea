#include "recipes/engine/report/run_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

constexpr std::string_view kStepKey = "{\"step\":";

int open_to_append(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  require<IoError>(fd >= 0, path, ": cannot open: ", std::strerror(errno));
  return fd;
}

std::string line_of_step(const JsonRow& row) {
  std::string text = to_json(row) + "\n";
  require<InternalError>(text.starts_with(kStepKey), "run log: the first field of a row must be the step, got ", text);
  return text;
}

}  // namespace

std::string to_json(const JsonRow& row) {
  std::string out = "{", not_finite;
  for (const auto& [name, value] : row) {
    if (out.size() > 1) out += ',';
    out += json_string(name) + ':';
    if (const auto* d = std::get_if<double>(&value)) {
      if (std::isfinite(*d)) {
        out += join_text(*d);
      } else {
        out += "null";
        if (!not_finite.empty()) not_finite += ',';
        not_finite += json_string(name) + ':' + json_string(std::isnan(*d) ? "nan" : *d > 0 ? "inf" : "-inf");
      }
    } else if (const auto* i = std::get_if<std::int64_t>(&value)) {
      out += std::to_string(*i);
    } else if (const auto* b = std::get_if<bool>(&value)) {
      out += *b ? "true" : "false";
    } else {
      out += json_string(std::get<std::string>(value));
    }
  }
  if (!not_finite.empty()) out += ",\"not_finite\":{" + not_finite + "}";
  return out + "}";
}

std::string rows_up_to(std::string_view jsonl, std::int64_t step) {
  std::string kept;
  while (!jsonl.empty()) {
    const auto end = jsonl.find('\n');
    if (end == std::string_view::npos) break;  // cut short by a crash
    const std::string_view line = jsonl.substr(0, end + 1);
    jsonl.remove_prefix(end + 1);
    std::int64_t at = 0;
    if (!line.starts_with(kStepKey)) continue;
    const auto r = std::from_chars(line.data() + kStepKey.size(), line.data() + line.size(), at);
    if (r.ec == std::errc() && at <= step) kept += line;
  }
  return kept;
}

RunLog::RunLog(const std::string& directory, std::int64_t restored_step) : layers_path_(directory + "/layers.jsonl") {
  const std::string path = directory + "/metrics.jsonl";
  for (const std::string& file : {path, layers_path_}) {
    if (!std::filesystem::exists(file)) continue;
    const std::string all = data::read_text(file);
    const std::string kept = rows_up_to(all, restored_step);
    if (kept.size() != all.size()) data::write_file_durably(file, std::string_view(kept));
  }
  metrics_ = open_to_append(path);
  try {
    text_ = open_to_append(directory + "/log.txt");
  } catch (...) {
    ::close(metrics_);
    throw;
  }
}

RunLog::~RunLog() {
  ::close(metrics_);
  ::close(text_);
  if (layers_ >= 0) ::close(layers_);
}

bool RunLog::append(int fd, const std::string& bytes) {
  const off_t before = ::lseek(fd, 0, SEEK_END);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      ++dropped_;
      // A disk that got full in the middle of a row: the next one must not be written behind half of this.
      if (done > 0 && before >= 0 && ::ftruncate(fd, before) != 0) return false;  // a resume leaves the half out
      return false;
    }
    done += static_cast<std::size_t>(n);
  }
  return true;
}

bool RunLog::row(const JsonRow& row) { return append(metrics_, line_of_step(row)); }

bool RunLog::layer_rows(std::span<const JsonRow> rows) {
  std::string lines;
  for (const JsonRow& row : rows) lines += line_of_step(row);
  if (layers_ < 0) layers_ = ::open(layers_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  return append(layers_, lines);
}

bool RunLog::text(std::string_view line) { return append(text_, time_text() + "  " + std::string(line) + "\n"); }

}  // namespace capstan::engine
