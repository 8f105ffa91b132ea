#include "recipes/engine/config.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "autograd/core/nearest_name.h"
#include "data/file.h"

namespace capstan::engine {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kBlank = " \t\r\n\v\f";

std::string_view trimmed(std::string_view s) {
  const auto first = s.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

bool quoted(std::string_view s) { return s.size() >= 2 && s.front() == s.back() && (s.front() == '"' || s.front() == '\''); }

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> parts;
  if (trimmed(text).empty()) return parts;
  for (;;) {
    const auto comma = text.find(',');
    parts.push_back(trimmed(text.substr(0, comma)));
    require<ConfigError>(!parts.back().empty(), "must be values with a comma between each two, got '", text, "'");
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::string text_of(bool v) { return v ? "true" : "false"; }
std::string text_of(std::int64_t v) { return std::to_string(v); }
std::string text_of(double v) { return join_text(v); }
std::string text_of(const std::string& v) { return v; }
template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string out;
  for (const T& v : list) out += (out.empty() ? "" : ", ") + text_of(v);
  return out;
}

template <class T>
void check_range(const Range& range, T v, std::string_view text) {
  require<ConfigError>(range.contains(static_cast<double>(v)), "must be ", range, ", got ", text);
}

std::string checked_text(std::string_view text) {
  require<ConfigError>(text.find('#') == std::string_view::npos, "cannot hold '#', which starts a comment in a configuration file, got '",
                       text, "'");
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    require<ConfigError>(code >= 0x20 && code != 0x7f, "cannot hold control characters, got code ", static_cast<int>(code));
  }
  return std::string(text);
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

std::vector<std::string> keys_of(const OptionTable& table) {
  std::vector<std::string> keys;
  for (const Option& o : table.options()) keys.push_back(o.key);
  return keys;
}

std::string joined(const std::vector<std::string>& faults) {
  std::string all;
  for (const std::string& f : faults) all += (all.empty() ? "" : "\n") + f;
  return all;
}

// What Boost does not tell: the line of each key. Also refuses, with its line, everything that Boost would refuse without one or
// would cut in silence.
std::vector<std::int64_t> scan_lines(std::string_view text, const std::string& path, std::vector<std::string>& faults) {
  std::vector<std::int64_t> key_lines;
  std::int64_t number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto fault = [&, where = path + ":" + std::to_string(++number) + ": "](const auto&... parts) {
      faults.push_back(where + join_text(parts...));
    };
    if (line.find('\0') != std::string_view::npos) {
      fault("NUL character");
      continue;
    }
    const auto hash = line.find('#');
    if (hash != std::string_view::npos) {
      const std::string_view head = line.substr(0, hash);
      const auto equals = head.find('=');
      const std::string_view value = equals == std::string_view::npos ? std::string_view{} : trimmed(head.substr(equals + 1));
      const bool inside_quotes = !value.empty() && (value.front() == '"' || value.front() == '\'') && !quoted(value);
      if (inside_quotes || (!trimmed(head).empty() && kBlank.find(head.back()) == std::string_view::npos))
        fault("'#' starts a comment and would cut the value in '", trimmed(line),
              "'; write a space before a comment; a value cannot hold '#'");
      line = head;
    }
    line = trimmed(line);
    if (line.empty() || (line.front() == '[' && line.back() == ']')) continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trimmed(line.substr(0, equals)).empty()) {
      fault("expected 'key = value' or '[section]', found '", line, "'");
    } else {
      key_lines.push_back(number);
    }
  }
  return key_lines;
}

}  // namespace

