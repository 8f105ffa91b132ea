#include "data/item_titles.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/event_columns.h"
#include "data/text/text_table.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::string_view kIdNames[] = {"id"};
constexpr std::string_view kTitleNames[] = {"title",      "itemtitle", "movietitle", "producttitle", "booktitle",
                                            "tracktitle", "songtitle", "gametitle",  "newstitle",    "articletitle",
                                            "headline",   "name",      "itemname",   "moviename",    "productname",
                                            "bookname",   "trackname", "songname",   "gamename",     "description"};

struct TitleColumns {
  std::int64_t item = 0, title = 1, width = 0;
  bool has_header = false;
  std::vector<std::string> header;
};

/// Of bytes that may be anything; `converted`: whether they are not UTF-8 and were read as ISO-8859-1.
std::u32string letters(std::string_view field, bool* converted = nullptr) {
  const bool valid = unicode::is_valid_utf8(field);
  if (converted != nullptr) *converted = !valid;
  return unicode::to_utf32(valid ? std::string(field) : latin1_to_utf8(field));
}

std::string quoted_names(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 40;  // letters of a name
  std::string out;
  for (const auto& name : names) out += join_text(out.empty() ? "'" : ", '", unicode::to_utf8(letters(name).substr(0, kMost)), "'");
  return out;
}

class TitleColumnFinder {
 public:
  TitleColumnFinder(const TableReader& table, const TitleOptions& options) : where_(table.where()), options_(options) {
    c_.width = std::ssize(table.fields());
    for (const auto f : table.fields()) {
      fields_.emplace_back(f);
      c_.header.emplace_back(column_name(f));
    }
  }

  TitleColumns find() {
    const auto names = [](const std::string& wanted) { return !wanted.empty() && !as_integer(wanted); };
    const auto numbers = [](const std::string& wanted) { return as_integer(wanted).has_value(); };
    std::int64_t item = column_named(c_.header, usual_item_names());
    if (item < 0) item = column_named(c_.header, kIdNames);
    const std::int64_t title = column_named(c_.header, kTitleNames);
    // Where both columns have their numbers, a header is a line like others, of an item that nobody has; a first title may be "Name".
    c_.has_header = names(options_.item_column) || names(options_.title_column) ||
                    ((item >= 0 || title >= 0) && !(numbers(options_.item_column) && numbers(options_.title_column)));
    require<DataError>(c_.width > 1, where_, "1 field (", quoted_names(c_.header),
                       "), expected an item id and its title; data.title_separator says what stands between them");
    c_.item = chosen(options_.item_column, c_.has_header ? item : 0, "item", "title_item_column");
    c_.title = chosen(options_.title_column, c_.has_header ? title : 1, "title", "title_column");
    require<DataError>(c_.item != c_.title, where_, "column ", c_.item + 1, " cannot hold both the item ids and the titles");
    return std::move(c_);
  }

 private:
  std::int64_t chosen(const std::string& wanted, std::int64_t found, std::string_view what, std::string_view key) const {
    std::int64_t column = found;
    bool by_name = c_.has_header;
    const std::vector<std::string>* among = &c_.header;
    if (!wanted.empty()) {
      if (std::ranges::find(fields_, wanted) != fields_.end()) among = &fields_;  // as it stands there, with its type
      const auto at = std::ranges::find(*among, wanted);
      by_name = c_.has_header && at != among->end();
      const auto number = as_integer(wanted);
      column = by_name ? at - among->begin() : number && *number >= 1 && *number <= std::ssize(c_.header) ? *number - 1 : -1;
    }
    if (column < 0) {
      const std::string which = wanted.empty() ? "" : join_text(" '", wanted, "'");
      require<DataError>(c_.has_header, where_, "no ", what, " column", which, ": without a header columns are numbered from 1 to ",
                         c_.width);
      throw DataError(join_text(where_, "no ", what, " column", which, "; the header has ", quoted_names(c_.header), "; data.", key,
                                " names the one that is meant"));
    }
    if (by_name)
      for (std::int64_t other = 0; other < std::ssize(c_.header); ++other)
        require<DataError>(other == column || (*among)[at(other)] != (*among)[at(column)], where_, "columns ", std::min(column, other) + 1,
                           " and ", std::max(column, other) + 1, " are both named '", (*among)[at(column)], "': data.", key,
                           " says by its number which one is the ", what, " column");
    return column;
  }

  std::string where_;
  const TitleOptions& options_;
  std::vector<std::string> fields_;  // of the first line, as they stand there
  TitleColumns c_;
};

/// Valid UTF-8 without control characters.
std::string title_text(std::string_view field, bool& converted) {
  std::u32string text = letters(field, &converted);
  std::ranges::replace_if(
      text, [](char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029; }, U' ');
  const std::string out = unicode::to_utf8(text);
  return std::string(unicode::strip(out));
}

