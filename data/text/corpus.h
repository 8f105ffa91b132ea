#pragma once
// Corpus: documents of sentences of token ids, in one file that is mapped into memory. CorpusWriter makes it in one pass.
//
// Neither knows how text becomes ids (data/text/corpus_builder.h does). Memory does not grow with the corpus on either side.
// Invariants: no sentence and no document is empty; every id is in [0, vocabulary_size), apart from the bit kContinuesWord, which a token
// may carry where the user's own segmentation says that it belongs to the word of the token before. Thread-safe to read.
//
// The file, little-endian: a header of 64 bytes; the token ids, i32, padded to 8 bytes; the first token of each sentence and the
// end, i64; the first sentence of each document and the end, i64. Header: "CAPSCORP", version (2 where a token
// carries kContinuesWord, else 1), numbers of tokens, sentences and
// documents, size and checksum of the vocabulary, CRC-32C of the content and of the header itself.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/streamed_file.h"
#include "data/text/vocabulary.h"

namespace capstan::data {

/// Bit of a token in a corpus; see above. Behind it is the id.
inline constexpr std::int32_t kContinuesWord = std::int32_t{1} << 30;
constexpr std::int32_t id_of(std::int32_t token) { return token & ~kContinuesWord; }

class CorpusWriter {
 public:
  /// Ids are those of `vocabulary`, which the file remembers by checksum.
  CorpusWriter(std::string path, const Vocabulary& vocabulary);
  /// An empty sentence is dropped. Ids may carry kContinuesWord. DataError for an id outside the vocabulary.
  void add_sentence(std::span<const std::int32_t> ids);
  /// What follows belongs to another document.
  void end_document() { at_start_ = true; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t sentences() const { return sentences_; }
  std::int64_t documents() const { return documents_; }
  /// Puts the file in place. DataError if there is no sentence.
  void finish();

 private:
  std::string path_;
  StreamedFile main_, sentence_starts_, document_starts_;
  std::int32_t vocabulary_size_;
  std::uint32_t vocabulary_checksum_;
  std::int64_t tokens_ = 0, sentences_ = 0, documents_ = 0;
  bool at_start_ = true, marks_words_ = false;
};

class Corpus {
 public:
  /// Maps the file after checking all of it. Throws IoError or DataError.
  explicit Corpus(const std::string& path);

  std::int64_t token_count() const { return static_cast<std::int64_t>(tokens_.size()); }
  std::int64_t sentences() const { return static_cast<std::int64_t>(sentence_starts_.size()) - 1; }
  std::int64_t documents() const { return static_cast<std::int64_t>(document_starts_.size()) - 1; }
  std::int32_t vocabulary_size() const { return vocabulary_size_; }

  std::span<const std::int32_t> tokens() const { return tokens_; }
  /// First token of each sentence, and the number of tokens.
  std::span<const std::int64_t> sentence_starts() const { return sentence_starts_; }
  /// First sentence of each document, and the number of sentences.
  std::span<const std::int64_t> document_starts() const { return document_starts_; }
  /// Ids of the sentences [first, last), which lie side by side.
  std::span<const std::int32_t> text(std::int64_t first, std::int64_t last) const {
    const auto begin = sentence_starts_[static_cast<std::size_t>(first)], end = sentence_starts_[static_cast<std::size_t>(last)];
    return tokens_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }
  std::span<const std::int32_t> sentence(std::int64_t s) const { return text(s, s + 1); }

  /// DataError unless the corpus was made with this vocabulary.
  void require_vocabulary(const Vocabulary& vocabulary) const;
  /// To be called once for each few sentences read at a random place of the corpus. Every such visit maps up to a megabyte, and a large
  /// corpus would end up resident as a whole; so now and then this gives its pages back to the system. Thread-safe.
  void note_visit() const {
    if (file_.bytes().size() <= kResidentBytes) return;
    if (visits_->fetch_add(1, std::memory_order_relaxed) % kVisitsKept == kVisitsKept - 1) file_.release();
  }
  const std::string& path() const { return file_.path(); }

 private:
  static constexpr std::size_t kResidentBytes = std::size_t{1} << 27;  // up to here a corpus may stay resident
  static constexpr std::uint32_t kVisitsKept = 64;

  MappedFile file_;
  std::unique_ptr<std::atomic<std::uint32_t>> visits_ = std::make_unique<std::atomic<std::uint32_t>>(0);
  std::span<const std::int32_t> tokens_;
  std::span<const std::int64_t> sentence_starts_, document_starts_;
  std::int32_t vocabulary_size_ = 0;
  std::uint32_t vocabulary_checksum_ = 0;
};

}  // namespace capstan::data
