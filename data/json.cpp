#include "data/json.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <system_error>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

/// What a view keeps of an element, so that json.h names no simdjson.
struct Place {
  const void* tape;
  std::size_t at;
};
static_assert(sizeof(element) == sizeof(Place) && std::is_trivially_copyable_v<element>);

std::string_view name_of(element_type type) {
  switch (type) {
    case element_type::ARRAY: return "a list";
    case element_type::OBJECT: return "an object";
    case element_type::INT64:
    case element_type::UINT64: return "an integer";
    case element_type::DOUBLE: return "a number";
    case element_type::STRING: return "text";
    case element_type::BOOL: return "true or false";
    case element_type::NULL_VALUE: return "null";
  }
  return "something else";
}

void require_unique_names(const element& e, const std::string& place) {
  if (simdjson::dom::array list; e.get(list) == simdjson::SUCCESS) {
    std::size_t i = 0;
    for (const element item : list) {
      if (item.is_array() || item.is_object()) require_unique_names(item, join_text(place, "/", i));
      ++i;
    }
  } else if (simdjson::dom::object object; e.get(object) == simdjson::SUCCESS) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : object) {
      names.push_back(name);
      if (value.is_array() || value.is_object()) require_unique_names(value, join_text(place, "/", name));
    }
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    require<DataError>(twice == names.end(), place, ": the name ", twice == names.end() ? "" : json_string(*twice),
                       " stands twice in one object");
  }
}

/// A word that stands where a number should: NaN, Infinity or -Infinity, or a number beyond f64.
struct NoNumber {
  std::size_t begin, end;
  std::string place;  ///< "/17/score"
};

/// All of them in a text that may be JSON otherwise; of one that is not, perhaps some.
std::vector<NoNumber> words_for_no_number(std::string_view text) {
  struct Level {
    bool list;
    std::size_t index = 0;
    std::string_view name = {};
  };
  std::vector<Level> levels;
  std::vector<NoNumber> found;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    std::size_t end = i + 1;
    if (c == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      const std::size_t next = text.find_first_not_of(" \t\r\n", std::min(end + 1, text.size()));
      if (!levels.empty() && next < text.size() && text[next] == ':') levels.back().name = text.substr(i + 1, end - i - 1);
      end = std::min(end + 1, text.size());
    } else if (c == '[' || c == '{') {
      levels.push_back({.list = c == '['});
    } else if ((c == ']' || c == '}') && !levels.empty()) {
      levels.pop_back();
    } else if (c == ',' && !levels.empty()) {
      ++levels.back().index;
    } else if (c == 'N' || c == 'I' || c == '-' || (c >= '0' && c <= '9')) {
      end = std::min(text.find_first_of(",]} \t\r\n", i), text.size());
      const std::string_view word = text.substr(i, end - i);
      double value = 0;
      const bool named = word == "NaN" || word == "Infinity" || word == "-Infinity";
      const bool digits = c != 'N' && c != 'I' && word.find_first_not_of("+-.eE0123456789") == std::string_view::npos;
      const bool small = word.find("e-") != std::string_view::npos || word.find("E-") != std::string_view::npos;
      const bool beyond =
          digits && !small && std::from_chars(word.data(), word.data() + word.size(), value).ec == std::errc::result_out_of_range;
      if (named || beyond) {
        std::string place;
        for (const Level& l : levels) place += l.list ? join_text("/", l.index) : join_text("/", l.name);
        found.push_back({i, end, std::move(place)});
      }
    }
    i = end;
  }
  return found;
}

}  // namespace

std::string json_string(std::string_view text) {
  if (!unicode::is_valid_utf8(text)) return json_string(unicode::to_utf8(unicode::to_utf32(text)));
  constexpr std::string_view kNamed = "\n\t\r\b\f", kNames = "ntrbf";
  std::string out(1, '"');
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (const auto named = kNamed.find(c); code < 0x20 && named != std::string_view::npos) {
      out += '\\';
      out += kNames[named];
    } else if (code < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += "\\u00";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

struct Json::Document {
  simdjson::dom::parser parser;
};

namespace {

element element_of(const void* tape, std::size_t at) { return std::bit_cast<element>(Place{tape, at}); }

}  // namespace

template <class Element>
Json Json::made(const Element& element, std::string place) const {
  const auto [tape, at] = std::bit_cast<Place>(element);
  return Json(document_, tape, at, std::move(place));
}

Json parse_json(std::string_view text, const std::string& name, NotFinite not_finite) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.empty()) text = "";  // simdjson copies from its pointer, which must not be null
  auto document = std::make_shared<Json::Document>();
  element root;
  const auto error = document->parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(root);
  if (error != simdjson::SUCCESS) {
    const std::vector<NoNumber> words = words_for_no_number(text);
    if (not_finite == NotFinite::null && !words.empty()) {
      std::string repaired;
      std::size_t at = 0;
      for (const NoNumber& w : words) {
        repaired.append(text.substr(at, w.begin - at)).append("null");
        at = w.end;
      }
      return parse_json(repaired.append(text.substr(at)), name, NotFinite::refuse);
    }
    if (!words.empty())
      throw DataError(join_text(name, ": ", words[0].place, ": expected a finite number, found ",
                                text.substr(words[0].begin, words[0].end - words[0].begin)));
    throw DataError(join_text(name, ": is no valid JSON: ", simdjson::error_message(error)));
  }
  require_unique_names(root, name + ": ");
  const auto [tape, at] = std::bit_cast<Place>(root);
  return Json(std::move(document), tape, at, name + ": ");
}

