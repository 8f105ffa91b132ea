#include "data/interactions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

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

/// Seconds of a number in units of `unit` seconds, or of a date.
std::optional<double> parse_time(std::string_view s, double unit) {
  if (const auto number = parse_number(s)) return *number * unit;
  return parse_date(s);
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::optional<std::int64_t> as_number(std::string_view s) {
  std::int64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (s.empty() || error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return v;
}

/// "Session-Id" and "session_id" are one name.
std::string plain(std::string_view name) {
  std::string out = lower(name);
  std::erase_if(out, [](char c) { return c == '_' || c == '-' || c == ' ' || c == '.'; });
  return out;
}

constexpr std::string_view kUserNames[] = {"userid",   "user",       "uid",      "visitorid", "visitor",  "customerid",
                                           "customer", "reviewerid", "reviewer", "memberid",  "clientid", "username"};
constexpr std::string_view kSessionNames[] = {"sessionid", "session", "usersession", "sessid",  "sid",
                                              "visitid",   "visit",   "basketid",    "orderid", "playlistid"};
constexpr std::string_view kItemNames[] = {"itemid",     "item",      "iid",    "movieid", "productid", "asin",   "isbn",   "articleid",
                                           "parentasin", "stockcode", "bookid", "trackid", "songid",    "newsid", "gameid", "sku"};
constexpr std::string_view kTimeNames[] = {"timestamp", "time", "unixtimestamp", "datetime", "eventtime", "ts", "when", "unixreviewtime"};
constexpr std::string_view kRatingNames[] = {"rating", "stars", "score"};

/// Does the name of a column say that it holds times?
bool speaks_of_time(const std::string& name) {
  const std::string n = plain(name);
  for (const std::string_view word : {"time", "date"})
    if (n.starts_with(word) || n.ends_with(word)) return n != "update";
  return n.find("timestamp") != n.npos || n.starts_with("created") || n.ends_with("createdat") || lower(name).ends_with("_at") ||
         n.starts_with("unix") || n == "epoch" || n == "day" || n == "dt";
}

/// What the published set of that name has beside its days: the time since a session began.
bool is_offset(const std::string& name) { return plain(name) == "timeframe"; }

/// Does a value look like the time of an event: a date, or seconds or milliseconds since 1970 that lie between 1998 and 2033?
bool looks_like_time(std::string_view value) {
  const auto number = parse_number(value);
  return number ? (*number >= 9e8 && *number < 2e9) || (*number >= 9e11 && *number < 2e12) : parse_date(value).has_value();
}

/// Does it say that it holds sessions, and not when they begin or how long they are?
bool speaks_of_session(const std::string& name) {
  const std::string n = plain(name);
  return n.find("session") != n.npos && std::ranges::any_of(std::array<std::string_view, 6>{"session", "id", "no", "number", "key", "hash"},
                                                            [&](std::string_view end) { return n.ends_with(end); });
}

/// Which columns hold what; all but user and item may be missing (-1), and why.
struct Columns {
  std::int64_t user = -1, item = -1, time = -1, owner = -1, time_offset = -1, event = -1, rating = -1, needed = 0;
  bool has_header = false, exact = false;  // exact: every line has `needed` fields
  bool time_by_name = false;               // found because its name speaks of a time: the first value must be one
  bool users_as_sessions = false;          // sessions were wanted, but only a column of users was found
  std::int64_t other_user = -1;            // sessions: a column of users that is not part of the id
  std::vector<std::string> header;
  std::string other_times;  // further columns that could hold times: their names say so
  std::string like_times;   // without a column of times: one whose first value looks like a time

  std::int64_t last() const { return std::max({user, item, time, owner, time_offset, event, rating}); }
};

constexpr std::string_view kNone = "none";

/// The number of fields of a line, without empty ones at its end: many programs end every line with a separator.
std::int64_t counted(const std::vector<std::string_view>& fields) {
  std::size_t count = fields.size();
  while (count > 1 && fields[count - 1].empty()) --count;
  return static_cast<std::int64_t>(count);
}

class ColumnFinder {
 public:
  ColumnFinder(const std::vector<std::string_view>& first, const ReadOptions& options, std::string where)
      : first_(first), options_(options), where_(std::move(where)) {
    for (const auto f : first) c_.header.emplace_back(f.substr(0, f.find(':')));  // RecBole writes name:type
  }

  Columns find() {
    const auto wanted = {&options_.user_column,        &options_.item_column,  &options_.time_column,  &options_.owner_column,
                         &options_.time_offset_column, &options_.event_column, &options_.rating_column};
    bool named = false;
    for (const std::string* w : wanted) {
      if (w->empty() || (w == &options_.time_column && *w == kNone)) continue;
      any_given_ = true;
      named = named || !as_number(*w);
    }
    any_given_ = any_given_ || options_.time_column == kNone;
    const bool known = usual(kUserNames) >= 0 || usual(kSessionNames) >= 0 || usual(kItemNames) >= 0;
    c_.has_header = options_.header == Header::present || (options_.header == Header::automatic && (named || known));
    if (c_.has_header) {
      by_name();
    } else {
      by_number();
    }
    return std::move(c_);
  }

 private:
  std::int64_t usual(std::span<const std::string_view> names) const {
    for (const auto name : names)
      for (std::size_t i = 0; i < c_.header.size(); ++i)
        if (plain(c_.header[i]) == name) return static_cast<std::int64_t>(i);
    return -1;
  }

  std::int64_t numbered(const std::string& wanted) const {
    const auto n = as_number(wanted);
    return n && *n >= 1 && *n <= static_cast<std::int64_t>(c_.header.size()) ? *n - 1 : -1;
  }

  /// The column that is asked for, by its name or its number; -1 if none is.
  std::int64_t given(const std::string& wanted, std::string_view what) const {
    if (wanted.empty()) return -1;
    const auto at = std::ranges::find(c_.header, wanted);
    const std::int64_t column = at != c_.header.end() ? at - c_.header.begin() : numbered(wanted);
    if (column < 0) missing(what, join_text(" \"", wanted, "\""));
    if (at != c_.header.end()) once(column, what);
    return column;
  }

  /// Refuses a column that was found by a name that another one has too.
  void once(std::int64_t column, std::string_view what) const {
    if (column < 0) return;
    const std::string& name = c_.header[static_cast<std::size_t>(column)];
    for (std::size_t other = 0; other < c_.header.size(); ++other)
      require<DataError>(static_cast<std::int64_t>(other) == column || c_.header[other] != name, where_, "columns ", other + 1, " and ",
                         column + 1, " are both named \"", name, "\": say by its number which one is the ", what, " column");
  }

  std::int64_t usual(std::span<const std::string_view> names, std::string_view what) const {
    const std::int64_t column = usual(names);
    once(column, what);
    return column;
  }

  [[noreturn]] void missing(std::string_view what, const std::string& wanted) const {
    std::string names;
    for (const auto& h : c_.header) names += (names.empty() ? "" : ", ") + h;
    throw DataError(join_text(where_, "no ", what, " column", wanted, "; the header has: ", names,
                              wanted.empty() ? join_text("; data.", what, "_column names the one that is meant") : "",
                              c_.header.size() == 1 ? "; data.separator says what stands between the fields" : ""));
  }

  void by_name() {
    const std::string_view sequence = options_.sessions ? "session" : "user";
    const auto users = usual(kUserNames);
    auto sessions = usual(kSessionNames);
    for (std::size_t i = 0; i < c_.header.size() && sessions < 0; ++i)
      if (speaks_of_session(c_.header[i])) sessions = static_cast<std::int64_t>(i);
    c_.user = given(options_.user_column, sequence);
    if (c_.user < 0) {
      c_.user = options_.sessions ? (sessions >= 0 ? sessions : users) : (users >= 0 ? users : sessions);
      c_.users_as_sessions = options_.sessions && sessions < 0;
      once(c_.user, sequence);
    }
    if (c_.user < 0) missing(sequence, "");
    c_.item = given(options_.item_column, "item");
    if (c_.item < 0) c_.item = usual(kItemNames, "item");
    if (c_.item < 0) missing("item", "");
    c_.owner = given(options_.owner_column, "owner");
    c_.time_offset = given(options_.time_offset_column, "time offset");
    c_.event = given(options_.event_column, "event");
    c_.rating = given(options_.rating_column, "rating");
    if (options_.min_rating != 0 && c_.rating < 0) {
      c_.rating = usual(kRatingNames, "rating");
      if (c_.rating < 0) missing("rating", "");
    }
    if (options_.sessions && users >= 0 && users != c_.user && users != c_.owner) c_.other_user = users;
    find_time();
    c_.needed = c_.last() + 1;
  }

  void find_time() {
    const bool none = options_.time_column == kNone && std::ranges::find(c_.header, kNone) == c_.header.end();
    if (!none) c_.time = given(options_.time_column, "time");
    if (!none && c_.time < 0) c_.time = usual(kTimeNames, "time");
    for (std::size_t i = 0; i < c_.header.size(); ++i) {
      const auto column = static_cast<std::int64_t>(i);
      if (column == c_.time || column == c_.time_offset || column == c_.user || column == c_.item || !speaks_of_time(c_.header[i]))
        continue;
      if (!none && c_.time < 0 && !is_offset(c_.header[i])) {
        c_.time = column;
        c_.time_by_name = true;
      } else {
        c_.other_times += (c_.other_times.empty() ? "" : ", ") + c_.header[i];
      }
    }
  }

  void by_number() {
    const auto has_digit = [](std::string_view f) {
      return std::any_of(f.begin(), f.end(), [](char ch) { return ch >= '0' && ch <= '9'; });
    };
    require<DataError>(any_given_ || first_.size() > 1, where_, "1 field (", shown(),
                       "), expected \"user item\" or \"user item time\"; data.separator says what stands between the fields");
    const std::string_view start = first_.front();
    require<DataError>(options_.header == Header::absent || std::any_of(first_.begin(), first_.end(), has_digit), where_,
                       "this looks like a header without a known column: ", shown(),
                       "; data.user_column (session_column) and data.item_column name them, data.header = absent says that it is data",
                       start.empty() || std::isalnum(static_cast<unsigned char>(start.front()))
                           ? ""
                           : join_text(", data.comment = ", start.substr(0, 1), " leaves out lines that begin so"));
    const auto count = counted(first_);
    const auto number = [&](const std::string& wanted, std::int64_t otherwise) {
      if (wanted.empty()) return otherwise;
      require<DataError>(numbered(wanted) >= 0, where_, "no column \"", wanted, "\": without a header columns are numbered from 1 to ",
                         count);
      return numbered(wanted);
    };
    c_.user = number(options_.user_column, 0);
    c_.item = number(options_.item_column, 1);
    if (options_.time_column != kNone) c_.time = number(options_.time_column, !any_given_ && count == 3 ? 2 : -1);
    c_.owner = number(options_.owner_column, -1);
    c_.time_offset = number(options_.time_offset_column, -1);
    c_.event = number(options_.event_column, -1);
    c_.rating = number(options_.rating_column, -1);
    require<DataError>(options_.min_rating == 0 || c_.rating >= 0, where_,
                       "a smallest rating is given, but no column of ratings, which needs its number in a file without a header");
    require<DataError>(any_given_ || count < 4, where_, count, " fields (", shown(),
                       "), expected \"user item\" or \"user item time\"; say by their numbers which they are, such as ",
                       options_.sessions ? "data.session_column" : "data.user_column", "=1 data.item_column=2 data.time_column=", count,
                       "; where a line is a whole sequence, data.form = lines");
    c_.exact = !any_given_;
    c_.needed = c_.exact ? count : c_.last() + 1;
  }

  /// The first fields of the line.
  std::string shown() const {
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(6, first_.size()); ++i)
      out += join_text(i > 0 ? ", " : "", first_[i].substr(0, 30), first_[i].size() > 30 ? "..." : "");
    return first_.size() > 6 ? out + ", ..." : out;
  }

  const std::vector<std::string_view>& first_;
  const ReadOptions& options_;
  std::string where_;
  Columns c_;
  bool any_given_ = false;
};

/// New indices in numeric order of the ids: result[old] = new, and the reordered map.
std::vector<std::int32_t> sort_numerically(IdMap& ids, const std::string& path, std::string_view what) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(ids.size()));
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    const auto v = as_number(ids[i]);
    require<DataError>(v.has_value(), path, ": ", what, " id \"", ids[i], "\" is not an integer, as numeric order needs");
    values[static_cast<std::size_t>(i)] = *v;
  }
  std::vector<std::int32_t> order(values.size()), renumbered(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return values[static_cast<std::size_t>(a)] < values[static_cast<std::size_t>(b)]; });
  IdMap sorted;
  for (const auto old : order) renumbered[static_cast<std::size_t>(old)] = sorted.add(ids[old]);
  ids = std::move(sorted);
  return renumbered;
}

