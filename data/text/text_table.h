#pragma once
// TextTable: texts, or pairs of texts, with the label of each, one after the other from a file in one of the usual forms:
//
//     table        records of fields between separators (data/table.h), plain or gzip: CSV, TSV, the files of GLUE
//     json_lines   an object of JSON a line, columns being its fields
//     lines        a label, a blank or a tab, and the text behind it (TREC)
//
// Which columns are meant is said by name, or by number from 1 on, or from -1 on, which is the last one; nothing is found by itself. Not
// here: which labels there are, and the numbers that a regression wants.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"
#include "data/interactions.h"  // Header, BadLines
#include "data/json.h"
#include "data/line_reader.h"
#include "data/table.h"

namespace capstan::data {

enum class TextTableForm {
  automatic,  ///< json_lines for a path that ends in .jsonl, .ndjson or .json (or these with .gz), else table
  table,
  json_lines,
  lines,
};

enum class Encoding {
  utf8,
  latin1,  ///< ISO-8859-1, where every byte is the character of its number
};

struct TextTableOptions {
  TextTableForm form = TextTableForm::automatic;
  TableOptions table = {};
  Header header = Header::automatic;  ///< automatic: there is one if a column is named
  Encoding encoding = Encoding::utf8;
  std::string text_column = "text";
  std::string pair_column = {};        ///< of the second text; empty: there is none
  std::string label_column = "label";  ///< empty: there is none
  /// A label column that is named may be missing (of JSON: in the first record): then has_labels() is false.
  bool label_may_miss = false;
  /// Records whose `only_column` does not hold `only_value` are left out before anything else of them is looked at; empty: all count.
  std::string only_column = {}, only_value = {};
  /// What becomes of a record with too few or too many fields, a blank text or label, or no JSON, and of a header that is repeated.
  BadLines bad_lines = BadLines::refuse;
};

struct TextRecord {
  std::string text, pair, label;  ///< UTF-8 where the file says what it is; `label` without blanks around it
  std::int64_t line = 0;          ///< where it begins, from 1
};

class TextTable {
 public:
  /// Opens the file and finds the columns. Throws IoError, DataError naming line and columns, or ConfigError.
  TextTable(const std::string& path, const TextTableOptions& options);

  /// The next record; false at the end. Throws DataError for one that is bad, unless these are left out.
  bool next(TextRecord& record);

  bool has_labels() const { return !options_.label_column.empty(); }
  const std::string& path() const { return path_; }
  /// "path:line: ", the start of every message about a record.
  std::string where(const TextRecord& record) const { return join_text(path_, ":", record.line, ": "); }
  /// For people: "table, separator tab, text 4, label 2".
  std::string form_text() const;
  const NotUtf8& not_utf8() const { return table_ ? table_->not_utf8() : lines_->not_utf8(); }
  std::int64_t bad() const { return bad_; }                    ///< records left out because they are bad
  const std::string& first_bad() const { return first_bad_; }  ///< what is wrong with the first
  std::int64_t others() const { return others_; }              ///< records left out by only_column

 private:
  enum Column { kText, kPair, kLabel, kOnly, kColumns };
  struct Found {
    Column column;
    std::string name;    // as it was asked for
    std::size_t at = 0;  // of a table
  };

  void find_columns();
  std::size_t place_of(const std::string& column) const;
  bool advance();
  bool read(TextRecord& record) const;
  bool read_table(TextRecord& record) const;
  Json object_here() const;
  bool read_json(TextRecord& record) const;
  void read_line(TextRecord& record) const;
  std::string here() const;

  std::string path_;
  TextTableOptions options_;
  std::optional<TableReader> table_;
  std::optional<LineReader> lines_;
  std::string_view line_;            // of lines_
  std::vector<std::string> header_;  // of a table that has one
  std::size_t width_ = 0;            // fields of its records
  std::vector<Found> columns_;
  bool ahead_ = false;  // the first record has been read already
  std::int64_t bad_ = 0, others_ = 0;
  std::string first_bad_;
};

/// `path`, or with ".gz" behind it if only that exists.
std::string plain_or_gzip(const std::string& path);

/// Every byte as the character of its number.
std::string latin1_to_utf8(std::string_view bytes);

}  // namespace capstan::data
