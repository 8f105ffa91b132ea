#pragma once
// How much room there is: memory that this process can still take, and space on a disk.

#include <optional>
#include <string>
#include <string_view>

namespace capstan::engine {

struct MemoryRoom {
  double bytes = 0;             ///< beside what this process has already
  std::string_view limited_by;  ///< "the machine", "a control group"
};
/// The least of what the machine has available without swapping, and of what each control group of this process still grants. Nothing
/// where neither can be told. `root` stands before all paths, for tests.
std::optional<MemoryRoom> memory_room(const std::string& root = "");

/// Free bytes for this user on the disk that a path is on, or would be; nothing where it cannot be told.
std::optional<double> disk_room(const std::string& path);

}  // namespace capstan::engine
