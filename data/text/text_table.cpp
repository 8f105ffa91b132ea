#include "data/text/text_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::string_view kNoSeparator = "control-a";  // which no text holds

constexpr std::array<std::string_view, 4> kNames{"text", "second text", "label", "only"};

bool is_blank(std::string_view text) { return unicode::strip(text).empty(); }

/// The number that a column is asked for by; none: it is a name.
std::optional<std::int64_t> number_of(std::string_view column) {
  std::int64_t n = 0;
  const char* end = column.data() + column.size();
  const auto [stop, error] = std::from_chars(column.data(), end, n);
  if (error != std::errc() || stop != end) return std::nullopt;
  return n;
}

bool ends_as_json(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path.ends_with(".jsonl") || path.ends_with(".ndjson") || path.ends_with(".json");
}

TextTableForm form_of(const std::string& path, TextTableForm form) {
  if (form != TextTableForm::automatic) return form;
  return ends_as_json(path) ? TextTableForm::json_lines : TextTableForm::table;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// What a field of JSON says, as text. Throws DataError for a list or an object.
std::string text_of(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::text: return std::string(value.text());
    case Json::Kind::boolean: return value.boolean() ? "true" : "false";
    case Json::Kind::number: {
      std::array<char, 32> text{};
      if (const auto whole = value.whole()) return std::to_string(*whole);
      const double number = value.number();
      return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
    }
    default: value.fail("a text or a number");
  }
}

}  // namespace

std::string plain_or_gzip(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return path;
  std::string packed = path + ".gz";
  return std::filesystem::exists(packed, ignored) ? packed : path;
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) unicode::append_utf8(out, static_cast<unsigned char>(c));
  return out;
}

TextTable::TextTable(const std::string& path, const TextTableOptions& options) : path_(path), options_(options) {
  options_.form = form_of(path, options.form);
  const auto use = [&](Column column, const std::string& name) {
    if (!name.empty()) columns_.push_back({.column = column, .name = name});
  };
  if (options_.form == TextTableForm::lines) {
    require<ConfigError>(options_.pair_column.empty() && options_.only_column.empty(), path,
                         ": lines of 'label text' have no second text and no other column");
    lines_.emplace(path);
    return;
  }
  require<ConfigError>(!options_.text_column.empty(), path, ": the column of the text is not named");
  use(kText, options_.text_column);
  use(kPair, options_.pair_column);
  use(kLabel, options_.label_column);
  use(kOnly, options_.only_column);
  if (options_.form == TextTableForm::json_lines) {
    lines_.emplace(path);
    ahead_ = advance();
    require<DataError>(ahead_, path_, ": the file has no line");
    if (options_.label_may_miss && !object_here().find(options_.label_column)) {
      std::erase_if(columns_, [](const Found& c) { return c.column == kLabel; });
      options_.label_column.clear();
    }
    return;
  }
  table_.emplace(path, options_.table);
  find_columns();
}

void TextTable::find_columns() {
  const bool named = std::ranges::any_of(columns_, [](const Found& c) { return !number_of(c.name); });
  ahead_ = table_->next();
  require<DataError>(ahead_, path_, ": the file has no line");
  if (options_.table.separator.empty() && table_->fields().size() == 1 && table_->fields()[0] == options_.text_column) {
    options_.table.separator = kNoSeparator;  // a header of one column: no separator could be judged
    table_.emplace(path_, options_.table);
    ahead_ = table_->next();
  }
  width_ = table_->fields().size();
  if (options_.header == Header::present || (options_.header == Header::automatic && named)) {
    header_.assign(table_->fields().begin(), table_->fields().end());
    ahead_ = false;
  }
  std::erase_if(columns_, [&](Found& c) {
    const bool absent = c.column == kLabel && options_.label_may_miss && !header_.empty() && !number_of(c.name) &&
                        std::ranges::find(header_, c.name) == header_.end();
    if (absent) {
      options_.label_column.clear();
    } else {
      c.at = place_of(c.name);
    }
    return absent;
  });
}

std::size_t TextTable::place_of(const std::string& column) const {
  if (const auto number = number_of(column)) {
    const auto width = static_cast<std::int64_t>(width_);
    require<DataError>(*number != 0 && *number <= width && *number >= -width, table_->where(), "there is no column ", column,
                       ": the line has ", width, " (", table_->separator_text(), "); columns count from 1, and from -1 at the end");
    return static_cast<std::size_t>(*number > 0 ? *number - 1 : width + *number);
  }
  require<ConfigError>(!header_.empty(), path_, ": the column '", column, "' is asked for by name, but data.header = absent says that no ",
                       "line names the columns");
  const auto found = std::ranges::find(header_, column);
  require<DataError>(found != header_.end(), table_->where(), "there is no column '", column, "', found ", listed(header_), " (",
                     table_->separator_text(), ")", suggestion(column, header_));
  require<DataError>(std::find(found + 1, header_.end(), column) == header_.end(), table_->where(), "two columns are named '", column,
                     "', at ", found - header_.begin() + 1, " and ", std::find(found + 1, header_.end(), column) - header_.begin() + 1,
                     ": name the one that is meant by its number");
  return static_cast<std::size_t>(found - header_.begin());
}