namespace detail {

std::int64_t parse_integer(std::string_view text) {
  const auto whole = [](std::string_view s, std::int64_t& v) {
    const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
    return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size();
  };
  const auto refuse = [&](std::string_view why) -> ConfigError {
    return ConfigError(join_text("must be an integer (such as 128, 1e2, 64k, 64Ki, 2^20), got '", text, "'", why));
  };
  std::int64_t v = 0;
  if (whole(text, v)) return v;
  if (const auto caret = text.find('^'); caret != std::string_view::npos) {
    std::int64_t base = 0, exponent = 0;
    if (!whole(text.substr(0, caret), base) || !whole(text.substr(caret + 1), exponent) || exponent < 0 || exponent > 63) throw refuse("");
    for (v = 1; exponent > 0; --exponent)
      if (__builtin_mul_overflow(v, base, &v)) throw refuse(": too large");
    return v;
  }
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kSuffixes{{{"Ki", std::int64_t{1} << 10},
                                                                                       {"Mi", std::int64_t{1} << 20},
                                                                                       {"Gi", std::int64_t{1} << 30},
                                                                                       {"k", 1'000},
                                                                                       {"M", 1'000'000},
                                                                                       {"G", 1'000'000'000}}};
  for (const auto& [suffix, factor] : kSuffixes)
    if (text.ends_with(suffix) && whole(text.substr(0, text.size() - suffix.size()), v)) {
      if (__builtin_mul_overflow(v, factor, &v)) throw refuse(": too large");
      return v;
    }
  if (text.find_first_of("eE") != std::string_view::npos) {
    double d = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), d);
    const bool exact = r.ec == std::errc() && r.ptr == text.data() + text.size() && std::abs(d) <= 0x1p53 && d == std::floor(d);
    if (exact) return static_cast<std::int64_t>(d);
  }
  throw refuse(text.find('.') != std::string_view::npos ? ": it has a fraction or a point" : "");
}

double parse_number(std::string_view text) {
  double v = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  require<ConfigError>(!text.empty() && r.ec != std::errc::invalid_argument && r.ptr == text.data() + text.size(),
                       "must be a number, got '", text, "'");
  require<ConfigError>(r.ec == std::errc() && std::isfinite(v), "must be a finite number in the range of double, got '", text, "'");
  return v;
}

bool parse_boolean(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* yes : {"true", "yes", "on", "1"})
    if (lower == yes) return true;
  for (const char* no : {"false", "no", "off", "0"})
    if (lower == no) return false;
  throw ConfigError(join_text("must be true or false, got '", text, "'"));
}

std::string_view unquoted(std::string_view text) { return quoted(text) ? text.substr(1, text.size() - 2) : text; }

}  // namespace detail

std::string to_text(const Range& r) {
  const auto bound = [](double v) {
    return v == std::floor(v) && std::abs(v) < 1e15 ? std::to_string(static_cast<std::int64_t>(v)) : text_of(v);
  };
  const bool low = r.low > -std::numeric_limits<double>::max(), high = r.high < std::numeric_limits<double>::max();
  if (!low && !high) return "any finite number";
  const std::string from = (r.above_low ? "> " : ">= ") + bound(r.low), to = (r.below_high ? "< " : "<= ") + bound(r.high);
  if (low && high) return from + " and " + to;
  return low ? from : to;
}

const Option* OptionTable::find(std::string_view key) const {
  const auto it = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  return it == options_.end() ? nullptr : &*it;
}

void OptionTable::add(std::string_view name, std::string type, std::string allowed, std::string_view help, std::function<std::string()> get,
                      std::function<void(std::string_view)> set) {
  std::string key = prefix_ + std::string(name);
  require<InternalError>(find(key) == nullptr, "config: key '", key, "' is listed twice");
  std::string default_text = get();
  options_.push_back({std::move(key), std::move(type), std::move(allowed), std::string(help), std::move(default_text), "default",
                      std::move(get), std::move(set)});
}

void OptionTable::operator()(std::string_view name, bool& field, std::string_view help) {
  add(
      name, "true|false", "", help, [&field] { return text_of(field); },
      [&field](std::string_view text) { field = detail::parse_boolean(text); });
}

void OptionTable::operator()(std::string_view name, std::int64_t& field, std::string_view help, const Range& range) {
  add(
      name, "integer", to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        const std::int64_t v = detail::parse_integer(text);
        check_range(range, v, text);
        field = v;
      });
}

void OptionTable::operator()(std::string_view name, double& field, std::string_view help, const Range& range) {
  add(
      name, "number", to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        const double v = detail::parse_number(text);
        check_range(range, v, text);
        field = v;
      });
}

void OptionTable::operator()(std::string_view name, std::string& field, std::string_view help) {
  add(
      name, "text", "", help, [&field] { return field; }, [&field](std::string_view text) { field = checked_text(text); });
}

void OptionTable::operator()(std::string_view name, std::string& field, std::string_view help,
                             std::initializer_list<std::string_view> choices) {
  std::vector<std::pair<std::string, std::int64_t>> named;
  std::vector<std::string> names;
  for (const std::string_view c : choices) {
    named.emplace_back(c, static_cast<std::int64_t>(names.size()));
    names.emplace_back(c);
  }
  add_choice(
      name, help, named,
      [&field, names] { return static_cast<std::int64_t>(std::find(names.begin(), names.end(), field) - names.begin()); },
      [&field, names](std::int64_t v) { field = names[static_cast<std::size_t>(v)]; });
}

