#include "data/text/corpus_builder.h"

#include <algorithm>
#include <span>
#include <utility>

#include "data/line_reader.h"
#include "data/text/sentences.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

constexpr std::size_t kLongParagraph = std::size_t{1} << 16;
constexpr std::string_view kWikiUnknown = "<unk>";

/// Depth of a WikiText heading ("= = Title = =" has 2), 0 for other lines.
int heading_depth(std::string_view line) {
  line = unicode::strip(line);
  if (line.size() < 5 || !line.starts_with("= ") || !line.ends_with(" =")) return 0;
  int depth = 0;
  for (; line.starts_with("= "); line.remove_prefix(2)) ++depth;
  return depth;
}

/// Punctuation that ends a clause, so that a sentence that is too long may be cut behind it.
bool is_clause_mark(std::string_view token) {
  std::size_t at = 0;
  const char32_t c = token.empty() ? 0 : unicode::decode(token, at);
  if (at != token.size()) return false;
  constexpr std::u32string_view kMarks =
      U",;:.!?\u2014\u2026\u060C\u061B\u061F\u06D4\u0964\u0965\u3001\u3002\uFF0C\uFF1B\uFF1A\uFF01\uFF1F";
  return c != 0 && kMarks.find(c) != std::u32string_view::npos;
}

bool is_ideograph(char32_t c) {
  return (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x2FA1F);
}

/// Whether blanks part the words of a text of ideographs: some stand between two of them, and runs are as short as words.
bool is_segmented(std::string_view text) {
  constexpr std::int64_t kMeanRun = 3;
  std::int64_t ideographs = 0, runs = 0, parted = 0;
  char32_t before = 0, earlier = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = unicode::decode(text, at);
    if (is_ideograph(c)) {
      ++ideographs;
      runs += !is_ideograph(before);
      parted += unicode::is_python_space(before) && is_ideograph(earlier);
    }
    earlier = before;
    before = c;
  }
  return parted > 0 && ideographs <= kMeanRun * runs;
}

}  // namespace

void unescape_wikitext(std::string& line, bool keep_unknown) {
  for (const std::string_view escape : {"@-@", "@,@", "@.@"})
    for (auto at = line.find(escape); at != std::string::npos; at = line.find(escape, at)) {
      line.erase(at + 2, 1);
      line.erase(at, 1);
    }
  if (keep_unknown) return;
  for (auto at = line.find(kWikiUnknown); at != std::string::npos; at = line.find(kWikiUnknown, at)) line.erase(at, kWikiUnknown.size());
}

CorpusBuilder::CorpusBuilder(const std::string& path, const Tokenizer& tokenizer, TextForm form, const CorpusOptions& options)
    : tokenizer_(&tokenizer),
      form_(form),
      options_(options),
      writer_(path, tokenizer.vocabulary()),
      unknown_id_(tokenizer.vocabulary().id("[UNK]")) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string& token = vocabulary.token(id);
    is_mark_.push_back(is_clause_mark(token));
    continues_.push_back(token.starts_with("##"));
  }
}

void CorpusBuilder::add_file(const std::string& path) {
  LineReader reader(path);
  for (std::string_view line; reader.next(line);) add_line(line);
  end_file();
}

void CorpusBuilder::end_file() {
  if (form_ == TextForm::prose) {
    flush_prose(true);
    writer_.end_document();
  } else if (form_ == TextForm::wikitext) {
    add_wikitext({});
    writer_.end_document();
  }
  capitals_ = {};
}

void CorpusBuilder::end_document() {
  end_file();
  writer_.end_document();
}

void CorpusBuilder::add_line(std::string_view line) {
  const std::string_view text = unicode::strip(line);
  switch (form_) {
    case TextForm::sentences: text.empty() ? writer_.end_document() : add_sentence(text); break;
    case TextForm::paragraphs: text.empty() ? writer_.end_document() : add_paragraph(text); break;
    case TextForm::prose:
      if (text.empty()) {
        flush_prose(true);
      } else {
        if (!prose_.empty()) prose_ += ' ';
        prose_ += text;
        if (prose_.size() > kLongParagraph) flush_prose(false);
      }
      break;
    case TextForm::wikitext: add_wikitext(text); break;
  }
}

