#include "data/text/corpus_builder.h"

#include <algorithm>
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

CorpusBuilder::CorpusBuilder(const std::string& path, const Tokenizer& tokenizer, TextForm form)
    : tokenizer_(&tokenizer), form_(form), writer_(path, tokenizer.vocabulary()), unknown_id_(tokenizer.vocabulary().id("[UNK]")) {}

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
  sentences_.clear();
  split_sentences(prose_, sentences_);
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

void CorpusBuilder::add_paragraph(std::string_view paragraph) {
  sentences_.clear();
  split_sentences(paragraph, sentences_);
  for (const auto sentence : sentences_) add_sentence(sentence);
}

void CorpusBuilder::add_sentence(std::string_view sentence) {
  ids_.clear();
  if (form_ == TextForm::wikitext) {
    for (auto at = sentence.find(kWikiUnknown); at != std::string_view::npos; at = sentence.find(kWikiUnknown)) {
      tokenizer_->encode(sentence.substr(0, at), ids_);
      ids_.push_back(unknown_id_);
      sentence.remove_prefix(at + kWikiUnknown.size());
    }
  }
  tokenizer_->encode(sentence, ids_);
  unknown_ += std::count(ids_.begin(), ids_.end(), unknown_id_);
  writer_.add_sentence(ids_);
}

CorpusBuilder::Counts CorpusBuilder::finish() {
  end_file();
  writer_.finish();
  return {writer_.documents(), writer_.sentences(), writer_.tokens(), unknown_};
}

}  // namespace capstan::data
