#include "data/event_columns.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/event_time.h"

namespace capstan::data {
namespace {

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
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

/// Does it say that it holds sessions, and not when they begin or how long they are?
bool speaks_of_session(const std::string& name) {
  const std::string n = plain(name);
  return n.find("session") != n.npos && std::ranges::any_of(std::array<std::string_view, 6>{"session", "id", "no", "number", "key", "hash"},
                                                            [&](std::string_view end) { return n.ends_with(end); });
}

constexpr std::string_view kNone = "none";

class ColumnFinder {
 public:
  ColumnFinder(const std::vector<std::string_view>& first, const ReadOptions& options, std::string where)
      : first_(first), options_(options), where_(std::move(where)) {
    for (const auto f : first) c_.header.emplace_back(column_name(f));
  }

  EventColumns find() {
    const auto wanted = {&options_.user_column,        &options_.item_column,  &options_.time_column,  &options_.owner_column,
                         &options_.time_offset_column, &options_.event_column, &options_.rating_column};
    bool named = false;
    for (const std::string* w : wanted) {
      if (w->empty() || (w == &options_.time_column && *w == kNone)) continue;
      any_given_ = true;
      named = named || !as_integer(*w);
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
  std::int64_t usual(std::span<const std::string_view> names) const { return column_named(c_.header, names); }

  std::int64_t numbered(const std::string& wanted) const {
    const auto n = as_integer(wanted);
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
    const auto count = counted_fields(first_);
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
  EventColumns c_;
  bool any_given_ = false;
};

}  // namespace

EventColumns find_columns(const std::vector<std::string_view>& first, const ReadOptions& options, const std::string& where) {
  return ColumnFinder(first, options, where).find();
}

std::int64_t column_named(const std::vector<std::string>& header, std::span<const std::string_view> names) {
  for (const auto name : names)
    for (std::size_t i = 0; i < header.size(); ++i)
      if (plain(header[i]) == name) return static_cast<std::int64_t>(i);
  return -1;
}

std::span<const std::string_view> usual_item_names() { return kItemNames; }

std::string column_text(const std::vector<std::string>& header, bool has_header, std::int64_t column) {
  return has_header ? join_text(column + 1, " '", header[static_cast<std::size_t>(column)], "'") : join_text(column + 1);
}

std::int64_t counted_fields(const std::vector<std::string_view>& fields) {
  std::size_t count = fields.size();
  while (count > 1 && fields[count - 1].empty()) --count;
  return static_cast<std::int64_t>(count);
}

std::optional<std::int64_t> as_integer(std::string_view s) {
  std::int64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (s.empty() || error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return v;
}

}  // namespace capstan::data
