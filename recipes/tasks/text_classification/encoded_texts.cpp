#include "recipes/tasks/text_classification/encoded_texts.h"

#include <algorithm>
#include <utility>

#include "recipes/tasks/text/pair.h"

namespace capstan::text_classification {

Encoder::Encoder(std::shared_ptr<const data::Vocabulary> vocabulary, const data::TokenizerOptions& options, std::int64_t max_length,
                 Frame frame)
    : vocabulary_(std::move(vocabulary)),
      tokenizer_(*vocabulary_, options),
      max_length_(static_cast<std::size_t>(max_length)),
      frame_(frame),
      cls_(frame == Frame::bare ? -1 : vocabulary_->id("[CLS]")),
      sep_(frame == Frame::bare ? vocabulary_->find("[SEP]") : vocabulary_->id("[SEP]")),
      pad_(vocabulary_->id("[PAD]")),
      unknown_(vocabulary_->id("[UNK]")) {}

void Encoder::add(std::string_view a, EncodedTexts& to) const {
  const std::size_t room = max_length_ - (frame_ == Frame::bare ? 0 : 2);
  std::vector<std::int32_t> tokens = tokenizer_.encode(a);
  if (tokens.empty()) {
    ++to.bare_;
    if (frame_ == Frame::bare) tokens.push_back(unknown_);
  }
  if (tokens.size() > room) {
    tokens.resize(room);
    ++to.cut_;
  }
  append(tokens, {}, /*pair=*/false, to);
}

void Encoder::add(std::string_view a, std::string_view b, EncodedTexts& to) const {
  if (sep_ < 0) vocabulary_->id("[SEP]");  // which throws: only pairs need it
  const std::size_t room = max_length_ - (frame_ == Frame::bare ? 1 : 3);
  std::vector<std::int32_t> first = tokenizer_.encode(a), second = tokenizer_.encode(b);
  to.bare_ += first.empty() + second.empty();
  if (first.size() + second.size() > room) {
    text::truncate_pair(first, second, room);
    ++to.cut_;
  }
  append(first, second, /*pair=*/true, to);
}

void Encoder::append(std::span<const std::int32_t> a, std::span<const std::int32_t> b, bool pair, EncodedTexts& to) const {
  std::vector<std::int32_t>& ids = to.ids_;
  const bool framed = frame_ == Frame::cls_sep;
  to.unknown_ += std::ranges::count(a, unknown_) + std::ranges::count(b, unknown_);
  const std::size_t begin = ids.size();
  if (framed) ids.push_back(cls_);
  ids.insert(ids.end(), a.begin(), a.end());
  if (framed || pair) ids.push_back(sep_);
  to.first_segments_.push_back(static_cast<std::int32_t>(ids.size() - begin));
  if (pair) {
    ids.insert(ids.end(), b.begin(), b.end());
    if (framed) ids.push_back(sep_);
  }
  to.ends_.push_back(static_cast<std::int64_t>(ids.size()));
}

}  // namespace capstan::text_classification
