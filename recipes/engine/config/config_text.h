#pragma once
// An option table as text: a file, help, a table for a README.

#include <string>

#include "recipes/engine/config/option_table.h"

namespace capstan::engine {

/// The configuration as a file that reads back to the same values, each line commented with its origin (`with_origin`). Options of one
/// section stand together, sections in the order of their first option.
std::string to_config_text(const OptionTable& table, bool with_origin = true);
/// One paragraph per option: key, value, the default where that is another one, type, range, help.
std::string help_text(const OptionTable& table);
/// The same as a Markdown table.
std::string markdown_table(const OptionTable& table);

}  // namespace capstan::engine
