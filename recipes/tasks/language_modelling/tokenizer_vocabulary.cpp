#include "recipes/tasks/language_modelling/tokenizer_vocabulary.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "autograd/core/error.h"
#include "data/text/unicode.h"

namespace capstan::language_modelling {
namespace {

std::int64_t checked_rows(std::int64_t rows, std::int64_t tokens) {
  require<DataError>(rows == 0 || rows >= tokens, "vocabulary: the tokenizer has ", tokens, " tokens, and the model a row for ", rows);
  return std::max(rows, tokens);
}

std::string name_of_row(std::int32_t row) { return join_text("[row ", row, " of no token]"); }

// A content is the number of rows on a line, then the tokenizer's file.
std::string content_of(std::int64_t rows, std::string_view file) { return join_text(rows, "\n", file); }
std::int64_t rows_of(std::string_view content) {
  std::int64_t rows = 0;
  const char* const end = content.data() + std::min(content.find('\n'), content.size());
  const auto [at, error] = std::from_chars(content.data(), end, rows);
  require<CheckpointError>(error == std::errc() && at == end && end != content.data() + content.size(),
                           "vocabulary: the tokenizer in the checkpoint does not begin with a number of rows");
  return rows;
}

class ByteBpeTokens final : public Vocabulary {
 public:
  ByteBpeTokens(data::ByteBpe tokenizer, std::int64_t rows) : bpe_(std::move(tokenizer)), rows_(checked_rows(rows, bpe_.size())) {}
  std::int64_t size() const override { return rows_; }
  std::string description() const override { return join_text(bpe_.size(), " pieces of a byte-level BPE"); }
  std::vector<std::int32_t> encode(std::string_view text) const override { return bpe_.encode(text); }
  void append(std::int32_t token, std::string& text) const override {
    if (token < bpe_.size() && token != bpe_.end_of_text()) text += bpe_.bytes_of(token);
  }
  std::string name(std::int32_t token) const override {
    std::string piece = token < bpe_.size() ? bpe_.piece(token) : "";
    return piece.empty() ? name_of_row(token) : piece;
  }
  std::int32_t end_of_text() const override { return bpe_.end_of_text(); }
  std::string_view kind() const override { return kByteBpe; }
  std::string content() const override { return content_of(rows_, bpe_.bytes()); }

 private:
  data::ByteBpe bpe_;
  std::int64_t rows_;
};

/// The model puts a blank before a text, which is no part of it; line ends are pieces, or bytes.
class SentencepieceTokens final : public Vocabulary {
 public:
  SentencepieceTokens(data::SubwordModel model, std::int64_t rows) : model_(std::move(model)), rows_(checked_rows(rows, model_.size())) {}
  std::int64_t size() const override { return rows_; }
  std::string description() const override { return join_text(model_.size(), " pieces of a sentencepiece model"); }
  std::vector<std::int32_t> encode(std::string_view text) const override { return model_.encode(text); }
  void append(std::int32_t token, std::string& text) const override {
    constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581
    if (token == model_.unknown()) return data::unicode::append_utf8(text, data::unicode::kReplacement);
    if (token >= model_.size() || token == model_.begin() || token == model_.end() || token == model_.padding()) return;
    if (const int byte = model_.byte(token); byte >= 0) return text.push_back(static_cast<char>(byte));
    const std::string piece = model_.piece(token);
    for (std::size_t at = 0; at < piece.size();) {
      const bool blank = piece.compare(at, kBlank.size(), kBlank) == 0;
      if (!blank) text.push_back(piece[at]);
      if (blank && !text.empty()) text.push_back(' ');
      at += blank ? kBlank.size() : 1;
    }
  }
  std::string name(std::int32_t token) const override { return token < model_.size() ? model_.piece(token) : name_of_row(token); }
  std::int32_t unknown() const override { return model_.unknown(); }
  std::int32_t begin_of_text() const override { return model_.begin(); }
  std::int32_t end_of_text() const override { return model_.end(); }
  std::string_view kind() const override { return kSentencepiece; }
  std::string content() const override { return content_of(rows_, model_.bytes()); }

 private:
  data::SubwordModel model_;
  std::int64_t rows_;
};

}  // namespace

SharedVocabulary byte_bpe_vocabulary(data::ByteBpe tokenizer, std::int64_t rows) {
  return std::make_shared<const ByteBpeTokens>(std::move(tokenizer), rows);
}
SharedVocabulary sentencepiece_vocabulary(data::SubwordModel model, std::int64_t rows) {
  return std::make_shared<const SentencepieceTokens>(std::move(model), rows);
}

SharedVocabulary tokenizer_vocabulary(std::string_view kind, std::string_view content) {
  if (kind == kByteBpe) return byte_bpe_vocabulary(data::ByteBpe(tokenizer_file(content), "vocabulary"), rows_of(content));
  if (kind == kSentencepiece) return sentencepiece_vocabulary(data::SubwordModel(tokenizer_file(content), "vocabulary"), rows_of(content));
  return nullptr;
}

std::string tokenizer_file(std::string_view content) {
  return std::string(content.substr(std::min(content.find('\n') + 1, content.size())));
}

}  // namespace capstan::language_modelling
