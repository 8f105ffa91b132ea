#pragma once
// Sentences of running text, by punctuation alone: no model, no language setting. Made for pretraining corpora, where a wrong
// boundary now and then costs nothing; not a linguistic tool.
//
// A sentence ends behind
//   1. one or more of . ! ? and U+2026, then any closing quotes and brackets, if white space follows and the next text does not begin
//      with a lower-case letter, another such mark, a comma, semicolon or colon (opening quotes and brackets are looked through);
//   2. one or more of the marks of scripts without capitals, then closing quotes and brackets, whatever follows: Sentence_Terminal of
//      Unicode 14.0 (PropList.txt) but for the marks of rule 1 and their forms, and the shads of Tibetan; U+FF0E not before a digit.
// A lower-case letter does not hold rule 1 up where it says nothing: before a Georgian word (of several letters), for sentences begin with
// small letters there, and where the caller says that the text is lower-cased. There abbreviations are known without their capitals too.
// Rule 1 does not hold for a single full stop directly behind a capital letter that stands alone ("J."), a word with a full stop inside
// ("U.S."), or a title such as "Mr"; nor for one with a space before it and a digit after it, as in tokenised "No . 1". In
// tokenised text, where quotes stand alone and look the same on both sides, the mark belongs to the sentence if that closes a pair.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

/// Appends the sentences of one paragraph, without white space at their ends. All text is kept, in order; none is empty.
void split_sentences(std::string_view paragraph, std::vector<std::string_view>& sentences, bool lower_cased = false);

/// Letters of scripts with capitals, and how many of them are capitals.
struct Capitals {
  std::int64_t cased = 0, capital = 0;
  void add(std::string_view text);
  /// Fewer than 1 in 1,000 letters is a capital; in English text it is 1 in 30.
  bool lower_cased() const { return capital * 1000 < cased; }
};

}  // namespace capstan::data
