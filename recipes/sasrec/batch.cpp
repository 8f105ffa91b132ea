#include "recipes/sasrec/batch.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::sasrec {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

bool shares_negatives(LossKind kind) { return kind != LossKind::bce; }

}  // namespace

Batch make_batch(std::span<const Sequence> sequences, const ModelOptions& model) {
  const std::int64_t length = model.max_length, count = static_cast<std::int64_t>(sequences.size());
  Batch out;
  out.sequences = count;
  out.max_length = length;
  out.packed = model.packed;
  out.offsets = Tensor(Shape{count + 1}, DType::i64);
  const auto offsets = out.offsets.span<std::int64_t>();
  offsets[0] = 0;
  bool with_targets = count > 0;
  for (std::int64_t b = 0; b < count; ++b) {
    const Sequence& s = sequences[at(b)];
    require<DataError>(!s.items.empty(), "sasrec: sequence ", b, " of a batch has no items");
    require<InternalError>(s.targets.empty() || s.targets.size() == s.items.size(), "sasrec: sequence ", b, " has ", s.items.size(),
                           " items and ", s.targets.size(), " targets");
    offsets[at(b + 1)] = offsets[at(b)] + std::min(length, static_cast<std::int64_t>(s.items.size()));
    with_targets = with_targets && !s.targets.empty();
  }
  const std::int64_t real = offsets[at(count)], tokens = model.packed ? real : count * length;
  for (Tensor* t : {&out.items, &out.positions, &out.keys}) *t = Tensor(Shape{tokens}, DType::i64);
  out.last = Tensor(Shape{count}, DType::i64);
  if (with_targets) out.targets = Tensor(Shape{real}, DType::i64);
  if (!model.packed) {
    out.real = Tensor(Shape{real}, DType::i64);
    out.padding = Tensor::zeros({count, length}, DType::u8);
  }
  const auto items = out.items.span<std::int64_t>(), positions = out.positions.span<std::int64_t>(), keys = out.keys.span<std::int64_t>();
  for (std::int64_t b = 0; b < count; ++b) {
    const std::int64_t first_real = offsets[at(b)], n = offsets[at(b + 1)] - first_real;
    const auto newest = sequences[at(b)].items.last(at(n));
    const std::int64_t pads = model.packed ? 0 : length - n, first = model.packed ? first_real : b * length;
    for (std::int64_t i = 0; i < pads + n; ++i) {
      const std::int64_t position = length - (pads + n) + i;
      items[at(first + i)] = i < pads ? 0 : newest[at(i - pads)];
      positions[at(first + i)] = position;
      keys[at(first + i)] = b * length + position;
    }
    out.last.span<std::int64_t>()[at(b)] = first + pads + n - 1;
    if (!model.packed) {
      for (std::int64_t i = 0; i < n; ++i) {
        out.real.span<std::int64_t>()[at(first_real + i)] = first + pads + i;
        out.padding.span<std::uint8_t>()[at(first + pads + i)] = 1;
      }
    }
    if (with_targets) std::ranges::copy(sequences[at(b)].targets.last(at(n)), out.targets.span<std::int64_t>().begin() + first_real);
  }
  return out;
}

Batch training_batch(const Dataset& data, const ModelOptions& model, const LossOptions& loss, std::int64_t epoch, std::int64_t first,
                     std::int64_t count) {
  const std::vector<std::int64_t> users = data.training_users(epoch, first, count);
  std::vector<Sequence> sequences;
  for (const auto u : users) {
    const auto items = data.train(u);
    sequences.push_back({items.first(items.size() - 1), items.subspan(1)});
  }
  Batch out = make_batch(sequences, model);
  if (loss.kind == LossKind::ce) return out;
  const bool shared = shares_negatives(loss.kind);
  const auto offsets = out.offsets.span<const std::int64_t>();
  std::vector<std::int32_t> negatives(at((shared ? out.sequences : out.real_tokens()) * loss.negatives));
  for (std::int64_t b = 0; b < out.sequences; ++b) {
    const std::int64_t from = shared ? b : offsets[at(b)], to = shared ? b + 1 : offsets[at(b + 1)];
    data.draw_negatives(users[at(b)], epoch, first + b,
                        std::span(negatives).subspan(at(from * loss.negatives), at((to - from) * loss.negatives)));
  }
  set_candidates(out, negatives, loss.negatives, shared);
  return out;
}

void set_candidates(Batch& batch, std::span<const std::int32_t> negatives, std::int64_t k, bool shared) {
  batch.candidates = Tensor(Shape{batch.real_tokens(), 1 + k}, DType::i64);
  std::int64_t* to = batch.candidates.data<std::int64_t>();
  const auto targets = batch.targets.span<const std::int64_t>(), offsets = batch.offsets.span<const std::int64_t>();
  for (std::int64_t b = 0; b < batch.sequences; ++b) {
    for (std::int64_t t = offsets[at(b)]; t < offsets[at(b + 1)]; ++t) {
      *to++ = targets[at(t)];
      to = std::ranges::copy(negatives.subspan(at((shared ? b : t) * k), at(k)), to).out;
    }
  }
}

Batch random_batch(std::int64_t sequences, std::int64_t items, const ModelOptions& model, const LossOptions& loss, std::uint64_t seed) {
  Rng rng(random_key(seed, "random batch"));
  const auto any_item = [&] { return static_cast<std::int32_t>(1 + rng.below(static_cast<std::uint64_t>(items))); };
  std::vector<std::int32_t> ids(at(sequences * (model.max_length + 1)));
  std::ranges::generate(ids, any_item);
  std::vector<Sequence> parts;
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto all = std::span<const std::int32_t>(ids).subspan(at(b * (model.max_length + 1)), at(model.max_length + 1));
    parts.push_back({all.first(at(model.max_length)), all.subspan(1)});
  }
  Batch out = make_batch(parts, model);
  if (loss.kind != LossKind::ce) {
    std::vector<std::int32_t> negatives(at((shares_negatives(loss.kind) ? sequences : out.real_tokens()) * loss.negatives));
    std::ranges::generate(negatives, any_item);
    set_candidates(out, negatives, loss.negatives, shares_negatives(loss.kind));
  }
  return out;
}

}  // namespace capstan::sasrec