Json read_json(const std::string& path, NotFinite not_finite) { return parse_json(read_text(path), path, not_finite); }

void Json::fail(std::string_view expected) const {
  constexpr std::size_t kShown = 40;
  std::string found(name_of(element_of(tape_, at_).type()));
  if (is(Kind::text) && text().size() <= kShown) found.append(" ").append(json_string(text()));
  throw DataError(join_text(place_, place_.ends_with(": ") ? "" : ": ", "expected ", expected, ", found ", found));
}

Json::Kind Json::kind() const {
  switch (element_of(tape_, at_).type()) {
    case element_type::ARRAY: return Kind::list;
    case element_type::OBJECT: return Kind::object;
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE: return Kind::number;
    case element_type::STRING: return Kind::text;
    case element_type::BOOL: return Kind::boolean;
    case element_type::NULL_VALUE: return Kind::null;
  }
  throw InternalError("json: an element of unknown type");
}

bool Json::boolean() const {
  bool value = false;
  if (element_of(tape_, at_).get(value) != simdjson::SUCCESS) fail("true or false");
  return value;
}

std::optional<std::int64_t> Json::whole() const {
  std::int64_t value = 0;
  if (!is(Kind::number) || element_of(tape_, at_).get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::int64_t Json::integer() const {
  std::int64_t value = 0;
  if (element_of(tape_, at_).get(value) != simdjson::SUCCESS) fail("an integer of 64 bits");
  return value;
}

std::uint64_t Json::natural() const {
  std::uint64_t value = 0;
  if (element_of(tape_, at_).get(value) != simdjson::SUCCESS) fail("an integer that is not negative");
  return value;
}

double Json::number() const {
  double value = 0;
  if (element_of(tape_, at_).get(value) != simdjson::SUCCESS) fail("a number");
  return value;
}

std::string_view Json::text() const {
  std::string_view value;
  if (element_of(tape_, at_).get(value) != simdjson::SUCCESS) fail("text");
  return value;
}

std::size_t Json::size() const {
  const element e = element_of(tape_, at_);
  if (simdjson::dom::array list; e.get(list) == simdjson::SUCCESS) return list.size();
  if (simdjson::dom::object object; e.get(object) == simdjson::SUCCESS) return object.size();
  fail("a list or an object");
}

std::vector<Json> Json::items() const {
  simdjson::dom::array list;
  if (element_of(tape_, at_).get(list) != simdjson::SUCCESS) fail("a list");
  std::vector<Json> out;
  for (const element item : list) out.push_back(made(item, join_text(place_, "/", out.size())));
  return out;
}

std::vector<double> Json::numbers() const {
  simdjson::dom::array list;
  if (element_of(tape_, at_).get(list) != simdjson::SUCCESS) fail("a list of numbers");
  std::vector<double> out;
  for (const element item : list) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!item.is_null() && item.get(value) != simdjson::SUCCESS) made(item, join_text(place_, "/", out.size())).fail("a number");
    out.push_back(value);
  }
  return out;
}

std::vector<std::pair<std::string_view, Json>> Json::members() const {
  simdjson::dom::object object;
  if (element_of(tape_, at_).get(object) != simdjson::SUCCESS) fail("an object");
  std::vector<std::pair<std::string_view, Json>> out;
  for (const auto& [name, value] : object) out.emplace_back(name, made(value, join_text(place_, "/", name)));
  return out;
}

std::optional<Json> Json::find(std::string_view name) const {
  simdjson::dom::object object;
  if (element_of(tape_, at_).get(object) != simdjson::SUCCESS) fail("an object");
  element value;
  if (object.at_key(name).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return made(value, join_text(place_, "/", name));
}

Json Json::operator[](std::string_view name) const {
  const auto found = find(name);
  require<DataError>(found.has_value(), place_, place_.ends_with(": ") ? "" : ": ", "has no ", json_string(name));
  return *found;
}

}  // namespace capstan::data
