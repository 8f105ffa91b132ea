#include "data/interactions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <string_view>

#include "autograd/core/error.h"
#include "data/line_reader.h"

namespace capstan::data {
namespace {

constexpr char kSpaces = ' ';  // as a separator: any run of spaces and tabs

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}

/// Cuts lines into fields. Fields stay valid until the next cut and as long as the line.
class FieldCutter {
 public:
  explicit FieldCutter(char separator = kSpaces) : separator_(separator) {}

  const std::vector<std::string_view>& cut(std::string_view line) {
    fields_.clear();
    if (separator_ == kSpaces) {
      const char *p = line.data(), *end = p + line.size();
      for (;;) {
        while (p != end && is_blank(*p)) ++p;
        if (p == end) return fields_;
        const char* start = p;
        while (p != end && !is_blank(*p)) ++p;
        fields_.emplace_back(start, static_cast<std::size_t>(p - start));
      }
    }
    if (separator_ == ',' && line.find('"') != line.npos) return cut_quoted(line);
    for (;;) {
      const auto at = line.find(separator_);
      fields_.push_back(trimmed(line.substr(0, at)));
      if (at == line.npos) return fields_;
      line.remove_prefix(at + 1);
    }
  }

 private:
  // "a,b" is one field, "" inside quotes one quote (RFC 4180); a quoted line break is not supported.
  const std::vector<std::string_view>& cut_quoted(std::string_view line) {
    unquoted_.clear();
    std::vector<std::size_t> ends;
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
        unquoted_ += line[++i];
      } else if (line[i] == '"') {
        quoted = !quoted;
      } else if (line[i] == ',' && !quoted) {
        ends.push_back(unquoted_.size());
      } else {
        unquoted_ += line[i];
      }
    }
    ends.push_back(unquoted_.size());
    std::size_t begin = 0;
    for (const auto end : ends) {
      fields_.push_back(trimmed(std::string_view(unquoted_).substr(begin, end - begin)));
      begin = end;
    }
    return fields_;
  }

  char separator_;
  std::vector<std::string_view> fields_;
  std::string unquoted_;
};

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

/// "2014-04-07", "2014-04-07 10:51:09", "2014-04-07T10:51:09.277Z", "2019-10-01 00:00:00 UTC", in seconds
std::optional<double> parse_date(std::string_view s) {
  const int y = take_digits(s, 4), dash1 = take(s, '-'), m = take_digits(s, 2), dash2 = take(s, '-'), d = take_digits(s, 2);
  if (y < 0 || !dash1 || m < 0 || !dash2 || d < 0) return std::nullopt;
  namespace chrono = std::chrono;
  const chrono::year_month_day date{chrono::year(y), chrono::month(static_cast<unsigned>(m)), chrono::day(static_cast<unsigned>(d))};
  if (!date.ok()) return std::nullopt;
  double seconds = static_cast<double>(chrono::sys_days(date).time_since_epoch().count()) * 86400.0;
  if (s.empty()) return seconds;
  if (!take(s, 'T') && !take(s, ' ')) return std::nullopt;
  const int hour = take_digits(s, 2), colon1 = take(s, ':'), minute = take_digits(s, 2), colon2 = take(s, ':');
  double second = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), second, std::chars_format::fixed);
  if (hour < 0 || hour > 23 || !colon1 || minute < 0 || minute > 59 || !colon2 || error != std::errc() || !(second >= 0 && second < 61)) {
    return std::nullopt;
  }
  s.remove_prefix(static_cast<std::size_t>(end - s.data()));
  if (!s.empty() && s != "Z" && s != " UTC" && s != "+00:00" && s != "+00") return std::nullopt;
  return seconds + 3600.0 * hour + 60.0 * minute + second;
}