void renumber(std::vector<std::int32_t>& indices, const std::vector<std::int32_t>& to) {
  for (auto& i : indices) i = to[static_cast<std::size_t>(i)];
}

/// Single events in the order of the file.
struct Events {
  std::vector<std::int32_t> users, items;
  std::vector<double> times;
  IdMap user_ids, item_ids;
};

Interactions finish(Events&& e, IdOrder order, const std::string& path) {
  require<DataError>(!e.items.empty(), path, ": no interactions in this file, which has nothing but a header");
  if (order == IdOrder::numeric) {
    renumber(e.users, sort_numerically(e.user_ids, path, "user"));
    renumber(e.items, sort_numerically(e.item_ids, path, "item"));
  }
  return group_events(e.users, e.items, e.times, std::make_shared<IdMap>(std::move(e.user_ids)),
                      std::make_shared<IdMap>(std::move(e.item_ids)));
}

/// What was left out while reading, and what was seen that may be wrong.
struct Tally {
  std::int64_t other_events = 0, low_ratings = 0, bad_lines = 0;
  std::string first_bad;
  std::vector<double> few_times;      // distinct ones, up to kFewTimes + 1
  std::vector<std::int32_t> user_of;  // sessions: the first user of each
  std::vector<char> shared;           // sessions of several users
  IdMap users;                        // sessions: names of their users
  bool time_refused = false;          // a column whose name speaks of a time holds none
  bool falling = true;                // no time is later than the one before it
  bool newest_first = false;          // and some are earlier

