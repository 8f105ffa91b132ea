#pragma once
// CorpusBuilder: text files -> a Corpus file, line by line, in bounded memory.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/corpus.h"
#include "data/text/sentences.h"
#include "data/text/tokenizer.h"

namespace capstan::data {

/// How files show sentences, paragraphs and documents. A blank line holds nothing but white space.
enum class TextForm {
  /// The input of create_pretraining_data: a sentence a line; a blank line ends the document, the end of a file does not.
  sentences,
  /// The same with a paragraph a line, which split_sentences() cuts.
  paragraphs,
  /// Books: a file is a document. Lines up to a blank one are a paragraph, however they are wrapped.
  prose,
  /// WikiText: a paragraph a line. "= Title =" between blank lines begins a document, it and deeper headings ("= = Title = =") are left
  /// out. "<unk>" becomes [UNK]; the escapes @-@ @,@ @.@ lose their @.
  wikitext,
};

/// Takes the escapes @-@ @,@ @.@ out of a line of WikiText, in place, and without `keep_unknown` also its <unk>.
void unescape_wikitext(std::string& line, bool keep_unknown = true);

struct CorpusOptions {
  /// A sentence of more tokens is cut: behind the last mark of punctuation in the second half of what fits, else before a word. 0: never.
  std::int64_t longest_sentence = 0;
  /// Marks the words of a user's own segmentation (kContinuesWord in corpus.h): in a sentence with blanks between ideographs, whose runs
  /// have three ideographs at most on average, the ideographs of a run are one word. Other tokens are words by their "##" alone.
  bool mark_words = false;
};

class CorpusBuilder {
 public:
  /// Keeps a reference to the tokenizer. Writes `path` when finish() is called.
  CorpusBuilder(const std::string& path, const Tokenizer& tokenizer, TextForm form, const CorpusOptions& options = {});

  /// Adds a plain or gzip file. Throws IoError or DataError.
  void add_file(const std::string& path);
  /// Adds a line as if it stood in a file.
  void add_line(std::string_view line);
  /// What the end of a file does: of the forms `sentences` and `paragraphs` the next file may go on with the document.
  void end_file();
  /// The same where the text that follows is not what follows in the original: the document ends whatever the form.
  void end_document();
  /// Sentences with tokens so far; what is still open counts after end_file().
  std::int64_t sentences() const { return writer_.sentences(); }

  struct Counts {
    std::int64_t documents = 0, sentences = 0, tokens = 0;
    std::int64_t unknown = 0;  ///< tokens that are [UNK]
    std::int64_t cut = 0;      ///< sentences that were longer than longest_sentence
  };
  /// Puts the corpus in place. DataError if there was no sentence.
  Counts finish();

 private:
  void add_paragraph(std::string_view paragraph);
  void add_sentence(std::string_view sentence);
  void encode(std::string_view text);
  void write_sentence();
  void split(std::string_view paragraph);
  void flush_prose(bool all);
  void add_wikitext(std::string_view line);
  void add_wikitext_paragraph(std::string_view line);

  const Tokenizer* tokenizer_;
  TextForm form_;
  CorpusOptions options_;
  CorpusWriter writer_;
  std::int32_t unknown_id_;
  std::int64_t unknown_ = 0, cut_ = 0;
  std::vector<std::uint8_t> is_mark_, continues_;  // [ids] punctuation that a sentence may be cut behind; "##" pieces
  std::string prose_;                              // the paragraph so far, or its end, if it is very long
  std::string heading_;                            // WikiText: a line that is a heading if a blank one follows
  bool after_blank_ = true;
  std::string unescaped_;
  Capitals capitals_;  // of the file so far
  std::vector<std::string_view> sentences_;
  std::vector<std::int32_t> ids_;
};

}  // namespace capstan::data
