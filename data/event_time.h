#pragma once
// Times of events as files write them, in seconds since 1970, and such times in words.

#include <optional>
#include <string>
#include <string_view>

namespace capstan::data {

enum class TimeUnit { seconds, milliseconds, microseconds, nanoseconds };
double seconds_of(TimeUnit unit);

/// A finite number that is the whole text.
std::optional<double> parse_number(std::string_view s);
/// Seconds of a number in units of `unit` seconds, or of a date like 2014-04-07, 2014/04/07 10:51, 2014-04-07T10:51:09.277Z, 2019-10-01
/// 00:00:00 UTC or 2020-01-01T08:00:00+02:00.
std::optional<double> parse_time(std::string_view s, double unit);

/// Does a value look like the time of an event: a date, or seconds or milliseconds since 1970 that lie between 1998 and 2033?
bool looks_like_time(std::string_view value);
/// Is it a number such as 20200131 or 20200131235959?
bool is_written_day(double t);
/// The unit that makes times of our days of such numbers, if they are no seconds.
std::optional<std::string_view> likely_unit(double t);

/// "2014-04-07"; "the year 55841".
std::string day_of(double seconds);
/// "9.3 days", "2 years", "70 s".
std::string span_of(double seconds);

}  // namespace capstan::data
