#pragma once
// SubwordModel: text <-> numbers of the pieces of words, learned from text by byte pair encoding (Sennrich et al. 2016) or as a unigram
// language model (Kudo 2018). The one place that names libsentencepiece, whose model files it reads and writes.
//
// A model made here has [PAD] 0, [UNK] 1, [BOS] 2 and [EOS] 3, and decode(encode(text)) is the text, but for runs of blanks, blanks at its
// ends, and characters that the model does not know. Thread-safe: nothing changes after construction. Not here: frames of [BOS] and [EOS].

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/rng.h"

namespace capstan::data {

enum class SubwordKind {
  bpe,
  unigram,
  character,  ///< every character is a piece
};

/// What is done to text before it is cut.
enum class TextNormalization {
  identity,
  nfkc,
  nmt_nfkc,  ///< NFKC, and kinds of blanks become one: what sentencepiece does by default
};

struct SubwordOptions {
  SubwordKind kind = SubwordKind::bpe;
  std::int64_t size = 8000;  ///< pieces at most, the special and single characters among them
  TextNormalization normalization = TextNormalization::identity;
  double coverage = 1;         ///< share of the text's characters that get a piece; the rarest others are unknown
  bool byte_fallback = false;  ///< what has no piece becomes its bytes, 256 pieces, instead of the unknown one
};

class SubwordModel {
 public:
  /// Learns from texts, which `next` gives one by one until it returns false. Throws DataError if there is no text, or less of it than so
  /// many pieces need, with the reason.
  static SubwordModel learned(const SubwordOptions& options, const std::function<bool(std::string_view& text)>& next);
  /// Reads a model file of sentencepiece. Throws IoError or DataError.
  static SubwordModel read(const std::string& path);
  /// The bytes of such a file. Throws DataError; `name` says what they are.
  explicit SubwordModel(std::string bytes, std::string_view name = "subword model");

  const std::string& bytes() const { return bytes_; }
  std::int64_t size() const;
  /// Special pieces; -1: the model has none. The unknown piece is always there.
  std::int32_t padding() const { return padding_; }
  std::int32_t unknown() const { return unknown_; }
  std::int32_t padding_or_unknown() const { return padding_ >= 0 ? padding_ : unknown_; }
  std::int32_t begin() const { return begin_; }
  std::int32_t end() const { return end_; }

  std::vector<std::int32_t> encode(std::string_view text) const;
  /// BPE-dropout (Provilkov, Emelianenko, Voita 2020): the pieces of ids = encode(text) merged anew from their characters, each merge that
  /// is possible being left out of a step with probability `rate`. decode() gives the same text. Of a model of byte pair encoding, whose
  /// scores are the order of its merges; pieces that are special, unknown or bytes stay.
  std::vector<std::int32_t> merged_anew(std::span<const std::int32_t> ids, double rate, Rng& rng) const;
  /// Special pieces are left out, an unknown one is U+2047. Throws DataError for an id outside the model.
  std::string decode(std::span<const std::int32_t> ids) const;
  /// As the model writes it, U+2581 standing for a blank.
  std::string piece(std::int32_t id) const;
  /// Of a piece that stands for a byte, the byte; -1: it is none.
  int byte(std::int32_t id) const;

 private:
  struct Processor;
  std::string bytes_;
  std::shared_ptr<const Processor> processor_;
  std::int32_t padding_ = -1, unknown_ = 0, begin_ = -1, end_ = -1;
};

}  // namespace capstan::data