  static constexpr std::size_t kFewTimes = 10;
  void see_time(double t) {
    if (few_times.size() <= kFewTimes && std::ranges::find(few_times, t) == few_times.end()) few_times.push_back(t);
  }
  void see_user(std::int32_t session, std::string_view name) {
    const std::int32_t user = users.add(name);
    const auto s = static_cast<std::size_t>(session);
    if (s >= user_of.size()) {
      user_of.resize(s + 1, -1);
      shared.resize(s + 1, 0);
    }
    if (user_of[s] < 0) user_of[s] = user;
    if (user_of[s] != user) shared[s] = 1;
  }
};

std::string column_text(const Columns& c, std::int64_t column) {
  return c.has_header ? join_text(column + 1, " '", c.header[static_cast<std::size_t>(column)], "'") : join_text(column + 1);
}

/// Warns of ids that other programs write where a value is missing.
void report_missing(const std::string& path, const Events& e, std::string_view user, DataReport& report) {
  const auto look = [&](const IdMap& ids, const std::vector<std::int32_t>& of, std::string_view what) {
    for (const std::string_view name :
         {"nan", "NaN", "NAN", "null", "NULL", "Null", "None", "none", "NA", "N/A", "<NA>", "\\N", "undefined"})
      if (const std::int64_t id = ids.find(name); id >= 0) {
        const std::int64_t count = std::ranges::count(of, id);
        report.warn(join_text(path, ": ", grouped(count), count == 1 ? " event has" : " events have", " the ", what, " '", name,
                              "': is it missing there? It counts as one ", what));
      }
  };
  look(e.user_ids, e.users, user);
  look(e.item_ids, e.items, "item");
}

