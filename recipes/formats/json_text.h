#pragma once
// JSON files for other programs, put together from values that are JSON already.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::formats {

/// Members of an object in the order they are to stand: names, and values as JSON text.
using JsonMembers = std::vector<std::pair<std::string, std::string>>;

void append(JsonMembers& to, JsonMembers more);
/// The object over several lines, two blanks a level.
std::string json_object(const JsonMembers& members);
std::string json_number(double value);
std::string json_number(std::int64_t value);
std::string json_boolean(bool value);
std::string json_texts(std::span<const std::string> texts);  ///< a list, on one line
std::string json_list(std::span<const std::int64_t> values);
/// A list of `count` numbers: the values, or one value for all.
std::string json_list(std::span<const double> values, std::int64_t count);

}  // namespace capstan::formats
