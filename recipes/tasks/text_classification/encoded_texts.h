#pragma once
// EncodedTexts: texts or pairs as the model reads them, such as [CLS] a [SEP] or [CLS] a [SEP] b [SEP], in flat arrays; and the encoder
// that makes them.
//
// Too long ones are cut as the original does: of a pair tokens go off the end of the longer text, of the second where both are as long.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/tasks/text/token_batch.h"

namespace capstan::text_classification {

class EncodedTexts {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(first_segments_.size()); }
  std::int64_t length(std::int64_t i) const { return ends_[at(i) + 1] - ends_[at(i)]; }
  /// Valid until the next add().
  text::TokenSequence operator[](std::int64_t i) const {
    return {.ids = std::span(ids_).subspan(at(ends_[at(i)]), at(length(i))), .first_segment = first_segments_[at(i)]};
  }
  std::span<const std::int32_t> ids() const { return ids_; }
  std::span<const std::int32_t> first_segments() const { return first_segments_; }
  std::int64_t cut() const { return cut_; }          ///< texts that were too long
  std::int64_t unknown() const { return unknown_; }  ///< [UNK] among the tokens
  std::int64_t bare() const { return bare_; }        ///< texts, or parts of pairs, of which no token came

 private:
  friend class Encoder;
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

  std::vector<std::int32_t> ids_, first_segments_;
  std::vector<std::int64_t> ends_{0};
  std::int64_t cut_ = 0, unknown_ = 0, bare_ = 0;
};

/// What stands around the tokens of a text and between those of a pair.
enum class Frame {
  cls_sep,  ///< [CLS] a [SEP], [CLS] a [SEP] b [SEP]
  bare,     ///< a, a [SEP] b; a single text without tokens is one [UNK]
};

/// Thread-safe.
class Encoder {
 public:
  /// Keeps the vocabulary, which must have [PAD], [UNK] and what the frame needs (DataError). `max_length` counts the frame too.
  Encoder(std::shared_ptr<const data::Vocabulary> vocabulary, const data::TokenizerOptions& options, std::int64_t max_length,
          Frame frame = Frame::cls_sep);

  void add(std::string_view a, EncodedTexts& to) const;
  void add(std::string_view a, std::string_view b, EncodedTexts& to) const;
  const data::Vocabulary& vocabulary() const { return *vocabulary_; }
  std::int32_t pad_id() const { return pad_; }
  std::int32_t unknown_id() const { return unknown_; }

 private:
  void append(std::span<const std::int32_t> a, std::span<const std::int32_t> b, bool pair, EncodedTexts& to) const;

  std::shared_ptr<const data::Vocabulary> vocabulary_;
  data::Tokenizer tokenizer_;
  std::size_t max_length_;
  Frame frame_;
  std::int32_t cls_, sep_, pad_, unknown_;  // cls_, sep_: -1 where the vocabulary has none
};

}  // namespace capstan::text_classification
