#include "recipes/tasks/language_modelling/text_stream.h"

#include <algorithm>
#include <utility>

#include "data/text/unicode.h"

namespace capstan::language_modelling {
namespace {

/// Bytes of a character that begins with this one; 0: none does.
std::size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

/// How many bytes at the end may be the beginning of a character.
std::size_t unfinished(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const auto c = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((c & 0xC0) != 0x80) return length_of(c) > back ? back : 0;
  }
  return 0;
}

/// How many bytes at the end may be the beginning of `stop`.
std::size_t begun(std::string_view text, std::string_view stop) {
  if (stop.empty()) return 0;
  for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
    if (text.ends_with(stop.substr(0, n))) return n;
  return 0;
}

}  // namespace

TextStream::TextStream(const Vocabulary& vocabulary, std::span<const std::int64_t> before, std::string stop)
    : vocabulary_(vocabulary), stop_(std::move(stop)) {
  for (const std::int64_t token : before) vocabulary_.append(static_cast<std::int32_t>(token), bytes_);
  taken_ = bytes_.size();
}

std::string_view TextStream::show(std::size_t end) {
  const std::size_t begin = std::exchange(shown_, std::max(end, shown_));
  return std::string_view(text_).substr(begin, shown_ - begin);
}

std::string_view TextStream::add(std::int64_t token) {
  if (stopped_) return {};
  vocabulary_.append(static_cast<std::int32_t>(token), bytes_);
  const std::string_view waiting = std::string_view(bytes_).substr(taken_);
  const std::string_view whole = waiting.substr(0, waiting.size() - unfinished(waiting));
  text_ += data::unicode::to_utf8(data::unicode::to_utf32(whole));
  taken_ += whole.size();
  if (!stop_.empty())
    if (const std::size_t found = text_.find(stop_, shown_); found != std::string::npos) {
      stopped_ = true;
      return show(found);
    }
  return show(text_.size() - begun(std::string_view(text_).substr(shown_), stop_));
}

std::string_view TextStream::finish() {
  if (stopped_) return {};
  text_ += data::unicode::to_utf8(data::unicode::to_utf32(std::string_view(bytes_).substr(taken_)));
  taken_ = bytes_.size();
  return show(text_.size());
}

}  // namespace capstan::language_modelling
