#pragma once
// Values of a configuration as text.
//
// Integers: 128, 1e2, 64k (= 64000), 64Ki (= 65536), 2^20. Numbers: as std::from_chars reads them, finite. Booleans: true false yes no on
// off 1 0. Lists: 1, 2, 3. One pair of quotes around a value is taken off. Everything here throws ConfigError "rule in words, got ...".

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::engine {

/// The numbers that a field accepts.
struct Range {
  double low = -std::numeric_limits<double>::max(), high = std::numeric_limits<double>::max();
  bool above_low = false, below_high = false;  ///< the end itself is not allowed
  bool contains(double v) const { return (above_low ? v > low : v >= low) && (below_high ? v < high : v <= high); }
};
std::string to_text(const Range& r);  // "> 0", "0 .. 1", "any number"

std::int64_t parse_integer(std::string_view text);
double parse_number(std::string_view text);
bool parse_boolean(std::string_view text);
/// The parts between commas, without blanks around them; none for a blank text. Throws for an empty part.
std::vector<std::string_view> split_list(std::string_view text);
/// A text that a configuration file can hold: without control characters.
std::string checked_text(std::string_view text);

inline constexpr std::string_view kBlank = " \t\r\n\v\f";
std::string_view trimmed(std::string_view s);
bool is_quoted(std::string_view s);                ///< stands between two equal quotes
std::string_view unquoted(std::string_view text);  ///< without one pair of quotes around it

}  // namespace capstan::engine
