#pragma once
// What a report of this program's work says of where it runs.

#include <string>
#include <utility>
#include <vector>

namespace capstan::engine {

/// Name and value, one line each: processor, instructions, threads, libraries.
std::vector<std::pair<std::string, std::string>> machine_lines();

}  // namespace capstan::engine
