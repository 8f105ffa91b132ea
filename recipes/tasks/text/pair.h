#pragma once
// A line of text, or two texts in a line, as the input of a model that reads [CLS] a [SEP] or [CLS] a [SEP] b [SEP].

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::text {

struct Texts {
  std::string_view a, b;
  bool two = false;
};
/// The texts of a line: parted by its last " ||| ", or else, with `at_tabs`, by its first tab.
Texts split_pair(std::string_view line, bool at_tabs);

/// Takes tokens off the end of the longer text, of `b` where they are as long, until both have `room`. Alone, a is cut.
void truncate_pair(std::vector<std::int32_t>& a, std::vector<std::int32_t>& b, std::size_t room);

/// The beginning of a text for a message, in quotes.
std::string quoted(std::string_view text);

}  // namespace capstan::text