/// Throws DataError for a line that does not hold an id and a title.
void check_titled_line(const TableReader& table, const TitleColumns& c) {
  const auto& fields = table.fields();
  const std::int64_t count = counted_fields(fields), needed = std::max(c.item, c.title) + 1;
  require<DataError>(std::ssize(fields) >= needed, table.where(), std::ssize(fields), std::ssize(fields) == 1 ? " field" : " fields",
                     ", expected at least ", needed, ", the item id in column ", c.item + 1, " and the title in column ", c.title + 1, " (",
                     table.separator_text(), ")");
  require<DataError>(count <= c.width, table.where(), count, " fields, expected ", c.width, " as in the first line (",
                     table.separator_text(), "); a title that holds the separator must stand in double quotes");
  require<DataError>(!fields[at(c.item)].empty(), table.where(), "the item id in column ", c.item + 1, " is empty");
}

/// The titles of items so far, and what was met on the way.
struct TitleList {
  explicit TitleList(const IdMap& of) : items(of), titles(at(of.size())), met(at(of.size())) {}

  void add(std::string_view id, std::string_view field) {
    const std::int64_t item = items.find(id);
    if (item < 0) {
      if (strangers.size() < kShownIds) strangers.emplace_back(id);
      return;
    }
    std::string& kept = titles[at(item)];
    bool latin = false;
    std::string title = title_text(field, latin);
    if (title.empty()) {
      untitled += kept.empty() && std::exchange(met[at(item)], 1) == 0 ? 1 : 0;
    } else if (kept.empty()) {
      kept = std::move(title);
      converted += latin ? 1 : 0;
      untitled -= met[at(item)];
      ++titled;
    } else {
      other += kept == title ? 0 : 1;
    }
  }

  void skip(const std::string& why) {
    if (bad++ == 0) first_bad = why;
  }

  void report_to(DataReport& report, const TableReader& table, const TitleColumns& c) const {
    std::string text =
        join_text(table.path(), ": ", grouped(titled), " of ", grouped(items.size()), " items have a title; ", table.separator_text(),
                  ", item ", column_text(c.header, c.has_header, c.item), ", title ", column_text(c.header, c.has_header, c.title));
    if (untitled > 0)
      text += join_text("; ", grouped(untitled), untitled == 1 ? " item stands" : " items stand", " there with an empty title");
    if (other > 0)
      text += join_text("; ", grouped(other), other == 1 ? " line has" : " lines have", " another title of an item, whose first counts");
    if (converted > 0)
      text += join_text("; ", grouped(converted), converted == 1 ? " title is" : " titles are", " not UTF-8 and read as ISO-8859-1");
    report.fact("titles", std::move(text));
    if (bad > 0)
      report.warn(join_text(table.path(), ": ", grouped(bad), bad == 1 ? " line" : " lines",
                            " that could not be read are left out (data.bad_lines = skip), the first: ", first_bad));
    if (titled > 0 || items.size() == 0) return;
    std::vector<std::string> known;
    for (std::int64_t i = 0; i < std::min(std::int64_t{kShownIds}, items.size()); ++i) known.emplace_back(items[i]);
    report.warn(strangers.empty()
                    ? join_text("no item has a title in ", table.path())
                    : join_text("no item has a title in ", table.path(), ", whose ids are almost surely others: ids there are ",
                                quoted_names(strangers), ", ..., items of the data are ", quoted_names(known), ", ..."));
  }

  static constexpr std::size_t kShownIds = 3;
  const IdMap& items;
  std::vector<std::string> titles, strangers;
  std::vector<char> met;  // items that stand there with an empty title
  std::int64_t titled = 0, untitled = 0, converted = 0, other = 0, bad = 0;
  std::string first_bad;
};

}  // namespace

std::vector<std::string> read_item_titles(const std::string& path, const TitleOptions& options, const IdMap& items, DataReport& report) {
  TableReader table(path, options.table);
  require<DataError>(table.next(), path, ": the file is empty, expected a line with an id and a title for each item");
  const TitleColumns c = TitleColumnFinder(table, options).find();
  require<DataError>(!c.has_header || table.next(), path,
                     ": nothing follows the header, expected a line with an id and a title for each item");
  TitleList list(items);
  do {
    try {
      check_titled_line(table, c);
      list.add(table.fields()[at(c.item)], table.fields()[at(c.title)]);
    } catch (const DataError& e) {
      if (options.bad_lines == BadLines::refuse) throw;
      list.skip(e.what());
    }
  } while (table.next());
  list.report_to(report, table, c);
  return std::move(list.titles);
}

}  // namespace capstan::data
