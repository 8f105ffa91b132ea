// What events are like: counts, times, and what is almost surely wrong with them (report_events of interactions.h).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/core/error.h"
#include "data/event_time.h"
#include "data/interactions.h"

namespace capstan::data {
namespace {

/// What the times leave open, and what they may be instead.
struct TimeTally {
  std::int64_t tied = 0, longer_than_a_day = 0, of_several = 0, zero = 0;
  double first = 0, last = 0;
  bool whole_days = true;
  bool written_days = true;  // all are numbers such as 20200131
};

TimeTally tally_times(const Interactions& x) {
  TimeTally out{.first = x.times.front(), .last = x.times.front()};
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    const auto t = x.sequence_times(s);
    for (std::size_t i = 0; i < t.size(); ++i) {
      out.tied += (i > 0 && t[i] == t[i - 1]) || (i + 1 < t.size() && t[i] == t[i + 1]);
      out.zero += t[i] == 0 || t[i] == -1;
      out.whole_days = out.whole_days && std::fmod(t[i], 86400) == 0;
      out.written_days = out.written_days && is_written_day(t[i]);
    }
    out.first = std::min(out.first, t.front());
    out.last = std::max(out.last, t.back());
    out.of_several += t.size() > 1;
    out.longer_than_a_day += t.back() - t.front() > 86400;
  }
  return out;
}

}  // namespace

void report_events(const Interactions& x, std::string_view what, std::string_view sequences, DataReport& report) {
  std::int64_t longest = 0;
  for (std::int64_t s = 0; s < x.sequences(); ++s) longest = std::max(longest, x.length(s));
  report.fact(std::string(what), join_text(grouped(x.events()), " events of ", grouped(x.sequences()), " ", sequences, ", ",
                                           grouped(x.item_count()), " items; the longest has ", grouped(longest)));
  std::int64_t repeats = 0;
  for (std::int64_t s = 0; s < x.sequences(); ++s) {
    const auto items = x.sequence(s);
    for (std::size_t i = 1; i < items.size(); ++i) repeats += items[i] == items[i - 1];
  }
  if (repeats > 0)
    report.fact("repeats", join_text(grouped(repeats),
                                     repeats == 1 ? " event repeats the item just before it" : " events repeat the item just before them",
                                     " (see data.drop_repeats)"));
  if (x.times.empty()) return;
  const TimeTally seen = tally_times(x);
  const double share = static_cast<double>(seen.tied) / static_cast<double>(x.events());
  const std::string percent = join_text(std::round(1000 * share) / 10, " %");
  report.fact("times",
              join_text(day_of(seen.first), " to ", day_of(seen.last), " (", span_of(seen.last - seen.first), ")",
                        seen.tied == 0 ? ""
                                       : join_text("; ", percent,
                                                   " of the events have the time of a neighbour in their sequence: there the order of the "
                                                   "file counts")));
  constexpr double kThousandYears = 1000 * 365.2425 * 86400;
  if (seen.written_days) {
    report.warn(join_text(what, ": times such as ", std::llround(seen.first),
                          " are read as seconds: are they days written without dashes? Write 2020-01-31, or 2020-01-31 23:59:59"));
  } else if (seen.last > kThousandYears || seen.last - seen.first > kThousandYears) {
    const auto unit = likely_unit(seen.last);
    report.warn(join_text(what, ": times from ", day_of(seen.first), " up to ", day_of(seen.last),
                          unit ? join_text(": ", *unit, " read as seconds? data.time_unit = ", *unit, " reads them as such")
                               : std::string(": is this a column of times?")));
  } else if (seen.first == seen.last && x.events() > 1) {
    report.warn(join_text(what, ": all times are equal: the order is that of the file"));
  } else if (share > 0.5 && x.events() > 20) {
    report.warn(join_text(what, ": ", percent, " of the events have the time of a neighbour in their sequence",
                          seen.whole_days ? " (days without the time of day)" : "",
                          ": most of the order is that of the file; data.time_offset_column names a column that orders them"));
  } else if (sequences == "sessions" && 2 * seen.longer_than_a_day > seen.of_several) {
    report.warn(join_text(what, ": ", grouped(seen.longer_than_a_day), " of ", grouped(seen.of_several),
                          " sessions last longer than a day: are these users (data.session_gap cuts their events into sessions), or ids "
                          "that are used again (data.user_column)?"));
  }
  if (seen.zero > 0 && seen.last > 1e8)
    report.warn(join_text(what, ": ", grouped(seen.zero), seen.zero == 1 ? " event has" : " events have",
                          " the time 0 or -1: is it missing there? They come first"));
}

}  // namespace capstan::data