void OptionTable::add_choice(std::string_view name, std::string_view help, const std::vector<std::pair<std::string, std::int64_t>>& choices,
                             std::function<std::int64_t()> get, std::function<void(std::int64_t)> set) {
  std::string type;
  for (const auto& c : choices) type += (type.empty() ? "" : "|") + c.first;
  const std::string allowed = type;
  add(
      name, type, "", help,
      [choices, get = std::move(get), key = prefix_ + std::string(name)] {
        const std::int64_t value = get();
        for (const auto& c : choices)
          if (c.second == value) return c.first;
        throw InternalError(join_text("config: the value of '", key, "' is none of its choices"));
      },
      [choices, set = std::move(set), allowed](std::string_view text) {
        for (const auto& c : choices)
          if (c.first == text) return set(c.second);
        std::vector<std::string> names;
        for (const auto& c : choices) names.push_back(c.first);
        throw ConfigError(join_text("must be one of ", allowed, ", got '", text, "'", suggestion(text, names)));
      });
}

void OptionTable::operator()(std::string_view name, std::vector<std::int64_t>& field, std::string_view help, const Range& range) {
  add(
      name, "list of integers", "each " + to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        std::vector<std::int64_t> values;
        for (const std::string_view part : split_list(text)) {
          values.push_back(detail::parse_integer(part));
          check_range(range, values.back(), part);
        }
        field = std::move(values);
      });
}

void OptionTable::operator()(std::string_view name, std::vector<double>& field, std::string_view help, const Range& range) {
  add(
      name, "list of numbers", "each " + to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        std::vector<double> values;
        for (const std::string_view part : split_list(text)) {
          values.push_back(detail::parse_number(part));
          check_range(range, values.back(), part);
        }
        field = std::move(values);
      });
}

void OptionTable::operator()(std::string_view name, std::vector<std::string>& field, std::string_view help) {
  add(
      name, "list of texts", "", help, [&field] { return text_of(field); },
      [&field](std::string_view text) {
        std::vector<std::string> values;
        for (const std::string_view part : split_list(text)) values.push_back(checked_text(part));
        field = std::move(values);
      });
}

std::vector<Assignment> read_config_file(const std::string& path) {
  const auto bytes = data::read_file(path);
  return parse_config({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

std::vector<Assignment> parse_config(std::string_view text, const std::string& path) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  std::vector<std::string> faults;
  const std::vector<std::int64_t> lines = scan_lines(text, path, faults);
  require<ConfigError>(faults.empty(), joined(faults));

  std::vector<Assignment> found;
  try {
    std::istringstream stream{std::string(text)};
    const po::options_description none;
    const auto parsed = po::parse_config_file(stream, none, /*allow_unregistered=*/true);
    for (const auto& option : parsed.options) {
      require<InternalError>(found.size() < lines.size(), "config: more keys than lines in ", path);
      found.push_back({option.string_key, option.value.empty() ? std::string() : option.value.front(),
                       path + ":" + std::to_string(lines[found.size()])});
    }
  } catch (const po::error& e) {
    throw ConfigError(join_text(path, ": ", e.what()));
  }
  require<InternalError>(found.size() == lines.size(), "config: ", lines.size(), " lines but ", found.size(), " keys in ", path);

  std::map<std::string_view, std::string_view> first;
  for (const Assignment& a : found) {
    const auto [seen, is_new] = first.emplace(a.key, a.origin);
    if (!is_new) faults.push_back(join_text(a.origin, ": key '", a.key, "' is set a second time; first at ", seen->second));
  }
  require<ConfigError>(faults.empty(), joined(faults));
  return found;
}

void assign(OptionTable& table, std::span<const Assignment> assignments) {
  const std::vector<std::string> known = keys_of(table);
  std::vector<std::string> faults;
  for (const Assignment& a : assignments) {
    const auto options = table.options();
    const auto it = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.key == a.key; });
    if (it == options.end()) {
      faults.push_back(join_text(a.origin, ": unknown key '", a.key, "'", suggestion(a.key, known)));
      continue;
    }
    try {
      it->set(detail::unquoted(a.value));
      it->origin = a.origin;
    } catch (const ConfigError& e) {
      faults.push_back(join_text(a.origin, ": ", a.key, " ", e.what()));
    }
  }
  require<ConfigError>(faults.empty(), joined(faults));
}

