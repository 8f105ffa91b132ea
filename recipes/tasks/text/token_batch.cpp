#include "recipes/tasks/text/token_batch.h"

#include <algorithm>
#include <vector>

namespace capstan::text {

TokenBatch token_batch(std::span<const TokenSequence> sequences, std::int64_t length, bool packed, std::int32_t pad_id,
                       nn::KeysOfBatch keys) {
  std::vector<std::int64_t> lengths;
  for (const TokenSequence& s : sequences) lengths.push_back(static_cast<std::int64_t>(s.ids.size()));
  TokenBatch out;
  out.layout = nn::token_layout(lengths, length, packed, nn::Align::left, keys);
  out.ids = Tensor(Shape{out.layout.tokens()}, DType::i64);
  out.segments = Tensor::zeros({out.layout.tokens()}, DType::i64);
  const auto ids = out.ids.span<std::int64_t>(), segments = out.segments.span<std::int64_t>();
  std::ranges::fill(ids, pad_id);
  for (std::size_t b = 0; b < sequences.size(); ++b) {
    const TokenSequence& s = sequences[b];
    const auto first = static_cast<std::size_t>(out.layout.first.span<const std::int64_t>()[b]);
    std::ranges::copy(s.ids, ids.begin() + static_cast<std::ptrdiff_t>(first));
    const auto second = std::min(static_cast<std::size_t>(s.first_segment), s.ids.size());
    std::ranges::fill(segments.subspan(first + second, s.ids.size() - second), 1);
  }
  return out;
}

}  // namespace capstan::text
