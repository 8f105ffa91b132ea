#include "data/interactions.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

#include "autograd/core/error.h"
#include "data/event_columns.h"
#include "data/event_time.h"

namespace capstan::data {
namespace {

/// New indices in numeric order of the ids: result[old] = new, and the reordered map.
std::vector<std::int32_t> sort_numerically(IdMap& ids, const std::string& path, std::string_view what) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(ids.size()));
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    const auto v = as_integer(ids[i]);
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

void report_table(const TableReader& table, const ReadOptions& o, const EventColumns& c, const Tally& seen, const Events& e,
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
        columns_(find_columns(table.fields(), options, table.where())) {}

  const EventColumns& columns() const { return columns_; }

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
  std::int64_t count() const {
    return columns_.exact ? counted_fields(table_.fields()) : static_cast<std::int64_t>(table_.fields().size());
  }

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
    if (fields > named && counted_fields(table_.fields()) > named) [[unlikely]]
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
  EventColumns columns_;
  Events events_;
  Tally seen_;
  std::string last_name_, name_;  // files are mostly grouped by user, so most lines need no lookup
  std::int32_t last_user_ = -1;
};

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
