#pragma once
// The control groups that this process is in, of both versions of Linux, as they limit processors and memory.

#include <functional>
#include <string>
#include <string_view>

namespace capstan::engine {

/// Calls `visit` with the folder of each group that `controller` ("cpu", "memory") counts this process in, innermost first, and whether it
/// is of version 2. `root` stands before all paths, for tests.
void visit_control_groups(std::string_view controller, const std::string& root,
                          const std::function<void(const std::string& folder, bool unified)>& visit);

}  // namespace capstan::engine
