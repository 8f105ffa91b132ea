#include "data/text/vocabulary.h"

#include <bit>
#include <limits>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "data/line_reader.h"
#include "data/text/unicode.h"

namespace capstan::data {

Vocabulary Vocabulary::load(const std::string& path, Lines lines) {
  LineReader reader(path);
  std::vector<std::string> tokens;
  for (std::string_view line; reader.next(line);) {
    require<DataError>(unicode::is_valid_utf8(line), reader.where(), "found bytes that are not UTF-8, expected a token");
    const std::string_view token = lines == Lines::stripped ? unicode::strip(line) : line;
    require<DataError>(token.find('\r') == std::string_view::npos, reader.where(),
                       "found a carriage return in a token, expected lines that end with LF or CRLF");
    tokens.emplace_back(token);
  }
  require<DataError>(!tokens.empty(), path, ": found an empty file, expected a vocabulary of one token a line");
  return Vocabulary(std::move(tokens), path);
}

Vocabulary::Vocabulary(std::vector<std::string> tokens, std::string name) : name_(std::move(name)), tokens_(std::move(tokens)) {
  require<DataError>(tokens_.size() < std::numeric_limits<std::int32_t>::max(), name_, ": ", tokens_.size(),
                     " tokens are more than a 32-bit id can name");
  const std::size_t slots = std::bit_ceil(tokens_.size() * 2 + 2);
  slots_.resize(slots);
  shift_ = 64 - static_cast<int>(std::countr_zero(slots));
  std::vector<std::int32_t> first;  // first lines of the distinct tokens
  for (std::int32_t i = 0; i < size(); ++i) {
    const std::string& token = tokens_[static_cast<std::size_t>(i)];
    longest_ = std::max(longest_, token.size());
    const std::uint64_t h = hash(token);
    std::size_t at = slot(h);
    while (slots_[at].id >= 0 && tokens_[static_cast<std::size_t>(slots_[at].id)] != token) at = (at + 1) & (slots - 1);
    if (slots_[at].id < 0) first.push_back(i);
    slots_[at] = {static_cast<std::uint32_t>(h), i};
  }
  keys_.reserve(first.size());
  for (const std::int32_t i : first) keys_.push_back(find(tokens_[static_cast<std::size_t>(i)]));
}

std::string Vocabulary::lines(std::span<const std::string> tokens, std::string_view name) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string text;
  for (const std::string& token : tokens) {
    require<DataError>(token.find_first_of("\r\n") == std::string::npos && !(text.empty() && token.starts_with(kByteOrderMark)), name,
                       ": a file of a token a line cannot hold token ", &token - tokens.data(), ", ", json_string(token));
    text += token + "\n";
  }
  return text;
}

void Vocabulary::save(const std::string& path) const { write_file_durably(path, lines(tokens_, name_)); }

std::uint32_t Vocabulary::checksum() const {
  std::uint32_t crc = 0;
  for (const std::string& token : tokens_) crc = crc32c("\n", crc32c(token, crc));
  return crc;
}

std::int32_t Vocabulary::id(std::string_view token) const {
  const std::int32_t found = find(token);
  require<DataError>(found >= 0, name_, ": the vocabulary of ", size(), " tokens has no '", token, "'");
  return found;
}

const std::string& Vocabulary::token(std::int32_t id) const {
  require<DataError>(id >= 0 && id < size(), name_, ": token id ", id, " is outside the vocabulary of ", size(), " tokens");
  return tokens_[static_cast<std::size_t>(id)];
}

}  // namespace capstan::data
