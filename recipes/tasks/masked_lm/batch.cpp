#include "recipes/tasks/masked_lm/batch.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "autograd/core/rng.h"
#include "data/at.h"

namespace capstan::masked_lm {
namespace {

using data::at;

}  // namespace

Batch make_batch(std::span<const data::Instance> instances, std::int64_t length, bool packed, std::int32_t pad_id,
                 std::int64_t first_place) {
  std::vector<text::TokenSequence> sequences;
  std::int64_t predictions = 0;
  for (const data::Instance& x : instances) {
    sequences.push_back({.ids = x.ids, .first_segment = x.first_segment});
    predictions += static_cast<std::int64_t>(x.positions.size());
  }
  Batch out{text::token_batch(sequences, length, packed, pad_id, {.first = first_place}), {}, {}, {}, first_place == 0};
  for (Tensor* t : {&out.masked, &out.labels}) *t = Tensor(Shape{predictions}, DType::i64);
  out.next = Tensor(Shape{out.layout.sequences}, DType::i64);

  const auto masked = out.masked.span<std::int64_t>(), labels = out.labels.span<std::int64_t>();
  std::size_t prediction = 0;
  for (std::size_t b = 0; b < instances.size(); ++b) {
    const data::Instance& x = instances[b];
    const std::int64_t first = out.layout.first.span<const std::int64_t>()[b];
    out.next.span<std::int64_t>()[b] = x.random_next ? 1 : 0;
    for (std::size_t k = 0; k < x.positions.size(); ++k, ++prediction) {
      masked[prediction] = first + x.positions[k];
      labels[prediction] = x.labels[k];
    }
  }
  return out;
}

Batch random_batch(std::int64_t sequences, std::int64_t length, std::int64_t predictions, std::int64_t vocab_size, bool packed,
                   std::uint64_t key) {
  Rng rng(key);
  const auto any_id = [&] { return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab_size))); };
  std::vector<std::int32_t> places(at(length));
  std::iota(places.begin(), places.end(), 0);
  std::vector<data::Instance> instances(at(sequences));
  for (data::Instance& x : instances) {
    x.ids.resize(at(length));
    std::ranges::generate(x.ids, any_id);
    x.first_segment = static_cast<std::int32_t>((length + 1) / 2);
    x.random_next = rng.below(2) == 1;
    rng.shuffle(std::span(places));
    x.positions.assign(places.begin(), places.begin() + std::min(predictions, length));
    std::ranges::sort(x.positions);
    x.labels.resize(x.positions.size());
    std::ranges::generate(x.labels, any_id);
  }
  return make_batch(instances, length, packed, 0);
}

}  // namespace capstan::masked_lm