void report_table(const TableReader& table, const ReadOptions& o, const Columns& c, const Tally& seen, const Events& e,
                  DataReport& report) {
  report_missing(table.path(), e, o.sessions ? "session" : "user", report);
  const std::string comments = table.comment_lines() > 0 ? join_text(", ", grouped(table.comment_lines()), " comment lines") : "";
  report.fact("file",
              join_text(table.path(), ": table, ", table.separator_text(), ", ", c.has_header ? "a header" : "no header", comments));
  std::string columns = join_text(o.sessions ? "session " : "user ", column_text(c, c.user),
                                  c.users_as_sessions ? " (no session column was recognised: a session is all of a user)" : "", ", item ",
                                  column_text(c, c.item));
  if (c.owner >= 0) columns += ", owner " + column_text(c, c.owner);
  if (c.time >= 0) columns += ", time " + column_text(c, c.time);
  if (c.time_offset >= 0) columns += " + " + column_text(c, c.time_offset);
  if (c.time_by_name) columns += " (its name speaks of a time)";
  if (c.time >= 0 && c.time_offset < 0 && !c.other_times.empty()) columns += join_text(" (not read as times: ", c.other_times, ")");
  if (c.event >= 0) columns += ", event " + column_text(c, c.event);
  if (c.rating >= 0) columns += ", rating " + column_text(c, c.rating);
  if (c.time < 0) columns += "; no times: the order of the file counts";
  report.fact("columns", columns);
  if (seen.other_events > 0) report.fact("left out", join_text(grouped(seen.other_events), " lines of other events"));
  if (seen.low_ratings > 0) report.fact("left out", join_text(grouped(seen.low_ratings), " lines rated below ", o.min_rating));

  if (seen.bad_lines > 0)
    report.warn(join_text(table.path(), ": ", grouped(seen.bad_lines), seen.bad_lines == 1 ? " line" : " lines",
                          " that could not be read are left out (data.bad_lines = skip), the first: ", seen.first_bad));
  if (o.time_unit != TimeUnit::seconds && !e.times.empty() && std::ranges::max(e.times) < 1e8)
    report.warn(join_text(table.path(), ": data.time_unit makes times of 1970 of the numbers in column ", column_text(c, c.time),
                          ": are they seconds?"));
  if (table.not_utf8().lines > 0) report.warn(join_text(table.path(), ": ", to_text(table.not_utf8())));
  // No scale of ratings goes beyond 100.
  if (c.time >= 0 && !c.has_header && o.time_column.empty() && seen.few_times.size() <= Tally::kFewTimes && e.items.size() > 50 &&
      std::ranges::max(seen.few_times) <= 100) {
    std::vector<double> values = seen.few_times;
    std::ranges::sort(values);
    std::string text;
    for (const double v : values) text += join_text(text.empty() ? "" : ", ", v);
    report.warn(join_text(table.path(), ": column ", c.time + 1, " was taken as the time, but holds only ", values.size(),
                          " different values (", text,
                          "): ratings? data.time_column = none leaves it out, and the order of the file counts"));
  }
  if (c.time < 0 && (c.has_header || !c.like_times.empty()) && o.time_column.empty())
    report.warn(join_text(table.path(), ": no column of times was recognised, so the order of the file counts",
                          c.other_times.empty() ? "" : " (not read as times: " + c.other_times + ")",
                          c.like_times.empty() ? "" : join_text("; is it column ", c.like_times, "?"),
                          "; data.time_column names one, or none"));
  if (const auto shared = std::ranges::count(seen.shared, 1); shared > 0)
    report.warn(join_text(table.path(), ": ", grouped(shared), " of ", grouped(e.user_ids.size()),
                          " session ids are used by several users of column ", column_text(c, c.other_user),
                          ": if ids restart with every user, set data.user_column = ", c.header[static_cast<std::size_t>(c.other_user)]));
  if (seen.newest_first) report.fact("order", "the file runs from the newest event to the oldest: it was read from its end");
}

