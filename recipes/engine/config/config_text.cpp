#include "recipes/engine/config/config_text.h"

#include <algorithm>
#include <vector>

#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

}  // namespace

std::string to_config_text(const OptionTable& table, bool with_origin) {
  const auto section_of = [](const Option& o) { return o.key.substr(0, o.key.size() - last_part(o.key).size()); };
  std::vector<std::string> sections{""};  // keys without a section come first
  for (const Option& o : table.options())
    if (std::ranges::find(sections, section_of(o)) == sections.end()) sections.push_back(section_of(o));
  std::vector<const Option*> order;
  for (const std::string& section : sections)
    for (const Option& o : table.options())
      if (section_of(o) == section) order.push_back(&o);

  std::string out, section;
  for (const Option* o : order) {
    if (const std::string s = section_of(*o); s != section) {
      section = s;
      out += "\n[" + s.substr(0, s.size() - 1) + "]\n";
    }
    std::string value = o->get();
    if (value.empty() || trimmed(value) != value || is_quoted(value) || value.find('#') != std::string::npos) {
      const char quote = value.find('"') == std::string::npos ? '"' : '\'';
      value = quote + value + quote;
    }
    std::string line = std::string(last_part(o->key)) + " = " + value;
    if (with_origin) {
      line.resize(std::max<std::size_t>(line.size(), 39), ' ');
      line += " # " + o->origin;
    }
    out += line + "\n";
  }
  return out;
}

std::string help_text(const OptionTable& table) {
  std::string out;
  for (const Option& o : table.options()) {
    const std::string value = o.get();
    std::string head = "  " + o.key + " = " + value;
    if (value != o.default_text) head += " (default " + (o.default_text.empty() ? "empty" : o.default_text) + ")";
    head.resize(std::max<std::size_t>(head.size(), 38), ' ');
    out += head + "  " + o.type + (o.allowed.empty() ? "" : ", " + o.allowed) + "\n      " + o.help + "\n";
  }
  return out;
}

std::string markdown_table(const OptionTable& table) {
  const auto cell = [](std::string_view text) {  // a bare '|' would end the cell
    std::string out;
    for (const char c : text) {
      if (c == '|') out += '\\';
      out += c;
    }
    return out;
  };
  std::string out = "| key | default | type | meaning |\n|---|---|---|---|\n";
  for (const Option& o : table.options())
    out += "| `" + o.key + "` | " + (o.default_text.empty() ? "" : "`" + o.default_text + "`") + " | " + cell(o.type) +
           (o.allowed.empty() ? "" : ", " + cell(o.allowed)) + " | " + cell(o.help) + " |\n";
  return out;
}

}  // namespace capstan::engine