std::optional<double> parse_number(std::string_view s) {
  double value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (s.empty() || error != std::errc() || end != s.data() + s.size() || !std::isfinite(value)) return std::nullopt;
  return value;
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

/// Which columns hold what; all but user and item may be missing (-1).
struct Columns {
  std::int64_t user = -1, item = -1, time = -1, time_offset = -1, event = -1, needed = 0;
  std::int64_t last() const { return std::max({user, item, time, time_offset, event}); }
  bool has_header = false, exact = false;  // exact: every line has `needed` fields
};

constexpr std::string_view kUserNames[] = {"user_id",   "userid",  "user",       "uid",      "session_id",
                                           "sessionid", "session", "visitor_id", "visitorid"};
constexpr std::string_view kItemNames[] = {"item_id", "itemid", "item", "iid", "movie_id", "movieid", "product_id", "productid"};
constexpr std::string_view kTimeNames[] = {"timestamp", "time", "unixtimestamp", "datetime", "event_time", "ts"};

/// Finds a column by its configured name, else by the first of the usual names that the header has; -1 if there is none.
std::int64_t find_column(const std::vector<std::string>& header, const std::string& wanted, std::span<const std::string_view> usual) {
  const auto index = [&](auto&& equal) {
    const auto at = std::find_if(header.begin(), header.end(), equal);
    return at == header.end() ? std::int64_t{-1} : at - header.begin();
  };
  if (!wanted.empty()) return index([&](const std::string& h) { return h == wanted; });
  for (const auto name : usual) {
    if (const auto at = index([&](const std::string& h) { return lower(h) == name; }); at >= 0) return at;
  }
  return -1;
}

std::optional<std::int64_t> as_number(std::string_view s) {
  std::int64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (s.empty() || error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return v;
}

std::array<const std::string*, 5> column_options(const ReadOptions& o) {
  return {&o.user_column, &o.item_column, &o.time_column, &o.time_offset_column, &o.event_column};
}

Columns columns_by_number(const std::vector<std::string_view>& fields, const ReadOptions& options, const std::string& where) {
  const auto count = static_cast<std::int64_t>(fields.size());
  const bool chosen = std::ranges::any_of(column_options(options), [](const std::string* wanted) { return !wanted->empty(); });
  Columns c;
  const auto number = [&](const std::string& wanted, std::int64_t otherwise) {
    if (wanted.empty()) return otherwise;
    const auto n = as_number(wanted);
    require<DataError>(n && *n >= 1 && *n <= count, where, "no column \"", wanted, "\": without a header columns are numbered from 1 to ",
                       count);
    return *n - 1;
  };
  c.user = number(options.user_column, 0);
  c.item = number(options.item_column, 1);
  c.time = number(options.time_column, !chosen && count == 3 ? 2 : -1);
  c.time_offset = number(options.time_offset_column, -1);
  c.event = number(options.event_column, -1);
  require<DataError>(chosen || count == 2 || count == 3, where, count, count == 1 ? " field" : " fields",
                     ", expected \"user item\" or \"user item time\"; for other columns set their names or numbers");
  c.exact = !chosen;
  c.needed = c.exact ? count : c.last() + 1;
  return c;
}

/// Decides about the header from the first line, see ReadOptions.
Columns find_columns(const std::vector<std::string_view>& fields, const ReadOptions& options, const std::string& where) {
  std::vector<std::string> header;
  for (const auto f : fields) header.emplace_back(f.substr(0, f.find(':')));  // RecBole writes name:type
  Columns c;
  c.user = find_column(header, options.user_column, kUserNames);
  c.item = find_column(header, options.item_column, kItemNames);
  c.time = find_column(header, options.time_column, kTimeNames);
  c.time_offset = find_column(header, options.time_offset_column, {});
  c.event = find_column(header, options.event_column, {});

  bool named = false, numbered = false;  // what the configured columns say about the header
  for (const std::string* wanted : column_options(options)) {
    if (!wanted->empty()) (as_number(*wanted) ? numbered : named) = true;
  }
  const bool known = c.user >= 0 || c.item >= 0;
  c.has_header = options.header == Header::present || (options.header == Header::automatic && (named || (known && !numbered)));
  if (!c.has_header) {
    const auto has_digit = [](std::string_view f) {
      return std::any_of(f.begin(), f.end(), [](char ch) { return ch >= '0' && ch <= '9'; });
    };
    require<DataError>(options.header == Header::absent || std::any_of(fields.begin(), fields.end(), has_digit), where,
                       "this looks like a header without a known column; set the column names, or say that there is no header");
    return columns_by_number(fields, options, where);
  }
  const auto check = [&](std::int64_t column, const std::string& wanted, std::string_view what) {
    std::string names;
    for (const auto& h : header) names += (names.empty() ? "" : ", ") + h;
    require<DataError>(column >= 0, where, "no ", what, " column", wanted.empty() ? "" : " \"" + wanted + "\"",
                       "; the header has: ", names);
  };
  check(c.user, options.user_column, "user");
  check(c.item, options.item_column, "item");
  if (!options.time_column.empty()) check(c.time, options.time_column, "time");
  if (!options.time_offset_column.empty()) check(c.time_offset, options.time_offset_column, "time offset");
  if (!options.event_column.empty()) check(c.event, options.event_column, "event");
  c.needed = c.last() + 1;
  return c;
}

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
  require<DataError>(!e.items.empty(), path, ": no interactions in this file");
  if (order == IdOrder::numeric) {
    renumber(e.users, sort_numerically(e.user_ids, path, "user"));
    renumber(e.items, sort_numerically(e.item_ids, path, "item"));
  }
  return group_events(e.users, e.items, e.times, std::make_shared<IdMap>(std::move(e.user_ids)),
                      std::make_shared<IdMap>(std::move(e.item_ids)));
}

char separator_of(std::string_view line) {
  for (const char c : {'\t', ',', ';'})
    if (line.find(c) != line.npos) return c;
  return kSpaces;
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

Interactions read_interactions(const std::string& path, const ReadOptions& options) {
  require<ConfigError>(options.event_column.empty() == options.events.empty(), path,
                       ": the column of events and the events to keep go together: column \"", options.event_column, "\", ",
                       options.events.size(), " events");
  LineReader reader(path);
  std::string_view line;
  do require<DataError>(reader.next(line), path, ": file is empty, expected lines \"user item [time]\"");
  while (trimmed(line).empty());

  const char separator = separator_of(line);
  FieldCutter cutter(separator);
  const Columns columns = find_columns(cutter.cut(line), options, reader.where());
  const auto user_at = static_cast<std::size_t>(columns.user), item_at = static_cast<std::size_t>(columns.item);

  const double unit = options.time_unit == TimeUnit::milliseconds ? 0.001 : 1.0;

  Events e;
  std::string last_name;  // files are mostly grouped by user, so most lines need no lookup
  std::int32_t last_user = -1;
  bool have_line = !columns.has_header;
  while (have_line || reader.next(line)) {
    have_line = false;
    const auto& fields = cutter.cut(line);
    const auto count = static_cast<std::int64_t>(fields.size());
    if (count < columns.needed || (columns.exact && count != columns.needed)) [[unlikely]] {
      if (trimmed(line).empty()) continue;
      throw DataError(join_text(reader.where(), count, count == 1 ? " field" : " fields", ", expected ", columns.exact ? "" : "at least ",
                                columns.needed));
    }
    if (columns.event >= 0 && std::ranges::find(options.events, fields[static_cast<std::size_t>(columns.event)]) == options.events.end())
      continue;
    const auto user = fields[user_at], item = fields[item_at];
    if (user.empty() || item.empty()) [[unlikely]] {
      throw DataError(join_text(reader.where(), "empty ", user.empty() ? "user" : "item", " id in column ",
                                (user.empty() ? columns.user : columns.item) + 1));
    }
    if (last_user < 0 || user != last_name) {
      last_user = e.user_ids.add(user);
      last_name.assign(user);
    }
    e.users.push_back(last_user);
    e.items.push_back(e.item_ids.add(item));
    if (columns.time >= 0) {
      const auto text = fields[static_cast<std::size_t>(columns.time)];
      const auto time = parse_time(text, unit);
      if (!time) [[unlikely]] {
        throw DataError(join_text(reader.where(), "time \"", text, "\" is neither a number nor a date like 2014-04-07T10:51:09Z"));
      }
      double offset = 0;
      if (columns.time_offset >= 0) {
        const auto added = fields[static_cast<std::size_t>(columns.time_offset)];
        const auto number = parse_number(added);
        if (!number) [[unlikely]]
          throw DataError(join_text(reader.where(), "time offset \"", added, "\" is not a number"));
        offset = *number * unit;
      }
      e.times.push_back(*time + offset);
    }
  }
  require<DataError>(!e.items.empty() || options.events.empty(), path, ": no line has one of the chosen events in column \"",
                     options.event_column, "\"");
  return finish(std::move(e), options.order, path);
}

Interactions read_session_lines(const std::string& path, IdOrder order) {
  LineReader reader(path);
  FieldCutter cutter;
  Events e;
  for (std::string_view line; reader.next(line);) {
    const auto& fields = cutter.cut(line);
    if (fields.empty()) continue;
    const auto session = e.user_ids.add(std::to_string(reader.line_number()));
    for (const auto item : fields) {
      e.users.push_back(session);
      e.items.push_back(e.item_ids.add(item));
    }
  }
  return finish(std::move(e), order, path);
}

}  // namespace capstan::data