/// Takes the events out of the lines of a table.
class EventTaker {
 public:
  /// Stands at the first line.
  EventTaker(const TableReader& table, const ReadOptions& options, bool reports)
      : table_(table),
        options_(options),
        reports_(reports),
        unit_(seconds_of(options.time_unit)),
        header_line_(table.line_number()),
        columns_(ColumnFinder(table.fields(), options, table.where()).find()) {}

  const Columns& columns() const { return columns_; }

  /// The present line. Throws DataError if it makes no sense; then nothing of it is kept.
  void take() {
    check_fields();
    if (!is_wanted()) return;
    auto user = field(columns_.user);
    const auto item = field(columns_.item);
    if (user.empty() || item.empty()) [[unlikely]]
      throw DataError(join_text(table_.where(), "empty ", user.empty() ? "user" : "item", " id in column ",
                                (user.empty() ? columns_.user : columns_.item) + 1));
    const std::optional<double> time = columns_.time >= 0 ? time_of_line() : std::nullopt;
    if (columns_.owner >= 0) {
      name_.assign(field(columns_.owner)).append(1, '\x1f').append(user);
      user = name_;
    }
    if (last_user_ < 0 || user != last_name_) {
      last_user_ = events_.user_ids.add(user);
      last_name_.assign(user);
    }
    if (reports_) look_at_other_columns();
    if (time) {
      if (!events_.times.empty() && *time > events_.times.back()) seen_.falling = false;
      events_.times.push_back(*time);
      if (reports_) seen_.see_time(*time);
    }
    events_.users.push_back(last_user_);
    events_.items.push_back(events_.item_ids.add(item));
  }

