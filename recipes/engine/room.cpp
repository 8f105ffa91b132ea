#include "recipes/engine/room.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "recipes/engine/control_groups.h"

namespace capstan::engine {
namespace {

std::optional<double> first_number(const std::string& file) {
  std::ifstream in(file);
  double value = 0;
  if (in >> value) return value;
  return std::nullopt;  // "max", or no such file
}

/// The number behind a word at the start of a line: "MemAvailable:  123 kB", "inactive_file 123".
std::optional<double> number_behind(const std::string& file, std::string_view word) {
  std::ifstream in(file);
  for (std::string name; in >> name;) {
    double value = 0;
    if (name == word && in >> value) return value;
    in.ignore(1 << 20, '\n');
  }
  return std::nullopt;
}

/// What a group still grants: its limit less what it uses, but for files that are kept in memory for later.
std::optional<double> room_of_group(const std::string& folder, bool unified) {
  constexpr double kUnlimited = 0x1p60;  // version 1 writes a number of this size for none
  const auto limit = first_number(folder + (unified ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used = first_number(folder + (unified ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used || *limit >= kUnlimited) return std::nullopt;
  const double files = number_behind(folder + "/memory.stat", unified ? "inactive_file" : "total_inactive_file").value_or(0);
  return std::max(0.0, *limit - std::max(0.0, *used - files));
}

}  // namespace

std::optional<MemoryRoom> memory_room(const std::string& root) {
  std::optional<MemoryRoom> room;
  if (const auto kilobytes = number_behind(root + "/proc/meminfo", "MemAvailable:"))
    room = MemoryRoom{.bytes = 1024 * *kilobytes, .limited_by = "the machine"};
  visit_control_groups("memory", root, [&](const std::string& folder, bool unified) {
    const auto of_group = room_of_group(folder, unified);
    if (of_group && (!room || *of_group < room->bytes)) room = MemoryRoom{.bytes = *of_group, .limited_by = "a control group"};
  });
  return room;
}

std::optional<double> disk_room(const std::string& path) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(path, error);
  while (!error && !std::filesystem::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  struct statvfs disk {};
  if (error || ::statvfs(there.c_str(), &disk) != 0) return std::nullopt;
  return static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
}

}  // namespace capstan::engine
