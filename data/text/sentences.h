#pragma once
// Sentences of running text, by punctuation alone: no model, no language setting. Made for pretraining corpora, where a wrong
// boundary now and then costs nothing; not a linguistic tool.
//
// A sentence ends behind
//   1. one or more of . ! ? and U+2026, then any closing quotes and brackets, if white space follows and the next text does not begin
//      with a lower-case letter, another such mark, a comma, semicolon or colon (opening quotes and brackets are looked through);
//   2. one or more of U+3002 U+FF01 U+FF1F U+FF61, then closing quotes and brackets, whatever follows.
// Rule 1 does not hold for a single full stop directly behind a capital letter that stands alone ("J."), a word with a full stop inside
// ("U.S."), or a title such as "Mr"; nor for one with a space before it and a digit after it, as in tokenised "No . 1". In
// tokenised text, where quotes stand alone and look the same on both sides, the mark belongs to the sentence if that closes a pair.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

/// Appends the sentences of one paragraph, without white space at their ends. All text is kept, in order; none is empty.
void split_sentences(std::string_view paragraph, std::vector<std::string_view>& sentences);

}  // namespace capstan::data