void CorpusBuilder::add_wikitext(std::string_view line) {
  const bool blank = line.empty();
  if (!heading_.empty()) {
    if (!blank) {
      add_wikitext_paragraph(heading_);
    } else if (heading_depth(heading_) == 1) {
      writer_.end_document();
    }
    heading_.clear();
  }
  if (after_blank_ && heading_depth(line) > 0) {
    heading_ = line;
  } else if (!blank) {
    add_wikitext_paragraph(line);
  }
  after_blank_ = blank;
}

void CorpusBuilder::add_wikitext_paragraph(std::string_view line) {
  unescaped_ = line;
  unescape_wikitext(unescaped_);
  add_paragraph(unescaped_);
}

/// Adds the sentences of the paragraph so far; all of them, or all but the last, which may go on.
void CorpusBuilder::flush_prose(bool all) {
  split(prose_);
  const bool keep_last = !all && sentences_.size() > 1;
  if (keep_last) {
    const std::string rest(sentences_.back());
    sentences_.pop_back();
    for (const auto sentence : sentences_) add_sentence(sentence);
    prose_ = rest;
  } else {
    for (const auto sentence : sentences_) add_sentence(sentence);
    prose_.clear();
  }
}

/// The sentences of a paragraph, in sentences_. Whether a text is lower-cased is judged by the file so far.
void CorpusBuilder::split(std::string_view paragraph) {
  capitals_.add(paragraph);
  sentences_.clear();
  split_sentences(paragraph, sentences_, capitals_.lower_cased());
}

void CorpusBuilder::add_paragraph(std::string_view paragraph) {
  split(paragraph);
  for (const auto sentence : sentences_) add_sentence(sentence);
}

void CorpusBuilder::add_sentence(std::string_view sentence) {
  ids_.clear();
  if (form_ == TextForm::wikitext) {
    for (auto at = sentence.find(kWikiUnknown); at != std::string_view::npos; at = sentence.find(kWikiUnknown)) {
      encode(sentence.substr(0, at));
      ids_.push_back(unknown_id_);
      sentence.remove_prefix(at + kWikiUnknown.size());
    }
  }
  encode(sentence);
  unknown_ += std::count(ids_.begin(), ids_.end(), unknown_id_);
  write_sentence();
}

/// Appends the tokens of a text.
void CorpusBuilder::encode(std::string_view text) {
  if (!options_.mark_words || !is_segmented(text)) return tokenizer_->encode(text, ids_);
  // Runs of ideographs and what stands between them are tokenised apart, as the tokenizer itself does.
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    const bool ideographs = is_ideograph(unicode::decode(text, end));
    while (end < text.size()) {
      std::size_t next = end;
      if (is_ideograph(unicode::decode(text, next)) != ideographs) break;
      end = next;
    }
    const std::size_t first = ids_.size();
    tokenizer_->encode(text.substr(at, end - at), ids_);
    if (ideographs)
      for (std::size_t i = first + 1; i < ids_.size(); ++i) ids_[i] |= kContinuesWord;
    at = end;
  }
}

/// Adds the sentence in ids_, cut where it is too long.
void CorpusBuilder::write_sentence() {
  const auto limit = static_cast<std::size_t>(options_.longest_sentence);
  std::span<const std::int32_t> rest = ids_;
  const auto begins_word = [&](std::size_t i) {
    const std::int32_t id = id_of(rest[i]);
    return id == rest[i] && continues_[static_cast<std::size_t>(id)] == 0;
  };
  if (limit > 0 && rest.size() > limit) ++cut_;
  while (limit > 0 && rest.size() > limit) {
    std::size_t end = limit;
    while (end > limit / 2 && !(is_mark_[static_cast<std::size_t>(id_of(rest[end - 1]))] != 0 && begins_word(end))) --end;
    if (end == limit / 2)
      for (end = limit; end > 1 && !begins_word(end); --end) {
      }
    if (end <= 1) end = limit;  // one word of that length
    writer_.add_sentence(rest.first(end));
    rest = rest.subspan(end);
  }
  writer_.add_sentence(rest);
}

CorpusBuilder::Counts CorpusBuilder::finish() {
  end_file();
  writer_.finish();
  return {writer_.documents(), writer_.sentences(), writer_.tokens(), unknown_, cut_};
}

}  // namespace capstan::data
