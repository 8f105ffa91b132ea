#include "data/text/word_vectors.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/line_reader.h"

namespace capstan::data {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view without_blanks_behind(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// The last field of a text, which loses it and the blanks before.
std::string_view taken_last(std::string_view& text) {
  std::size_t begin = text.size();
  while (begin > 0 && !is_blank(text[begin - 1])) --begin;
  const std::string_view field = text.substr(begin);
  text = without_blanks_behind(text.substr(0, begin));
  return field;
}

/// The width that the first line of word2vec's form states; absent: it is a vector.
std::optional<std::int64_t> stated_width(std::string_view line) {
  std::string_view count = without_blanks_behind(line);
  const auto width = number_in<std::int64_t>(taken_last(count));
  return number_in<std::int64_t>(count) && width ? width : std::nullopt;
}

std::int64_t fields_of(std::string_view line) {
  std::int64_t fields = 0;
  for (std::size_t i = 0; i < line.size(); ++i) fields += !is_blank(line[i]) && (i == 0 || is_blank(line[i - 1]));
  return fields;
}

}  // namespace

WordVectors load_word_vectors(const std::string& path, const Vocabulary& vocabulary, std::int64_t width) {
  WordVectors out{.width = width, .lines = 0, .tokens = {}, .values = {}};
  std::vector<bool> known(static_cast<std::size_t>(vocabulary.size()));
  std::vector<std::string_view> fields(static_cast<std::size_t>(width));
  LineReader reader(path);
  for (std::string_view line; reader.next(line);) {
    const auto of_width = [&](std::int64_t found) {
      require<DataError>(found == width, reader.where(), "found a vector of ", found, " numbers, expected ", width);
    };
    if (reader.line_number() == 1)
      if (const auto stated = stated_width(line)) {
        of_width(*stated);
        continue;
      }
    line = without_blanks_behind(line);
    if (line.empty()) continue;
    const std::int64_t numbers = fields_of(line) - 1;
    if (numbers < width) of_width(numbers);
    std::string_view word = line;
    for (std::size_t i = fields.size(); i > 0; --i) fields[i - 1] = taken_last(word);
    // More fields than a word and its numbers: a word with blanks, unless numbers stand there too.
    if (numbers > width) {
      std::string_view rest = word;
      if (out.lines == 0 || number_in<float>(taken_last(rest))) of_width(numbers);
    }
    ++out.lines;
    const std::int32_t token = vocabulary.find(word);
    if (token < 0 || known[static_cast<std::size_t>(token)]) continue;
    known[static_cast<std::size_t>(token)] = true;
    out.tokens.push_back(token);
    for (const std::string_view field : fields) {
      const auto value = number_in<float>(field);
      require<DataError>(value && std::isfinite(*value), reader.where(), "expected a number in the vector of '", word, "', found '", field,
                         "'");
      out.values.push_back(*value);
    }
  }
  require<DataError>(out.lines > 0, path, ": found no word vectors");
  return out;
}

}  // namespace capstan::data
