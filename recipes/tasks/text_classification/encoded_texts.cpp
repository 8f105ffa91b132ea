#include "recipes/tasks/text_classification/encoded_texts.h"

#include <algorithm>
#include <utility>

#include "recipes/tasks/text/pair.h"

namespace capstan::text_classification {

Encoder::Encoder(std::shared_ptr<const data::Vocabulary> vocabulary, const data::TokenizerOptions& options, std::int64_t max_length)
    : vocabulary_(std::move(vocabulary)),
      tokenizer_(*vocabulary_, options),
      max_length_(static_cast<std::size_t>(max_length)),
      cls_(vocabulary_->id("[CLS]")),
      sep_(vocabulary_->id("[SEP]")),
      pad_(vocabulary_->id("[PAD]")),
      unknown_(vocabulary_->id("[UNK]")) {}

void Encoder::add(std::string_view a, EncodedTexts& to) const {
  std::vector<std::int32_t> tokens = tokenizer_.encode(a);
  if (tokens.empty()) ++to.bare_;
  if (tokens.size() + 2 > max_length_) {
    tokens.resize(max_length_ - 2);
    ++to.cut_;
  }
  append(tokens, {}, /*pair=*/false, to);
}

void Encoder::add(std::string_view a, std::string_view b, EncodedTexts& to) const {
  std::vector<std::int32_t> first = tokenizer_.encode(a), second = tokenizer_.encode(b);
  to.bare_ += first.empty() + second.empty();
  if (first.size() + second.size() + 3 > max_length_) {
    text::truncate_pair(first, second, max_length_ - 3);
    ++to.cut_;
  }
  append(first, second, /*pair=*/true, to);
}

void Encoder::append(std::span<const std::int32_t> a, std::span<const std::int32_t> b, bool pair, EncodedTexts& to) const {
  std::vector<std::int32_t>& ids = to.ids_;
  to.unknown_ += std::ranges::count(a, unknown_) + std::ranges::count(b, unknown_);
  ids.push_back(cls_);
  ids.insert(ids.end(), a.begin(), a.end());
  ids.push_back(sep_);
  to.first_segments_.push_back(static_cast<std::int32_t>(a.size() + 2));
  if (pair) {
    ids.insert(ids.end(), b.begin(), b.end());
    ids.push_back(sep_);
  }
  to.ends_.push_back(static_cast<std::int64_t>(ids.size()));
}

}  // namespace capstan::text_classification