std::string to_config_text(const OptionTable& table, bool with_origin) {
  const auto section_of = [](const Option& o) { return o.key.substr(0, o.key.size() - last_part(o.key).size()); };
  std::vector<const Option*> order;
  for (const Option& o : table.options()) order.push_back(&o);
  std::stable_partition(order.begin(), order.end(), [&](const Option* o) { return section_of(*o).empty(); });

  std::string out, section;
  for (const Option* o : order) {
    if (const std::string s = section_of(*o); s != section) {
      section = s;
      out += "\n[" + s.substr(0, s.size() - 1) + "]\n";
    }
    std::string value = o->get();
    if (value.empty() || trimmed(value) != value || quoted(value)) value = '"' + value + '"';
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
    std::string head = "  " + o.key + " = " + o.default_text;
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

bool Arguments::has(std::string_view flag) const {
  return std::any_of(flags.begin(), flags.end(), [&](const auto& f) { return f.first == flag; });
}

std::string Arguments::value(std::string_view flag, std::string_view otherwise) const {
  for (const auto& f : flags)
    if (f.first == flag) return f.second;
  return std::string(otherwise);
}

Arguments parse_arguments(std::span<const std::string> arguments, std::span<const Flag> flags, const OptionTable* table) {
  // Boost knows "--key=value" only, and refuses an empty value: bare assignments get dashes, empty values quotes.
  std::vector<std::string> tokens;
  for (const std::string& a : arguments) {
    std::string token = a;
    const auto equals = token.find('=');
    if (equals != std::string::npos && equals > 0 && (token.starts_with("--") || token.front() != '-')) {
      if (!token.starts_with("--")) token.insert(0, "--");
      if (token.back() == '=' && token.find('=') == token.size() - 1) token += "\"\"";
    }
    tokens.push_back(std::move(token));
  }

  po::options_description description;
  std::vector<std::string> known;
  for (const Flag& f : flags) {
    if (f.value_name.empty()) {
      description.add_options()(f.name.c_str(), "");
    } else {
      description.add_options()(f.name.c_str(), po::value<std::string>(), "");
    }
    known.push_back("--" + f.name);
  }
  if (table != nullptr)
    for (const std::string& key : keys_of(*table)) {
      description.add_options()(key.c_str(), po::value<std::string>(), "");
      known.push_back(key);
    }

  Arguments result;
  try {
    namespace style = po::command_line_style;
    constexpr int kStyle = style::allow_long | style::long_allow_adjacent | style::long_allow_next;  // and no guessing
    const auto parsed = po::command_line_parser(tokens).options(description).style(kStyle).run();
    for (const auto& option : parsed.options) {
      require<ConfigError>(option.position_key < 0, "unexpected argument '", option.value.empty() ? std::string() : option.value.front(),
                           "'; settings are written section.key=value");
      const std::string value = option.value.empty() ? std::string() : option.value.front();
      const bool is_flag = std::any_of(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == option.string_key; });
      const bool swallowed = value.starts_with("--") && option.original_tokens.size() > 1;  // the next option, not a value
      require<ConfigError>(!swallowed, "--", option.string_key, " needs a value, found '", value, "'");
      if (is_flag) {
        require<ConfigError>(!result.has(option.string_key), "--", option.string_key, " is given twice");
        result.flags.emplace_back(option.string_key, detail::unquoted(value));
      } else {
        // The last one counts, so that a script can append "$@" to settings of its own.
        std::erase_if(result.assignments, [&](const Assignment& a) { return a.key == option.string_key; });
        result.assignments.push_back({option.string_key, value, "command line"});
      }
    }
  } catch (const po::unknown_option& e) {
    std::string name = e.get_option_name();
    name.erase(0, std::min(name.find_first_not_of('-'), name.size()));
    name = name.substr(0, name.find('='));
    const std::string with_dashes = "--" + name;
    const std::string hint = suggestion(with_dashes, known);
    throw ConfigError(join_text("command line: unknown option or key '", name, "'", hint.empty() ? suggestion(name, known) : hint));
  } catch (const po::error& e) {
    throw ConfigError(join_text("command line: ", e.what()));
  }
  return result;
}

}  // namespace capstan::engine
