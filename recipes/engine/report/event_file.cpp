#include "recipes/engine/report/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <system_error>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::engine {
namespace {

/// Numbers of the fields of event.proto and summary.proto.
enum Field : std::uint32_t {
  kEventWallTime = 1,
  kEventStep = 2,
  kEventFileVersion = 3,
  kEventSummary = 5,
  kEventSessionLog = 7,
  kSummaryValue = 1,
  kValueTag = 1,
  kValueSimpleValue = 2,
  kSessionLogStatus = 1,
};
enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
constexpr std::uint64_t kStatusStart = 1;
constexpr std::string_view kFileVersion = "brain.Event:2";
constexpr std::string_view kNameStart = "events.out.tfevents.";

template <class T>
void append_little_endian(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

void append_key(std::string& out, Field field, WireType type) { append_varint(out, field << 3 | type); }

void append_integer(std::string& out, Field field, std::int64_t value) {
  append_key(out, field, kVarint);
  append_varint(out, static_cast<std::uint64_t>(value));
}

void append_bytes(std::string& out, Field field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

/// An event with its time, to which the rest is added.
std::string event_at(double wall_time) {
  std::string out;
  append_key(out, kEventWallTime, kFixed64);
  append_little_endian(out, std::bit_cast<std::uint64_t>(wall_time));
  return out;
}

std::uint32_t masked_checksum(std::string_view bytes) {
  const std::uint32_t crc = data::crc32c(bytes);
  return std::rotr(crc, 15) + 0xa282ead8U;
}

double time_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// When a step was done, between the moments that are known.
double time_of(const RunRecord& run, std::int64_t step) {
  const auto& known = run.moments;
  if (known.empty()) return 0;
  const auto after = std::ranges::lower_bound(known, step, {}, &RunRecord::Moment::step);
  if (after == known.begin()) return known.front().time;
  if (after == known.end()) return known.back().time;
  const auto before = std::prev(after);
  const double share = static_cast<double>(step - before->step) / static_cast<double>(after->step - before->step);
  return before->time + share * (after->time - before->time);
}

}  // namespace

std::string event_record(std::string_view content) {
  std::string out;
  append_little_endian(out, static_cast<std::uint64_t>(content.size()));
  append_little_endian(out, masked_checksum(out));
  out += content;
  append_little_endian(out, masked_checksum(content));
  return out;
}

std::string version_event(double wall_time) {
  std::string out = event_at(wall_time);
  append_bytes(out, kEventFileVersion, kFileVersion);
  return out;
}

std::string start_event(double wall_time, std::int64_t step) {
  std::string out = event_at(wall_time), log;
  append_integer(out, kEventStep, step);
  append_integer(log, kSessionLogStatus, kStatusStart);
  append_bytes(out, kEventSessionLog, log);
  return out;
}

std::string row_event(double wall_time, const JsonRow& row) {
  std::string summary;
  const std::string_view split = text_in(row, "split");
  for (const auto& [name, value] : row) {
    if (name == "step") continue;
    const std::optional<double> number = number_in(row, name);
    if (!number) continue;
    std::string one;
    append_bytes(one, kValueTag, join_text(split, "/", name));
    append_key(one, kValueSimpleValue, kFixed32);
    append_little_endian(one, std::bit_cast<std::uint32_t>(static_cast<float>(*number)));
    append_bytes(summary, kSummaryValue, one);
  }
  if (summary.empty()) return "";
  std::string out = event_at(wall_time);
  append_integer(out, kEventStep, step_of(row));
  append_bytes(out, kEventSummary, summary);
  return out;
}

EventFile::EventFile(const std::string& directory, std::int64_t first_step) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') std::strcpy(host.data(), "localhost");
  const double now = time_now();
  // Readers take the files in the order of their names, so one that is started in the same second as another has a later one.
  for (std::int64_t second = static_cast<std::int64_t>(now);; ++second) {
    path_ = join_text(directory, "/", kNameStart, second, ".", host.data(), ".", ::getpid());
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (fd_ >= 0 || errno != EEXIST) break;
  }
  require<IoError>(fd_ >= 0, path_, ": cannot create: ", std::strerror(errno));
  append(event_record(version_event(now)) + event_record(start_event(now, first_step)));
}

EventFile::~EventFile() { ::close(fd_); }

bool EventFile::append(std::string_view bytes) {
  if (!whole_) return false;
  try {
    data::write_all(fd_, std::as_bytes(std::span(bytes)), path_);
  } catch (const IoError&) {
    whole_ = false;
  }
  return whole_;
}

bool EventFile::row(const JsonRow& row) {
  const std::string event = row_event(time_now(), row);
  return event.empty() || append(event_record(event));
}

std::string write_events(const RunRecord& run, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
  const double start = time_of(run, 0);
  std::string bytes = event_record(version_event(start)) + event_record(start_event(start, 0));
  for (const JsonRow& row : run.rows)
    if (const std::string event = row_event(time_of(run, step_of(row)), row); !event.empty()) bytes += event_record(event);
  const std::string path = join_text(directory, "/", kNameStart, static_cast<std::int64_t>(start), ".capstan");
  data::write_file_durably(path, std::string_view(bytes));
  return path;
}

}  // namespace capstan::engine
