#include "recipes/tasks/text/pair.h"

#include "autograd/core/error.h"
#include "data/text/unicode.h"

namespace capstan::text {

Texts split_pair(std::string_view line, bool at_tabs) {
  constexpr std::string_view kBar = " ||| ";
  if (const auto at = line.rfind(kBar); at != std::string_view::npos) return {line.substr(0, at), line.substr(at + kBar.size()), true};
  if (const auto at = line.find('\t'); at_tabs && at != std::string_view::npos) return {line.substr(0, at), line.substr(at + 1), true};
  return {line, {}, false};
}

void truncate_pair(std::vector<std::int32_t>& a, std::vector<std::int32_t>& b, std::size_t room) {
  while (a.size() + b.size() > room) (a.size() > b.size() ? a : b).pop_back();
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  const std::u32string shown = data::unicode::to_utf32(text.substr(0, 4 * (kShown + 1)));  // a character has at most four bytes
  if (shown.size() <= kShown) return join_text("'", data::unicode::to_utf8(shown), "'");
  return join_text("'", data::unicode::to_utf8(shown.substr(0, kShown)), "...'");
}

}  // namespace capstan::text
