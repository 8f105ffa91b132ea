#include "data/table.h"

#include <algorithm>
#include <map>
#include <span>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

constexpr std::size_t kJudgedLines = 200, kJudgedBytes = std::size_t{1} << 20;
constexpr std::size_t kRecordBytes = std::size_t{1} << 24;  // an unclosed quote must not take in the whole file

struct Named {
  std::string_view name, separator;
};
constexpr Named kSeparators[] = {{"control-a", "\x01"}, {"tab", "\t"},  {"'::'", "::"}, {"pipe", "|"},
                                 {"semicolon", ";"},    {"comma", ","}, {"blank", " "}};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view without_blanks(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}

/// How well a separator explains lines.
struct Fit {
  std::size_t records = 0, alike = 0, fields = 0;  // alike: records of the most frequent number of fields, if that is two or more
};

Fit fit_of(std::string_view separator, const TableOptions& options, std::span<const std::string> lines) {
  RecordCutter cutter{std::string(separator), options.quotes}, plain{std::string(separator), /*quotes=*/false};
  std::map<std::size_t, std::size_t> counts;
  Fit fit;
  bool open = false;
  for (const std::string& line : lines) {
    if (!open && (without_blanks(line).empty() || (!options.comment.empty() && line.starts_with(options.comment)))) continue;
    const auto state = open ? cutter.go_on(line) : cutter.cut(line);
    open = state == RecordCutter::State::open;
    if (open) continue;
    ++fit.records;
    if (state == RecordCutter::State::broken) plain.cut(line);  // the error about it should not speak of another separator
    const std::size_t fields = (state == RecordCutter::State::complete ? cutter : plain).fields().size();
    if (fields >= 2) ++counts[fields];
  }
  for (const auto& [fields, count] : counts)
    if (count >= fit.alike) fit = {fit.records, count, fields};
  return fit;
}

}  // namespace

std::string separator_from(std::string_view written) {
  for (const auto& [name, separator] : kSeparators)
    if (written == name) return std::string(separator);
  if (written == "\\t") return "\t";
  if (written == "\\x01") return "\x01";
  return std::string(written);
}

std::string separator_name(std::string_view separator) {
  for (const auto& [name, known] : kSeparators)
    if (separator == known) return std::string(name);
  return join_text("'", separator, "'");
}

RecordCutter::RecordCutter(std::string separator, bool quotes) : separator_(std::move(separator)), quotes_(quotes) {
  require<ConfigError>(!separator_.empty() && separator_.find_first_of("\"\r\n") == std::string::npos,
                       "table: a separator is one or more letters, none of them a quote or a line break, got '", separator_, "'");
}

std::size_t RecordCutter::separator_at(std::string_view s, std::size_t from) const {
  return std::min(splits_at_blanks() ? s.find_first_of(" \t", from) : s.find(separator_, from), s.size());
}

std::size_t RecordCutter::past_blanks(std::string_view s, std::size_t from) const {
  while (from < s.size() && is_blank(s[from]) && (splits_at_blanks() || !s.substr(from).starts_with(separator_))) ++from;
  return from;
}

RecordCutter::State RecordCutter::cut(std::string_view line) {
  fields_.clear();
  if (quotes_ && line.find('"') != line.npos) {
    text_.clear();
    parts_.clear();
    inside_ = false;
    return scan(line);
  }
  if (splits_at_blanks()) {
    for (std::size_t at = past_blanks(line, 0); at < line.size();) {
      const std::size_t end = separator_at(line, at);
      fields_.push_back(line.substr(at, end - at));
      at = past_blanks(line, end);
    }
    return State::complete;
  }
  for (;;) {
    const auto at = line.find(separator_);
    fields_.push_back(without_blanks(line.substr(0, at)));
    if (at == line.npos) return State::complete;
    line.remove_prefix(at + separator_.size());
  }
}

RecordCutter::State RecordCutter::go_on(std::string_view line) {
  text_ += '\n';
  return scan(line);
}

RecordCutter::State RecordCutter::scan(std::string_view s) {
  std::size_t at = 0;
  if (!inside_ && splits_at_blanks()) at = past_blanks(s, 0);
  for (;;) {  // a field begins at `at`, or goes on there inside its quotes
    if (!inside_) {
      begin_ = text_.size();
      at = past_blanks(s, at);
      if (at < s.size() && s[at] == '"') {
        inside_ = true;
        ++at;
      } else {
        const std::size_t end = separator_at(s, at);
        text_ += without_blanks(s.substr(at, end - at));
        at = end;
      }
    }
    while (inside_) {
      const std::size_t quote = s.find('"', at);
      text_ += s.substr(at, quote - at);
      if (quote == s.npos) return State::open;
      at = quote + 1;
      if (at < s.size() && s[at] == '"') {
        text_ += '"';
        ++at;
      } else {
        inside_ = false;
        if (!splits_at_blanks()) at = past_blanks(s, at);
        if (at < s.size() && separator_at(s, at) != at) return State::broken;
      }
    }
    parts_.emplace_back(begin_, text_.size());
    if (splits_at_blanks()) at = past_blanks(s, at);
    if (at >= s.size()) break;
    if (!splits_at_blanks()) at += separator_.size();
  }
  for (const auto& [from, to] : parts_) fields_.push_back(without_blanks(std::string_view(text_).substr(from, to - from)));
  return State::complete;
}

