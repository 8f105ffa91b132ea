#include "recipes/tasks/recommendation/table_options.h"

#include <algorithm>
#include <span>
#include <utility>

#include "data/line_reader.h"
#include "data/prepared.h"
#include "data/splits.h"

namespace capstan::recommendation {
namespace {

std::string_view name_of(data::Header header) {
  return header == data::Header::present ? "present" : header == data::Header::absent ? "absent" : "auto";
}

std::string_view name_of(data::TimeUnit unit) {
  switch (unit) {
    case data::TimeUnit::seconds: return "seconds";
    case data::TimeUnit::milliseconds: return "milliseconds";
    case data::TimeUnit::microseconds: return "microseconds";
    case data::TimeUnit::nanoseconds: return "nanoseconds";
  }
  return "";
}

/// The first few names of two lists: "items here are '101.0', '102.0', ..., those known are '101', '102', ...".
std::string side_by_side(const data::IdMap& given, const data::IdMap& known) {
  const auto some = [](const data::IdMap& ids) {
    std::string out;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(3, ids.size()); ++i) out += join_text(i > 0 ? ", '" : "'", ids[i], "'");
    return out;
  };
  return join_text("items here are ", some(given), ", ..., those known are ", some(known), ", ...");
}

}  // namespace

void TableOptions::validate() const {
  require<ConfigError>(event_column.empty() == events.empty(), "data.event_column and data.events go together: ",
                       event_column.empty() ? "events are named, but no column" : "a column is named, but no events");
  require<ConfigError>(time_offset_column.empty() || !time_column.empty(), "data.time_offset_column = ", time_offset_column,
                       ": data.time_column must name what it is added to");
}

data::Interactions TableOptions::read(const std::string& path, data::ReadOptions columns, data::DataReport& report) const {
  columns.table = {.separator = separator, .comment = comment, .quotes = quotes};
  if (form == FileForm::lines) {
    if (separator.empty()) columns.table.separator = "blank";
    return data::read_session_lines(path, data::IdOrder::first_appearance, columns.table, &report);
  }
  columns.item_column = item_column;
  columns.time_column = time_column;
  columns.time_offset_column = time_offset_column;
  columns.time_unit = time_unit;
  columns.event_column = event_column;
  columns.events = events;
  columns.min_rating = min_rating;
  columns.rating_column = rating_column;
  columns.header = header;
  columns.bad_lines = bad_lines;
  return data::read_interactions(path, columns, &report);
}

std::string TableOptions::key() const {
  std::string kept;
  for (const std::string& event : events) kept += event + ",";
  return join_text("form ", form == FileForm::table ? "table" : "lines", " item ", item_column, " time ", time_column, " + ",
                   time_offset_column, " unit ", name_of(time_unit), " event ", event_column, " ", kept, " rating ", rating_column, " ",
                   min_rating, " separator ", separator, " comment ", comment, " quotes ", quotes ? "yes" : "no", " header ",
                   name_of(header), " bad ", bad_lines == data::BadLines::skip ? "skip" : "refuse");
}

double TimeSplitOptions::cut(const data::Interactions& x) const { return split_time > 0 ? split_time : data::last_days(x, test_days); }

data::Interactions known_events(const data::Interactions& x, const std::shared_ptr<const data::IdMap>& items, std::string_view part,
                                std::int64_t& unknown, data::DataReport& report) {
  data::Interactions known = data::translate(x, items, &unknown);
  require<DataError>(x.events() == 0 || unknown < x.events(), "none of the ", data::grouped(x.events()), " events of ", part,
                     " is of a known item: ", side_by_side(*x.item_ids, *items));
  if (unknown > 0)
    report.fact("unknown", join_text(data::grouped(unknown), " of ", data::grouped(x.events()), " events of ", part,
                                     " are of items that are not known, and left out"));
  if (2 * unknown > x.events())
    report.warn(join_text("most events of ", part, " are of unknown items: ", side_by_side(*x.item_ids, *items)));
  return known;
}

data::Interactions kept_or_made(const std::string& prepared, const std::string& path, const std::string& shaping, engine::Purpose purpose,
                                const std::function<data::Interactions()>& make, data::DataReport& report, std::string* why) {
  const bool writes = purpose == engine::Purpose::train || purpose == engine::Purpose::prepare;
  const auto kept = writes ? data::KeepPrepared::yes : data::KeepPrepared::no;
  std::string reason;
  data::Interactions x =
      data::prepared_interactions(prepared, data::prepared_key(std::span(&path, 1), shaping), make, &reason, kept, &report);
  if (reason.empty()) report.fact("file", join_text(prepared, ": prepared from ", path));
  if (why != nullptr) *why = reason;
  return x;
}

data::IdMap read_names(const std::string& path) {
  data::LineReader lines(path);
  data::IdMap names;
  for (std::string_view line; lines.next(line);) {
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (!line.empty()) names.add(line);
  }
  require<DataError>(names.size() > 0, path, ": no name stands in this file");
  return names;
}

std::vector<char> read_candidates(const std::string& path, const data::IdMap& items) {
  const data::IdMap names = read_names(path);
  std::vector<char> out(static_cast<std::size_t>(items.size()));
  bool any = false;
  for (std::int64_t i = 0; i < names.size(); ++i)
    if (const std::int64_t item = items.find(names[i]); item >= 0) {
      out[static_cast<std::size_t>(item)] = 1;
      any = true;
    }
  require<DataError>(any, path, ": none of its ", names.size(), " items is known: ", side_by_side(names, items));
  return out;
}

std::string as_field(std::string_view name) {
  std::string out(name);
  for (char& c : out)
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  return out;
}

std::vector<std::string> query_fields(std::string_view line, const data::IdMap& names, const TableOptions& table) {
  const std::string given = table.separator.empty() ? "" : data::separator_from(table.separator);
  const bool has_given = !given.empty() && line.find(given) != line.npos;
  const std::string separator = has_given ? given : line.find('\t') == line.npos ? " " : "\t";
  while (line.starts_with(' ')) line.remove_prefix(1);
  while (line.ends_with(' ')) line.remove_suffix(1);
  if (separator == " " && names.find(line) >= 0) return {std::string(line)};
  data::RecordCutter cutter(separator, table.quotes);
  if (cutter.cut(line) != data::RecordCutter::State::complete) {
    cutter = data::RecordCutter(separator, /*quotes=*/false);  // a quote that opens nothing is a letter
    cutter.cut(line);
  }
  std::vector<std::string> out;
  for (const auto field : cutter.fields())
    if (!field.empty()) out.emplace_back(field);
  return out;
}

}  // namespace capstan::recommendation