  /// Counts a line that take() refused.
  void skip(const std::string& why) {
    if (++seen_.bad_lines == 1) seen_.first_bad = why;
  }

  /// All events; reports what was seen.
  Events done(DataReport* report) {
    const std::string& path = table_.path();
    require<DataError>(!events_.items.empty() || seen_.bad_lines == 0, path, ": no line could be read; ", seen_.first_bad);
    require<DataError>(!events_.items.empty() || options_.events.empty(), path, ": no line has one of the chosen events in column \"",
                       options_.event_column, "\"");
    require<DataError>(!events_.items.empty() || seen_.low_ratings == 0, path, ": no line is rated ", options_.min_rating, " or above");
    seen_.newest_first = seen_.falling && !events_.times.empty() && events_.times.front() > events_.times.back();
    if (seen_.newest_first) {  // so are events of the same time
      std::ranges::reverse(events_.users);
      std::ranges::reverse(events_.items);
      std::ranges::reverse(events_.times);
    }
    if (report != nullptr) report_table(table_, options_, columns_, seen_, events_, *report);
    return std::move(events_);
  }

 private:
  std::string_view field(std::int64_t column) const { return table_.fields()[static_cast<std::size_t>(column)]; }
  std::int64_t count() const { return columns_.exact ? counted(table_.fields()) : static_cast<std::int64_t>(table_.fields().size()); }

  /// Whether a field is the name of its column, also with a type as RecBole writes it.
  bool names_itself(std::int64_t column) const {
    const std::string_view text = field(column), name = columns_.header[static_cast<std::size_t>(column)];
    return text.starts_with(name) && (text.size() == name.size() || text[name.size()] == ':');
  }

  void check_fields() const {
    const std::int64_t fields = count();
    if (fields < columns_.needed || (columns_.exact && fields != columns_.needed)) [[unlikely]]
      throw DataError(join_text(table_.where(), fields, fields == 1 ? " field" : " fields", ", expected ",
                                columns_.exact ? "" : "at least ", columns_.needed));
    if (!columns_.has_header) return;
    const auto named = static_cast<std::int64_t>(columns_.header.size());
    if (fields > named && counted(table_.fields()) > named) [[unlikely]]
      throw DataError(join_text(table_.where(), fields, " fields, but the header names ", named, " columns: is the separator ",
                                separator_name(table_.separator()), " part of a field that is not quoted?"));
    if (names_itself(columns_.user) && names_itself(columns_.item)) [[unlikely]]
      throw DataError(join_text(table_.where(), "the header of line ", header_line_,
                                " again: take it out (files that were joined keep their headers)"));
  }

