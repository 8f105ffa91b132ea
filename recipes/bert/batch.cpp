#include "recipes/bert/batch.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::bert {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

std::int64_t Batch::real_tokens() const { return offsets.data<const std::int64_t>()[sequences]; }

Batch make_batch(std::span<const data::Instance> instances, std::int64_t length, bool packed, std::int32_t pad_id) {
  const auto count = static_cast<std::int64_t>(instances.size());
  Batch out;
  out.sequences = count;
  out.length = length;
  out.packed = packed;
  out.offsets = Tensor(Shape{count + 1}, DType::i64);
  const auto offsets = out.offsets.span<std::int64_t>();
  offsets[0] = 0;
  std::int64_t predictions = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const data::Instance& x = instances[at(b)];
    const auto n = static_cast<std::int64_t>(x.ids.size());
    require(n >= 1 && n <= length, "bert: a sequence must have 1 to ", length, " tokens: sequence ", b, " has ", n);
    offsets[at(b + 1)] = offsets[at(b)] + n;
    predictions += static_cast<std::int64_t>(x.positions.size());
  }
  const std::int64_t tokens = packed ? offsets[at(count)] : count * length;
  for (Tensor* t : {&out.ids, &out.segments, &out.positions, &out.keys}) *t = Tensor(Shape{tokens}, DType::i64);
  for (Tensor* t : {&out.first, &out.next}) *t = Tensor(Shape{count}, DType::i64);
  for (Tensor* t : {&out.masked, &out.labels}) *t = Tensor(Shape{predictions}, DType::i64);
  if (!packed) out.padding = Tensor::zeros({count, length}, DType::u8);

  const auto ids = out.ids.span<std::int64_t>(), segments = out.segments.span<std::int64_t>();
  const auto positions = out.positions.span<std::int64_t>(), keys = out.keys.span<std::int64_t>();
  std::size_t prediction = 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const data::Instance& x = instances[at(b)];
    const auto n = static_cast<std::int64_t>(x.ids.size());
    const std::int64_t first = packed ? offsets[at(b)] : b * length;
    for (std::int64_t i = 0; i < (packed ? n : length); ++i) {
      ids[at(first + i)] = i < n ? x.ids[at(i)] : pad_id;
      segments[at(first + i)] = i >= x.first_segment && i < n ? 1 : 0;
      positions[at(first + i)] = i;
      keys[at(first + i)] = b * length + i;
    }
    if (!packed) std::fill_n(out.padding.data<std::uint8_t>() + first, n, std::uint8_t{1});
    out.first.data<std::int64_t>()[b] = first;
    out.next.data<std::int64_t>()[b] = x.random_next ? 1 : 0;
    for (std::size_t k = 0; k < x.positions.size(); ++k, ++prediction) {
      out.masked.span<std::int64_t>()[prediction] = first + x.positions[k];
      out.labels.span<std::int64_t>()[prediction] = x.labels[k];
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

}  // namespace capstan::bert
