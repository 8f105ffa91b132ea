#pragma once
// The manual page of `capstan`, made from the tables that help is made from.

#include <string>
#include <string_view>

namespace capstan::engine {

/// Text as troff takes it: what has a meaning there is escaped, a leading dot or quote too. No line ends are added.
std::string troff(std::string_view text);

/// The page capstan(1), for troff's macros -man: capstan manual | man -l -
std::string manual_page();

}  // namespace capstan::engine