std::string TextTable::form_text() const {
  std::string text = "lines of 'label text'";
  if (table_) text = "table, " + table_->separator_text();
  if (options_.form == TextTableForm::json_lines) text = "JSON lines";
  for (const Found& c : columns_)
    text += join_text(", ", kNames[static_cast<std::size_t>(c.column)], c.column == kOnly ? " where " : " ", c.name,
                      c.column == kOnly ? " is " + options_.only_value : "");
  if (options_.encoding == Encoding::latin1) text += ", ISO-8859-1";
  return text;
}

std::string TextTable::here() const { return table_ ? table_->where() : lines_->where(); }

bool TextTable::advance() {
  if (std::exchange(ahead_, false)) return true;
  if (table_) return table_->next();
  while (lines_->next(line_))
    if (!is_blank(line_)) return true;
  return false;
}

bool TextTable::next(TextRecord& record) {
  while (advance()) {
    try {
      if (read(record)) return true;
      ++others_;
    } catch (const DataError& e) {
      if (options_.bad_lines == BadLines::refuse) throw;
      if (bad_++ == 0) first_bad_ = e.what();
    }
  }
  return false;
}

bool TextTable::read(TextRecord& record) const {
  record.pair.clear();
  record.label.clear();
  record.line = table_ ? table_->line_number() : lines_->line_number();
  if (options_.form == TextTableForm::lines) {
    read_line(record);
  } else if (!(table_ ? read_table(record) : read_json(record))) {
    return false;
  }
  if (options_.encoding == Encoding::latin1 && options_.form != TextTableForm::json_lines)
    for (std::string* s : {&record.text, &record.pair, &record.label}) *s = latin1_to_utf8(*s);
  record.label = unicode::strip(record.label);
  require<DataError>(!is_blank(record.text), here(), "the text is empty");
  require<DataError>(options_.pair_column.empty() || !is_blank(record.pair), here(), "the second text is empty");
  require<DataError>(!has_labels() || !record.label.empty(), here(), "the label is empty");
  return true;
}

bool TextTable::read_table(TextRecord& record) const {
  const auto& fields = table_->fields();
  require<DataError>(fields.size() == width_, here(), "found ", fields.size(), " fields, expected ", width_, " as in the first line (",
                     table_->separator_text(), options_.table.quotes ? "" : ", quotes are letters", ")");
  require<DataError>(header_.empty() || !std::ranges::equal(fields, header_), here(), "the header of the file stands here again");
  bool wanted = true;
  for (const Found& c : columns_) {
    const std::string_view field = fields[c.at];
    if (c.column == kOnly) wanted = field == options_.only_value;
    if (c.column == kText) record.text = field;
    if (c.column == kPair) record.pair = field;
    if (c.column == kLabel) record.label = field;
  }
  return wanted;
}

Json TextTable::object_here() const {
  const std::string place = here();
  const Json object =
      parse_json(options_.encoding == Encoding::latin1 ? latin1_to_utf8(line_) : std::string(line_), place.substr(0, place.size() - 2));
  if (!object.is(Json::Kind::object)) object.fail("an object");
  return object;
}

bool TextTable::read_json(TextRecord& record) const {
  const Json object = object_here();
  bool wanted = true;
  for (const Found& c : columns_) {
    const std::string text = text_of(object[c.name]);
    if (c.column == kOnly) wanted = text == options_.only_value;
    if (c.column == kText) record.text = text;
    if (c.column == kPair) record.pair = text;
    if (c.column == kLabel) record.label = text;
  }
  return wanted;
}

void TextTable::read_line(TextRecord& record) const {
  const std::size_t end = line_.find_first_of(" \t");
  if (!has_labels()) {
    record.text = line_;
    return;
  }
  require<DataError>(end != std::string_view::npos && end > 0 && !is_blank(line_.substr(end)), here(),
                     "expected a label, a blank or a tab, and a text, found '", line_, "'");
  record.label = line_.substr(0, end);
  record.text = line_.substr(end + 1);
}

}  // namespace capstan::data