TableReader::TableReader(const std::string& path, const TableOptions& options)
    : lines_(path), options_(options), cutter_(options.separator.empty() ? judged() : separator_from(options.separator), options.quotes) {}

std::string TableReader::judged() {
  std::size_t bytes = 0;
  for (std::string_view line; ahead_.size() < kJudgedLines && bytes < kJudgedBytes && lines_.next(line); bytes += line.size())
    ahead_.emplace_back(line);
  judged_lines_ = static_cast<std::int64_t>(ahead_.size());
  std::string_view best = kSeparators[std::size(kSeparators) - 1].separator;
  Fit best_fit;
  for (const auto& [name, separator] : kSeparators) {
    const Fit fit = fit_of(separator, options_, ahead_);
    if (separator == " " && 2 * best_fit.alike > best_fit.records) break;  // blanks are in names and dates
    const bool strong = best == "\x01" || best == "\t";
    if (fit.alike > best_fit.alike || (fit.alike == best_fit.alike && fit.fields > best_fit.fields && !strong)) {
      best = separator;
      best_fit = fit;
    }
  }
  return std::string(best);
}

bool TableReader::next_line(std::string_view& line) {
  if (ahead_at_ < ahead_.size()) {
    line = ahead_[ahead_at_++];
  } else {
    if (!ahead_.empty()) std::vector<std::string>().swap(ahead_);
    ahead_at_ = 0;
    if (!lines_.next(line)) return false;
  }
  while (line.ends_with('\r')) line.remove_suffix(1);  // CR CR LF
  ++read_lines_;
  return true;
}

bool TableReader::next() {
  std::string_view line;
  for (;;) {
    if (!next_line(line)) return false;
    if (!options_.comment.empty() && line.starts_with(options_.comment)) {
      ++comment_lines_;
    } else if (!without_blanks(line).empty()) {
      break;
    }
  }
  line_number_ = read_lines_;
  if (line_number_ == 1)
    for (const std::string_view start : {"{\"", "[{", "<!", "<html", "<?xml"})
      require<DataError>(!line.starts_with(start), where(), "the file begins with '", start, "': JSON, HTML or XML is no table");
  for (const char odd : {'\0', '\r'})
    if (const auto place = line.find(odd); place != line.npos) [[unlikely]]
      refuse_odd(line, place);
  std::size_t bytes = line.size();
  auto state = cutter_.cut(line);
  while (state == RecordCutter::State::open && bytes < kRecordBytes && next_line(line)) {
    bytes += line.size();
    state = cutter_.go_on(line);
  }
  if (state == RecordCutter::State::open) [[unlikely]]
    throw DataError(join_text(where(), "a quote opened in this line is never closed (looked as far as line ", read_lines_,
                              "); a quote inside a quoted field is written twice, and data.quotes = no makes it a letter"));
  if (state == RecordCutter::State::broken) [[unlikely]]
    throw DataError(join_text(where(), "a quoted field that begins in this line is closed in line ", read_lines_,
                              " and followed by more than the separator ", separator_name(separator()),
                              "; a quote inside a quoted field is written twice, and data.quotes = no makes it a letter"));
  return true;
}

void TableReader::refuse_odd(std::string_view line, std::size_t at) const {
  require<DataError>(line[at] != '\0', where(), "byte ", at + 1, " is NUL: the file is damaged, or is no text");
  // Inside quotes it is part of a field: old spreadsheets break the lines of a cell so.
  require<DataError>(options_.quotes && line.find('"') < at, where(), "a carriage return stands within the line, after ", at,
                     R"( bytes: some lines end in CR alone: convert them, as by tr '\r' '\n')");
}

std::string TableReader::where() const { return join_text(path(), ":", line_number_, ": "); }

std::string TableReader::separator_text() const {
  const std::string name = join_text("separator ", separator_name(separator()));
  return options_.separator.empty() ? join_text(name, " (judged over ", judged_lines_, judged_lines_ == 1 ? " line)" : " lines)") : name;
}

}  // namespace capstan::data
