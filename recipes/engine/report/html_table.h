#pragma once
// Cells of the tables of a report, as HTML. A cell's content is markup already; what users named is escaped by who calls.

#include <string>
#include <string_view>

#include "autograd/core/error.h"
#include "data/markup.h"

namespace capstan::engine {

inline std::string html_cell(std::string_view content, std::string_view classes = "") {
  return classes.empty() ? join_text("<td>", content, "</td>") : join_text("<td class=\"", classes, "\">", content, "</td>");
}

/// A heading of a column or, with the scope "row", of a row.
inline std::string html_head(std::string_view content, std::string_view scope = "col", std::string_view classes = "") {
  return join_text("<th scope=\"", scope, classes.empty() ? "" : "\" class=\"", classes, "\">", content, "</th>");
}

/// A name, escaped here, that may be broken behind each slash.
inline std::string html_breakable(std::string_view name) {
  std::string out;
  for (const char c : data::escaped_markup(name)) {
    out += c;
    if (c == '/') out += "<wbr>";
  }
  return out;
}

/// Such as a key, escaped here, in the type of code.
inline std::string html_code(std::string_view text) { return join_text("<span class=\"code\">", data::escaped_markup(text), "</span>"); }

}  // namespace capstan::engine
