#include "recipes/tasks/translation/batch.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::translation {
namespace {

void shuffle(std::vector<std::int64_t>& order, Rng& rng) {
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
}

BatchList cut(std::span<const EncodedPair> pairs, const std::vector<std::int64_t>& order, std::int64_t target_tokens) {
  BatchList batches;
  std::int64_t tokens = 0;
  for (const std::int64_t i : order) {
    const std::int64_t more = pairs[static_cast<std::size_t>(i)].target_tokens();
    if (batches.empty() || tokens + more > target_tokens) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(i);
    tokens += more;
  }
  return batches;
}

/// By the lengths of target and source; what is equal stays as it is.
void sort_by_length(std::span<const EncodedPair> pairs, std::vector<std::int64_t>& order) {
  std::ranges::stable_sort(order, {}, [&](std::int64_t i) {
    const EncodedPair& p = pairs[static_cast<std::size_t>(i)];
    return std::tuple(p.target.size(), p.source.size());
  });
}

std::vector<std::int64_t> all_of(std::span<const EncodedPair> pairs) {
  std::vector<std::int64_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

}  // namespace

Side make_side(std::span<const std::span<const std::int32_t>> sequences, std::span<const std::int64_t> numbers, std::int64_t stride,
               std::int32_t pad) {
  std::size_t length = 1;
  for (const auto& s : sequences) length = std::max(length, s.size());
  const Shape shape{static_cast<std::int64_t>(sequences.size()), static_cast<std::int64_t>(length)};
  Side out{.ids = Tensor(shape, DType::i64), .real = Tensor(shape, DType::u8), .keys = Tensor({shape.numel()}, DType::i64)};
  for (std::size_t r = 0; r < sequences.size(); ++r)
    for (std::size_t t = 0; t < length; ++t) {
      const std::size_t at = r * length + t;
      const bool real = t < sequences[r].size();
      out.ids.data<std::int64_t>()[at] = real ? sequences[r][t] : pad;
      out.real.data<std::uint8_t>()[at] = real ? 1 : 0;
      out.keys.data<std::int64_t>()[at] = numbers[r] * stride + static_cast<std::int64_t>(t);
    }
  return out;
}

Batch make_batch(std::span<const EncodedPair> all, std::span<const std::int64_t> numbers, std::int64_t stride, std::int32_t pad) {
  std::vector<const EncodedPair*> pairs;
  for (const std::int64_t i : numbers) pairs.push_back(&all[static_cast<std::size_t>(i)]);
  return make_batch(pairs, numbers, stride, pad);
}

Batch make_batch(std::span<const EncodedPair* const> pairs, std::span<const std::int64_t> numbers, std::int64_t stride, std::int32_t pad) {
  std::vector<std::span<const std::int32_t>> sources, targets;
  for (const EncodedPair* p : pairs) {
    sources.emplace_back(p->source);
    targets.push_back(std::span(p->target).first(p->target.size() - 1));
  }
  Batch out{.source = make_side(sources, numbers, stride, pad),
            .target = make_side(targets, numbers, stride, pad),
            .tokens = {},
            .labels = {},
            .pairs = {numbers.begin(), numbers.end()}};
  std::vector<std::int64_t> tokens, labels;
  for (std::size_t r = 0; r < numbers.size(); ++r) {
    const std::vector<std::int32_t>& target = pairs[r]->target;
    for (std::size_t t = 1; t < target.size(); ++t) {
      tokens.push_back(static_cast<std::int64_t>(r) * out.target.length() + static_cast<std::int64_t>(t) - 1);
      labels.push_back(target[t]);
    }
  }
  const Shape count{static_cast<std::int64_t>(labels.size())};
  out.tokens = Tensor::from(tokens, count);
  out.labels = Tensor::from(labels, count);
  return out;
}

std::optional<Batch> part_of(const Batch& batch, const engine::Part& part) {
  const std::int64_t rows = batch.target.rows(), begin = part.begin(rows), count = part.end(rows) - begin;
  if (count == 0) return std::nullopt;
  const auto slice_of = [](const Tensor& t, std::int64_t first, std::int64_t length) {
    return t.view(t.layout().slice(0, first, length)).contiguous();
  };
  const auto rows_of = [&](const Side& side) {
    return Side{.ids = slice_of(side.ids, begin, count),
                .real = slice_of(side.real, begin, count),
                .keys = slice_of(side.keys, begin * side.length(), count * side.length())};
  };
  const std::int64_t before = begin * batch.target.length();  // tokens in the rows before
  const auto all = batch.tokens.span<const std::int64_t>();
  const auto place_of = [&](std::int64_t token) { return std::ranges::lower_bound(all, token) - all.begin(); };
  const std::int64_t first = place_of(before), end = place_of(before + count * batch.target.length());
  Batch out{.source = rows_of(batch.source),
            .target = rows_of(batch.target),
            .tokens = slice_of(batch.tokens, first, end - first).clone(),
            .labels = slice_of(batch.labels, first, end - first),
            .pairs = {batch.pairs.begin() + begin, batch.pairs.begin() + begin + count}};
  for (std::int64_t& token : out.tokens.span<std::int64_t>()) token -= before;
  return out;
}

BatchList training_batches(std::span<const EncodedPair> pairs, std::int64_t target_tokens, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order = all_of(pairs);
  Rng rng(random_key(seed, "translation batches", {static_cast<std::uint64_t>(epoch)}));
  shuffle(order, rng);  // which of equally long pairs meet
  sort_by_length(pairs, order);
  const BatchList sorted = cut(pairs, order, target_tokens);
  std::vector<std::int64_t> places(sorted.size());
  std::iota(places.begin(), places.end(), std::int64_t{0});
  shuffle(places, rng);
  BatchList out;
  for (const std::int64_t place : places) out.push_back(sorted[static_cast<std::size_t>(place)]);
  return out;
}

BatchList evaluation_batches(std::span<const EncodedPair> pairs, std::int64_t target_tokens) {
  std::vector<std::int64_t> order = all_of(pairs);
  sort_by_length(pairs, order);
  return cut(pairs, order, target_tokens);
}

}  // namespace capstan::translation
