#pragma once
// Which columns of a table of events hold what: named by the user, by the usual names of a header, or by their places.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/interactions.h"

namespace capstan::data {

/// Which columns hold what; all but user and item may be missing (-1), and why.
struct EventColumns {
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

/// Of a table whose first line has these fields; `where` begins messages, "path:1: ". Throws DataError for a column that is not there, or
/// that two have the name of, and where nothing says which columns are meant.
EventColumns find_columns(const std::vector<std::string_view>& first, const ReadOptions& options, const std::string& where);

/// The first column with one of these names, the first of them if there is one; -1: none. "item-id" and "Item_ID" are "itemid".
std::int64_t column_named(const std::vector<std::string>& header, std::span<const std::string_view> names);
/// Of columns of items, as column_named compares them.
std::span<const std::string_view> usual_item_names();

/// The name in a field of a header: RecBole writes name:type.
inline std::string_view column_name(std::string_view field) { return field.substr(0, field.find(':')); }
/// "3", or with a header "3 'timestamp'".
std::string column_text(const std::vector<std::string>& header, bool has_header, std::int64_t column);
inline std::string column_text(const EventColumns& c, std::int64_t column) { return column_text(c.header, c.has_header, column); }
/// The number of fields of a line, without empty ones at its end: many programs end every line with a separator.
std::int64_t counted_fields(const std::vector<std::string_view>& fields);
/// An integer that is the whole text.
std::optional<std::int64_t> as_integer(std::string_view s);

}  // namespace capstan::data
