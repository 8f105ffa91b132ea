#pragma once
// Interactions: who touched which item in which order, as flat arrays, and the readers of the usual file forms.
//
// A sequence is all events of one user or one session. Sequences lie one after the other (CSR): those of sequence s are
// items[offsets[s] .. offsets[s + 1]). Within a sequence events are ordered by (time, place in the file), stable; without times
// the place in the file is the order. A file none of whose times is later than the one before it stands newest first: it is read from its
// end, so that events of the same time are in order too. Items and users are dense 0-based indices; padding ids are a matter of the model.
// What is done with interactions afterwards (filters, splits) is in data/splits.h.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_report.h"
#include "data/event_time.h"
#include "data/id_map.h"
#include "data/table.h"

namespace capstan::data {

struct Interactions {
  std::vector<std::int64_t> offsets{0};                               ///< [sequences + 1]
  std::vector<std::int32_t> items;                                    ///< [events], index in item_ids
  std::vector<double> times;                                          ///< [events] seconds, or empty: the file has none
  std::vector<std::int32_t> users;                                    ///< [sequences], index in user_ids
  std::shared_ptr<const IdMap> user_ids = std::make_shared<IdMap>();  ///< names of users or sessions in the file
  std::shared_ptr<const IdMap> item_ids = std::make_shared<IdMap>();

  std::int64_t sequences() const { return static_cast<std::int64_t>(users.size()); }
  std::int64_t events() const { return static_cast<std::int64_t>(items.size()); }
  std::int64_t item_count() const { return item_ids->size(); }
  std::int64_t length(std::int64_t s) const { return offsets[static_cast<std::size_t>(s) + 1] - offsets[static_cast<std::size_t>(s)]; }
  std::span<const std::int32_t> sequence(std::int64_t s) const { return part(items, s); }
  std::span<const double> sequence_times(std::int64_t s) const { return part(times, s); }
  bool has_times() const { return !times.empty() || items.empty(); }

 private:
  template <class T>
  std::span<const T> part(const std::vector<T>& all, std::int64_t s) const {
    return std::span(all).subspan(static_cast<std::size_t>(offsets[static_cast<std::size_t>(s)]), static_cast<std::size_t>(length(s)));
  }
};

enum class IdOrder {
  first_appearance,  ///< index 0 is the first id in the file
  numeric,           ///< index 0 is the smallest; all ids must be integers
};
enum class Header { automatic, present, absent };
/// What becomes of a line with too few or too many fields, an empty id or no time, and of a header that is repeated.
enum class BadLines { refuse, skip };

struct ReadOptions {
  /// Names in the header, or numbers from 1. Empty: the usual names (user_id, SessionId, item_id, ItemId, timestamp, Time, ... in any
  /// case and with or without _ and -), or without a header columns 1, 2 and, if the file has three, 3. A file need not have a time column
  /// unless named; where no usual name is there, a column whose name speaks of a time (click_time, date_added, created_at) and whose first
  /// value is one is taken. time_column = "none": the order of the file counts.
  std::string user_column = {}, item_column = {}, time_column = {};
  /// The sequences are sessions: a session column comes before a user column where the header has both.
  bool sessions = false;
  /// A column that belongs to the id: events are of one sequence if both are equal. For session ids that restart with every user.
  std::string owner_column = {};
  /// A column whose number is added to the time, for files that keep the day and the time within it apart; empty: none.
  std::string time_offset_column = {};
  /// Of times and offsets that are numbers.
  TimeUnit time_unit = TimeUnit::seconds;
  /// Lines whose `event_column` is none of `events` are left out, before anything else of them is looked at; empty: all lines count.
  std::string event_column = {};
  std::vector<std::string> events = {};
  /// Lines whose number in `rating_column` (empty: the usual names) is below this are left out; 0: all lines count.
  double min_rating = 0;
  std::string rating_column = {};
  Header header = Header::automatic;
  BadLines bad_lines = BadLines::refuse;
  TableOptions table = {};
  IdOrder order = IdOrder::first_appearance;
};

/// Reads "user item [time]" with or without a header from a text table (data/table.h). RecBole headers (name:type) are understood. Times
/// are numbers, or dates like 2014-04-07T10:51:09.277Z, 2019-10-01 00:00:00 UTC or 2020-01-01T08:00+02:00. `report` gets the form, the
/// columns and why, what was left out, and warnings. Throws DataError "path:line: ...", IoError, or ConfigError for options that do not go
/// together.
Interactions read_interactions(const std::string& path, const ReadOptions& options = {}, DataReport* report = nullptr);

/// Counts, span of times and the share of events that tie with a neighbour of their sequence, as facts named `what`; a warning for times
/// that were read in the wrong unit or leave most of the order to the file, and for sessions of which most last longer than a day.
/// `sequences`: "users", "sessions".
void report_events(const Interactions& x, std::string_view what, std::string_view sequences, DataReport& report);

/// Reads one session a line: item ids in click order, separated as in any text table. Sessions are named by their line number.
Interactions read_session_lines(const std::string& path, IdOrder order = IdOrder::first_appearance,
                                const TableOptions& options = {.separator = "blank"}, DataReport* report = nullptr);

/// The same interactions in CSR form from single events in file order. `times` has one per event or is empty.
Interactions group_events(std::span<const std::int32_t> users, std::span<const std::int32_t> items, std::span<const double> times,
                          std::shared_ptr<const IdMap> user_ids, std::shared_ptr<const IdMap> item_ids);

}  // namespace capstan::data
