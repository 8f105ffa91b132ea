#pragma once
// Keys of the section `data` that recommenders share: the form of files of events, which of their lines count, and where a time divides
// them. One key means the same in every recipe.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"
#include "data/interactions.h"
#include "recipes/engine/recipe.h"

namespace capstan::recommendation {

enum class FileForm { table, lines };

struct TableOptions {
  FileForm form = FileForm::table;
  std::string item_column, time_column, time_offset_column, event_column, rating_column;
  data::TimeUnit time_unit = data::TimeUnit::seconds;
  std::vector<std::string> events;
  double min_rating = 0;
  std::string separator, comment;
  bool quotes = true;
  data::Header header = data::Header::automatic;
  data::BadLines bad_lines = data::BadLines::refuse;

  template <class V>
  void visit(V& v) {
    v("form", form, "table: a line an event, its fields between separators; lines: a line of item ids a sequence, in their order",
      {{"table", FileForm::table}, {"lines", FileForm::lines}})
        .of_use();
    v("item_column", item_column, "name, or number from 1, of the item column; empty: found by the usual names").of_use();
    v("time_column", time_column, "the same for the time column; none: the order of the file counts, as in a file without one").of_use();
    v("time_offset_column", time_offset_column,
      "a column whose number is added to the time (files that keep the day and the time within it apart); empty: none")
        .of_use();
    v("time_unit", time_unit, "of times and offsets that are numbers, not dates",
      {{"seconds", data::TimeUnit::seconds},
       {"milliseconds", data::TimeUnit::milliseconds},
       {"microseconds", data::TimeUnit::microseconds},
       {"nanoseconds", data::TimeUnit::nanoseconds}})
        .of_use();
    v("event_column", event_column, "the column with the kind of event, for `events`; empty: every line counts").of_use();
    v("events", events, "kinds of events that count, such as view; other lines are left out").of_data();
    v("rating_column", rating_column, "name, or number from 1, of the column that min_rating looks at; empty: found by the usual names")
        .of_use();
    v("min_rating", min_rating, "lines with a lower rating are left out; 0: every line counts", V::non_negative()).of_data();
    v("separator", separator,
      "between fields: tab, comma, semicolon, pipe, blank (any run of blanks and tabs), control-a or a text such as ::; empty: judged over "
      "the first 200 lines")
        .of_use();
    v("comment", comment, "lines that begin with this are left out; empty: there are none").of_use();
    v("quotes", quotes, "fields may stand in double quotes (RFC 4180); no: a quote is a letter like any other").of_use();
    v("header", header, "whether the first line names the columns",
      {{"auto", data::Header::automatic}, {"present", data::Header::present}, {"absent", data::Header::absent}})
        .of_use();
    v("bad_lines", bad_lines, "lines with too few or too many fields, an empty id or no time, and repeated headers",
      {{"refuse", data::BadLines::refuse}, {"skip", data::BadLines::skip}})
        .of_use();
  }

  /// Throws ConfigError for keys that do not go together.
  void validate() const;
  /// Reads a file by these options and `columns`, which says what the sequences are: their column, sessions or not, and the owner.
  data::Interactions read(const std::string& path, data::ReadOptions columns, data::DataReport& report) const;
  /// As part of the key of a prepared file.
  std::string key() const;
};

/// Where a time divides events.
struct TimeSplitOptions {
  double test_days = 1, split_time = 0, validation_days = 0;

  template <class V>
  void visit(V& v) {
    v("test_days", test_days, "of a split by time: days at the end that are for test", V::positive()).of_data();
    v("split_time", split_time, "where the test part begins, in seconds, instead of test_days; 0: not given", V::non_negative()).of_data();
    v("validation_days", validation_days,
      "days at the end of the training part that are for validation, split in the same way; 0: no validation", V::non_negative())
        .of_data();
  }
  /// Where the test part of events begins.
  double cut(const data::Interactions& x) const;
};

/// The events of `part` (in words: "the test part") whose items are known, in their numbers; the others are left out, counted in `unknown`
/// and reported. Throws DataError if none is known.
data::Interactions known_events(const data::Interactions& x, const std::shared_ptr<const data::IdMap>& items, std::string_view part,
                                std::int64_t& unknown, data::DataReport& report);

/// Calls `make`; to what it throws for the data is added what had been read until then.
template <class F>
auto with_report(const data::DataReport& report, const F& make) {
  try {
    return make();
  } catch (const DataError& e) {
    std::string message = e.what();
    for (const std::string& line : data::lines_of(report)) message += "\n  " + line;
    throw DataError(message);
  }
}

/// What `make` reads of `path`, or what the file at `prepared` has kept of it, as long as that file and the options named in `shaping` are
/// the same. Only `train` and `prepare` write it. `why`, if not null, gets the reason it was written for; empty: it was up to date.
data::Interactions kept_or_made(const std::string& prepared, const std::string& path, const std::string& shaping, engine::Purpose purpose,
                                const std::function<data::Interactions()>& make, data::DataReport& report, std::string* why);

/// The names in a file, a line each, blank lines left out.
data::IdMap read_names(const std::string& path);
/// Which items a file names: 1 for those, 0 for others. Throws DataError if it names none.
std::vector<char> read_candidates(const std::string& path, const data::IdMap& items);

/// A name as a field of an answer: tabs and line breaks, which stand between fields and answers, become blanks.
std::string as_field(std::string_view name);

/// How a line of a query is cut: at data.separator where it has one; else at tabs; not at all if it is one of the names as it stands; else
/// at blanks. Quotes around a field are taken off.
std::vector<std::string> query_fields(std::string_view line, const data::IdMap& names, const TableOptions& table = {});

}  // namespace capstan::recommendation
