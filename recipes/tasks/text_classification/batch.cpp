#include "recipes/tasks/text_classification/batch.h"

#include <algorithm>

#include "autograd/core/rng.h"

namespace capstan::text_classification {

Batch unlabelled_batch(std::span<const text::TokenSequence> sequences, bool packed, std::int32_t pad_id, nn::KeysOfBatch keys) {
  std::size_t longest = 0;
  for (const text::TokenSequence& s : sequences) longest = std::max(longest, s.ids.size());
  Batch out;
  out.tokens = text::token_batch(sequences, static_cast<std::int64_t>(longest), packed, pad_id, keys);
  return out;
}

Batch make_batch(const Dataset& data, engine::Split split, std::span<const std::int64_t> places, bool packed, std::int32_t pad_id,
                 nn::KeysOfBatch keys) {
  std::vector<text::TokenSequence> sequences;
  for (const std::int64_t i : places) sequences.push_back(data.tokens(split, i));
  Batch out = unlabelled_batch(sequences, packed, pad_id, keys);
  out.places.assign(places.begin(), places.end());
  if (!data.labelled(split)) return out;
  const auto count = static_cast<std::int64_t>(places.size());
  if (data.regression()) {
    out.numbers = Tensor(Shape{count, 1});
    std::ranges::transform(places, out.numbers.data<float>(), [&](std::int64_t i) { return static_cast<float>(data.number(split, i)); });
  } else {
    out.labels = Tensor(Shape{count}, DType::i64);
    std::ranges::transform(places, out.labels.data<std::int64_t>(), [&](std::int64_t i) { return data.label(split, i); });
  }
  return out;
}

Batch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t vocab_size, std::int64_t classes, bool packed,
                   std::uint64_t key) {
  Rng rng(key);
  const auto count = static_cast<std::size_t>(sequences), width = static_cast<std::size_t>(length);
  std::vector<std::int32_t> ids(count * width);
  std::ranges::generate(ids, [&] { return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab_size))); });
  std::vector<text::TokenSequence> all;
  for (std::size_t b = 0; b < count; ++b)
    all.push_back({.ids = std::span(ids).subspan(b * width, width), .first_segment = static_cast<std::int32_t>((length + 1) / 2)});
  Batch out = unlabelled_batch(all, packed, 0);
  if (classes == 1) {
    out.numbers = Tensor(Shape{sequences, 1});
    std::ranges::generate(out.numbers.span<float>(), [&] { return static_cast<float>(rng.uniform()); });
  } else {
    out.labels = Tensor(Shape{sequences}, DType::i64);
    std::ranges::generate(out.labels.span<std::int64_t>(),
                          [&] { return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(classes))); });
  }
  return out;
}

}  // namespace capstan::text_classification
