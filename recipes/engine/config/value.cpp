#include "recipes/engine/config/value.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace capstan::engine {

std::string_view trimmed(std::string_view s) {
  const auto first = s.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

bool is_quoted(std::string_view s) { return s.size() >= 2 && s.front() == s.back() && (s.front() == '"' || s.front() == '\''); }

std::string_view unquoted(std::string_view text) { return is_quoted(text) ? text.substr(1, text.size() - 2) : text; }

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

std::string checked_text(std::string_view text) {
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    require<ConfigError>(code >= 0x20 && code != 0x7f, "cannot hold control characters, got code ", static_cast<int>(code));
  }
  const auto has = [&](char c) { return text.find(c) != std::string_view::npos; };
  require<ConfigError>(!has('#') || !has('"') || !has('\''), "cannot hold '#' beside both kinds of quotes, got ", text);
  return std::string(text);
}

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

std::string to_text(const Range& r) {
  const auto bound = [](double v) {
    return v == std::floor(v) && std::abs(v) < 1e15 ? std::to_string(static_cast<std::int64_t>(v)) : join_text(v);
  };
  const bool low = r.low > -std::numeric_limits<double>::max(), high = r.high < std::numeric_limits<double>::max();
  if (!low && !high) return "any finite number";
  const std::string from = (r.above_low ? "> " : ">= ") + bound(r.low), to = (r.below_high ? "< " : "<= ") + bound(r.high);
  if (low && high) return from + " and " + to;
  return low ? from : to;
}

}  // namespace capstan::engine
