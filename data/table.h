#pragma once
// Text tables: records of fields, one after the other, from a plain or gzip file. The one reader of tables: training files, queries of
// `predict` and labels are cut by the same rules.
//
// Fields are cut at a separator, one for the whole file: given, or judged over the first lines. A field in double quotes (RFC 4180) may
// hold separators, line breaks and quotes, written twice; a quote inside a field that does not begin with one is a letter like any other.
// Blanks around a field are no part of it. Blank lines, and lines that begin with the comment mark, are left out.
//
// Not here: what a column means (data/interactions.h).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/line_reader.h"

namespace capstan::data {

/// "tab", "comma", "semicolon", "pipe", "blank" and "control-a" are those; "\t" and "\x01" too; anything else is itself, such as "::".
std::string separator_from(std::string_view written);
/// The other way round, for people: "tab", "comma", ..., "'::'".
std::string separator_name(std::string_view separator);

/// Cuts records. A record may need several lines.
class RecordCutter {
 public:
  /// `separator`: " " is any run of blanks and tabs. Throws ConfigError for one that is empty or holds a quote or a line break.
  explicit RecordCutter(std::string separator, bool quotes = true);

  enum class State {
    complete,
    open,    ///< a quoted field goes on in the next line: see go_on
    broken,  ///< something other than a separator follows a closing quote
  };
  State cut(std::string_view line);
  /// The next line of a record that is open.
  State go_on(std::string_view line);
  /// Of a complete record; valid until the next cut and as long as its line.
  const std::vector<std::string_view>& fields() const { return fields_; }
  const std::string& separator() const { return separator_; }

 private:
  bool splits_at_blanks() const { return separator_ == " "; }
  std::size_t separator_at(std::string_view s, std::size_t from) const;
  std::size_t past_blanks(std::string_view s, std::size_t from) const;
  State scan(std::string_view s);

  std::string separator_;
  bool quotes_;
  std::vector<std::string_view> fields_;
  // Of a record with quotes: its text without them and where its fields lie in it.
  std::string text_;
  std::vector<std::pair<std::size_t, std::size_t>> parts_;
  std::size_t begin_ = 0;
  bool inside_ = false;
};

struct TableOptions {
  std::string separator = {};  ///< as separator_from takes it; empty: judged
  std::string comment = {};    ///< lines that begin with this are left out; empty: there are none
  bool quotes = true;          ///< false: a quote is a letter wherever it stands
};

class TableReader {
 public:
  /// Opens the file and judges the separator: the one that gives the most of the first lines the same number of fields, two or more; of
  /// several such a control-A, then a tab, then the one that gives the most fields, blanks last. Throws IoError, DataError for what is
  /// no text, or ConfigError.
  explicit TableReader(const std::string& path, const TableOptions& options = {});

  /// The next record; false at the end. Throws DataError for a quote that is never closed, or followed by text, for a NUL byte, and for a
  /// CR within a line that does not stand in quotes.
  bool next();
  /// Valid until the next call.
  const std::vector<std::string_view>& fields() const { return cutter_.fields(); }
  /// The line at which the record begins, from 1.
  std::int64_t line_number() const { return line_number_; }
  /// "path:line: ", the start of every message about the record.
  std::string where() const;
  const std::string& path() const { return lines_.path(); }
  const std::string& separator() const { return cutter_.separator(); }
  /// For people: "separator comma (judged over 200 lines)".
  std::string separator_text() const;
  const NotUtf8& not_utf8() const { return lines_.not_utf8(); }
  std::int64_t comment_lines() const { return comment_lines_; }

 private:
  bool next_line(std::string_view& line);
  void refuse_odd(std::string_view line, std::size_t at) const;
  std::string judged();

  LineReader lines_;
  TableOptions options_;
  std::vector<std::string> ahead_;  // lines that were read to judge the separator
  std::size_t ahead_at_ = 0;
  std::int64_t judged_lines_ = 0, read_lines_ = 0, line_number_ = 0, comment_lines_ = 0;
  RecordCutter cutter_;
};

}  // namespace capstan::data
