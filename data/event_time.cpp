#include "data/event_time.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

/// The number of digits read as an integer from the front of `s`, which loses them; -1 if there are not `digits` of them.
int take_digits(std::string_view& s, std::size_t digits) {
  int value = 0;
  if (s.size() < digits) return -1;
  const auto [end, error] = std::from_chars(s.data(), s.data() + digits, value);
  if (error != std::errc() || end != s.data() + digits || value < 0) return -1;
  s.remove_prefix(digits);
  return value;
}

bool take(std::string_view& s, char c) {
  if (s.empty() || s.front() != c) return false;
  s.remove_prefix(1);
  return true;
}

/// Seconds east of Greenwich of what may stand behind a time of day: "", "Z", " UTC", "+00", "+02:00", "-0530".
std::optional<double> parse_zone(std::string_view s) {
  if (s.empty() || s == "Z" || s == " UTC") return 0;
  const bool east = take(s, '+');
  if (!east && !take(s, '-')) return std::nullopt;
  const int hours = take_digits(s, 2);
  take(s, ':');
  const int minutes = s.empty() ? 0 : take_digits(s, 2);
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || !s.empty()) return std::nullopt;
  return (east ? 1 : -1) * (3600.0 * hours + 60.0 * minutes);
}

/// "2014-04-07", "2014/04/07", "2014-04-07 10:51", "2014-04-07T10:51:09.277Z", "2019-10-01 00:00:00 UTC", "2020-01-01T08:00:00+02:00", in
/// seconds
std::optional<double> parse_date(std::string_view s) {
  const int y = take_digits(s, 4);
  const char dash = s.starts_with('/') ? '/' : '-';
  const int dash1 = take(s, dash), m = take_digits(s, 2), dash2 = take(s, dash), d = take_digits(s, 2);
  if (y < 0 || !dash1 || m < 0 || !dash2 || d < 0) return std::nullopt;
  namespace chrono = std::chrono;
  const chrono::year_month_day date{chrono::year(y), chrono::month(static_cast<unsigned>(m)), chrono::day(static_cast<unsigned>(d))};
  if (!date.ok()) return std::nullopt;
  double seconds = static_cast<double>(chrono::sys_days(date).time_since_epoch().count()) * 86400.0;
  if (s.empty()) return seconds;
  if (!take(s, 'T') && !take(s, ' ')) return std::nullopt;
  const int hour = take_digits(s, 2), colon = take(s, ':'), minute = take_digits(s, 2);
  if (hour < 0 || hour > 23 || !colon || minute < 0 || minute > 59) return std::nullopt;
  double second = 0;
  if (take(s, ':')) {
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), second, std::chars_format::fixed);
    if (error != std::errc() || !(second >= 0 && second < 61)) return std::nullopt;
    s.remove_prefix(static_cast<std::size_t>(end - s.data()));
  }
  const std::optional<double> east = parse_zone(s);
  if (!east) return std::nullopt;
  return seconds + 3600.0 * hour + 60.0 * minute + second - *east;
}

}  // namespace

std::optional<double> parse_number(std::string_view s) {
  double value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (s.empty() || error != std::errc() || end != s.data() + s.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

double seconds_of(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::seconds: return 1.0;
    case TimeUnit::milliseconds: return 0.001;
    case TimeUnit::microseconds: return 1e-6;
    case TimeUnit::nanoseconds: return 1e-9;
  }
  return 1.0;
}

std::optional<double> parse_time(std::string_view s, double unit) {
  if (const auto number = parse_number(s)) return *number * unit;
  return parse_date(s);
}

bool looks_like_time(std::string_view value) {
  const auto number = parse_number(value);
  return number ? (*number >= 9e8 && *number < 2e9) || (*number >= 9e11 && *number < 2e12) : parse_date(value).has_value();
}

bool is_written_day(double t) {
  if (t >= 1e13) t = std::floor(t / 1e6);
  const auto number = t >= 19000101 && t <= 21001231 && t == std::floor(t) ? static_cast<std::int64_t>(t) : 0;
  const std::int64_t month = number / 100 % 100, day = number % 100;
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

std::optional<std::string_view> likely_unit(double t) {
  for (const auto& [unit, name] : {std::pair{1e3, "milliseconds"}, std::pair{1e6, "microseconds"}, std::pair{1e9, "nanoseconds"}})
    if (t / unit > 1e8 && t / unit < 4.2e9) return name;
  return std::nullopt;
}

std::string day_of(double seconds) {
  namespace chrono = std::chrono;
  if (!(std::abs(seconds) < 1e13)) return join_text(seconds, " s");
  if (std::abs(seconds) > 9e11) return join_text("the year ", std::llround(1970 + seconds / (365.2425 * 86400)));
  const chrono::year_month_day date{chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(static_cast<std::int64_t>(seconds))))};
  const auto two = [](unsigned v) { return join_text(v < 10 ? "0" : "", v); };
  return join_text(static_cast<int>(date.year()), "-", two(static_cast<unsigned>(date.month())), "-",
                   two(static_cast<unsigned>(date.day())));
}

std::string span_of(double seconds) {
  constexpr std::pair<double, std::string_view> kUnits[] = {{365.2425 * 86400, "years"}, {86400, "days"}, {3600, "hours"}, {60, "minutes"}};
  for (const auto& [unit, name] : kUnits)
    if (seconds >= 2 * unit) return join_text(std::round(10 * seconds / unit) / 10, " ", name);
  return join_text(seconds, " s");
}

}  // namespace capstan::data