  /// By the kind of event and the rating.
  bool is_wanted() {
    if (columns_.event >= 0 && std::ranges::find(options_.events, field(columns_.event)) == options_.events.end()) {
      ++seen_.other_events;
      return false;
    }
    if (options_.min_rating == 0) return true;
    const auto rating = parse_number(field(columns_.rating));
    if (!rating) [[unlikely]]
      throw DataError(join_text(table_.where(), "rating \"", field(columns_.rating), "\" is not a number"));
    if (*rating >= options_.min_rating) return true;
    ++seen_.low_ratings;
    return false;
  }

  /// Nothing if a column whose name alone speaks of times turns out to hold none: it is a column of times no longer.
  std::optional<double> time_of_line() {
    const auto text = field(columns_.time);
    const auto time = parse_time(text, unit_);
    if (!time) [[unlikely]] {
      if (!columns_.time_by_name || !events_.items.empty())
        throw DataError(join_text(table_.where(), "time \"", text, "\" of column ", column_text(columns_, columns_.time),
                                  " is neither a number nor a date like 2014-04-07T10:51:09Z"));
      columns_.other_times = columns_.header[static_cast<std::size_t>(columns_.time)];
      columns_.time = -1;
      columns_.time_by_name = false;
      return std::nullopt;
    }
    if (columns_.time_offset < 0) return time;
    const auto offset = parse_number(field(columns_.time_offset));
    if (!offset) [[unlikely]]
      throw DataError(join_text(table_.where(), "time offset \"", field(columns_.time_offset), "\" is not a number"));
    return *time + *offset * unit_;
  }

  void look_at_other_columns() {
    const std::int64_t fields = count();
    if (events_.items.empty() && columns_.time < 0 && options_.time_column.empty())
      for (std::int64_t column = 0; column < fields && columns_.like_times.empty(); ++column)
        if (column != columns_.user && column != columns_.item && looks_like_time(field(column)))
          columns_.like_times = column_text(columns_, column);
    if (columns_.other_user >= 0 && columns_.other_user < fields) seen_.see_user(last_user_, field(columns_.other_user));
  }

  const TableReader& table_;
  const ReadOptions& options_;
  bool reports_;
  double unit_;
  std::int64_t header_line_;
  Columns columns_;
  Events events_;
  Tally seen_;
  std::string last_name_, name_;  // files are mostly grouped by user, so most lines need no lookup
  std::int32_t last_user_ = -1;
};

std::string day_of(double seconds) {
  namespace chrono = std::chrono;
  if (!(std::abs(seconds) < 1e13)) return join_text(seconds, " s");
  if (std::abs(seconds) > 9e11) return join_text("the year ", std::llround(1970 + seconds / (365.2425 * 86400)));
  const chrono::year_month_day date{chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(static_cast<std::int64_t>(seconds))))};
  const auto two = [](unsigned v) { return join_text(v < 10 ? "0" : "", v); };
  return join_text(static_cast<int>(date.year()), "-", two(static_cast<unsigned>(date.month())), "-",
                   two(static_cast<unsigned>(date.day())));
}

/// "9.3 days", "2 years", "70 s".
std::string span_of(double seconds) {
  constexpr std::pair<double, std::string_view> kUnits[] = {{365.2425 * 86400, "years"}, {86400, "days"}, {3600, "hours"}, {60, "minutes"}};
  for (const auto& [unit, name] : kUnits)
    if (seconds >= 2 * unit) return join_text(std::round(10 * seconds / unit) / 10, " ", name);
  return join_text(seconds, " s");
}

/// What the times leave open, and what they may be instead.
struct TimeTally {
  std::int64_t tied = 0, longer_than_a_day = 0, of_several = 0, zero = 0;
  double first = 0, last = 0;
  bool whole_days = true;
  bool written_days = true;  // all are numbers such as 20200131
};

