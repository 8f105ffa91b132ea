#pragma once
// From the pieces of an answer back to the text as it was written: get_final_text of run_squad.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/text/tokenizer.h"

namespace capstan::span_extraction {

/// A part of a text.
struct FinalText {
  std::string text;
  std::int64_t begin = 0, end = 0;  ///< where it is, in code points
};

/// Of "Steve Smith's", where the pieces say "steve smith": "Steve Smith". The words of `original` are cut as the tokenizer cuts them,
/// `prediction` is looked for in that, and its ends go back to `original` by counting characters other than blanks. If that fails (the
/// prediction is not there, or tokens have other characters than the text), all of `original`. Both are valid UTF-8.
FinalText final_text(std::string_view prediction, std::string_view original, const data::BasicTokenizer& tokenizer);

/// The text that pieces stand for: joined at "##", with single blanks between the others.
std::string text_of_pieces(const data::Vocabulary& vocabulary, std::span<const std::int32_t> pieces);

}  // namespace capstan::span_extraction
