#pragma once
// TextStream: the text of tokens as they are written, in complete characters, up to a text that stops it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "recipes/tasks/language_modelling/vocabulary.h"

namespace capstan::language_modelling {

class TextStream {
 public:
  /// `before`: the tokens that are gone on with. `stop`: empty: nothing stops it.
  TextStream(const Vocabulary& vocabulary, std::span<const std::int64_t> before, std::string stop);

  /// Adds a token and returns what can be shown since the last call: whole characters, without what may be the beginning of the stop. What
  /// is no UTF-8 becomes U+FFFD.
  std::string_view add(std::int64_t token);
  /// At the end: the rest, unless the stop has come.
  std::string_view finish();
  bool stopped() const { return stopped_; }
  /// All that was shown.
  std::string_view text() const { return std::string_view(text_).substr(0, shown_); }

 private:
  std::string_view show(std::size_t end);

  const Vocabulary& vocabulary_;
  std::string stop_;
  std::string bytes_;      // of all tokens
  std::size_t taken_ = 0;  // bytes of them that are in the text, or belong to `before`
  std::string text_;       // valid UTF-8
  std::size_t shown_ = 0;
  bool stopped_ = false;
};

}  // namespace capstan::language_modelling