/// 20200131, or 20200131235959.
bool is_written_day(double t) {
  if (t >= 1e13) t = std::floor(t / 1e6);
  const auto number = t >= 19000101 && t <= 21001231 && t == std::floor(t) ? static_cast<std::int64_t>(t) : 0;
  const std::int64_t month = number / 100 % 100, day = number % 100;
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

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

/// The unit that makes times of our days of these numbers, if they are no seconds.
std::optional<std::string_view> likely_unit(double t) {
  for (const auto& [unit, name] : {std::pair{1e3, "milliseconds"}, std::pair{1e6, "microseconds"}, std::pair{1e9, "nanoseconds"}})
    if (t / unit > 1e8 && t / unit < 4.2e9) return name;
  return std::nullopt;
}

}  // namespace

Interactions group_events(std::span<const std::int32_t> users, std::span<const std::int32_t> items, std::span<const double> times,
                          std::shared_ptr<const IdMap> user_ids, std::shared_ptr<const IdMap> item_ids) {
  require<InternalError>(users.size() == items.size() && (times.empty() || times.size() == items.size()), "group_events: ", users.size(),
                         " users, ", items.size(), " items, ", times.size(), " times");
  const auto count = static_cast<std::size_t>(user_ids->size());
  std::vector<std::int64_t> begin(count + 1, 0);
  for (const auto u : users) ++begin[static_cast<std::size_t>(u) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());

  Interactions x;
  x.items.resize(items.size());
  x.times.resize(times.size());
  auto next = begin;  // a counting sort: stable, so file order survives within a user
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(users[i])]++);
    x.items[at] = items[i];
    if (!times.empty()) x.times[at] = times[i];
  }

  std::vector<std::pair<double, std::int32_t>> events;
  for (std::size_t u = 0; u < count; ++u) {
    if (begin[u] == begin[u + 1]) continue;
    x.users.push_back(static_cast<std::int32_t>(u));
    x.offsets.push_back(begin[u + 1]);
    const auto first = static_cast<std::size_t>(begin[u]), size = static_cast<std::size_t>(begin[u + 1]) - first;
    if (times.empty()) continue;
    const auto t = std::span(x.times).subspan(first, size);
    const auto i = std::span(x.items).subspan(first, size);
    if (std::is_sorted(t.begin(), t.end())) continue;
    events.clear();
    for (std::size_t k = 0; k < size; ++k) events.emplace_back(t[k], i[k]);
    std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t k = 0; k < size; ++k) std::tie(t[k], i[k]) = events[k];
  }
  x.user_ids = std::move(user_ids);
  x.item_ids = std::move(item_ids);
  return x;
}

Interactions read_interactions(const std::string& path, const ReadOptions& options, DataReport* report) {
  require<ConfigError>(options.event_column.empty() == options.events.empty(), path,
                       ": the column of events and the events to keep go together: column \"", options.event_column, "\", ",
                       options.events.size(), " events");
  TableReader table(path, options.table);
  require<DataError>(table.next(), path, ": file is empty, expected lines \"user item [time]\"");
  EventTaker taker(table, options, report != nullptr);
  bool have_line = !taker.columns().has_header;
  while (have_line || table.next()) {
    have_line = false;
    if (options.bad_lines == BadLines::refuse) {
      taker.take();
      continue;
    }
    try {
      taker.take();
    } catch (const DataError& e) {
      taker.skip(e.what());
    }
  }
  return finish(taker.done(report), options.order, path);
}

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

Interactions read_session_lines(const std::string& path, IdOrder order, const TableOptions& options, DataReport* report) {
  TableReader reader(path, options);
  Events e;
  while (reader.next()) {
    const auto session = e.user_ids.add(std::to_string(reader.line_number()));
    for (const auto item : reader.fields()) {
      if (item.empty()) continue;
      e.users.push_back(session);
      e.items.push_back(e.item_ids.add(item));
    }
  }
  if (report != nullptr)
    report->fact("file", join_text(path, ": a session a line, ", reader.separator_text(), "; the order of the file counts"));
  return finish(std::move(e), order, path);
}

}  // namespace capstan::data
