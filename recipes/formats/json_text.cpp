#include "recipes/formats/json_text.h"

#include <iterator>

#include "autograd/core/error.h"
#include "data/json.h"

namespace capstan::formats {

void append(JsonMembers& to, JsonMembers more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::string json_object(const JsonMembers& members) {
  std::string text = "{";
  for (const auto& [name, value] : members) {
    text += join_text(text.size() > 1 ? "," : "", "\n  ", data::json_string(name), ": ");
    for (const char c : value) text.append(c == '\n' ? "\n  " : std::string(1, c));
  }
  return text + (members.empty() ? "}" : "\n}");
}

std::string json_number(double value) { return join_text(value); }
std::string json_number(std::int64_t value) { return join_text(value); }
std::string json_boolean(bool value) { return value ? "true" : "false"; }

std::string json_texts(std::span<const std::string> texts) {
  std::string text = "[";
  for (const std::string& t : texts) text += join_text(text.size() > 1 ? ", " : "", data::json_string(t));
  return text + "]";
}

std::string json_list(std::span<const std::int64_t> values) {
  std::string text = "[";
  for (const std::int64_t v : values) text += join_text(text.size() > 1 ? ", " : "", v);
  return text + "]";
}

std::string json_list(std::span<const double> values, std::int64_t count) {
  std::string text = "[";
  for (std::int64_t i = 0; i < count; ++i)
    text += join_text(text.size() > 1 ? ", " : "", values[values.size() == 1 ? 0 : static_cast<std::size_t>(i)]);
  return text + "]";
}

}  // namespace capstan::formats
