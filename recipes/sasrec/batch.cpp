#include "recipes/sasrec/batch.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::sasrec {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Negatives belong to a position (bce) or are shared by a sequence (the losses with many).
std::int64_t negative_rows(LossKind kind, std::int64_t tokens, std::int64_t sequences) {
  return kind == LossKind::bce ? tokens : kind == LossKind::ce ? 0 : sequences;
}

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
    require<InternalError>(s.targets.empty() || s.targets.size() == s.items.size(), "sasrec: sequence ", b, " has ", s.items.size(), " items and ",
                           s.targets.size(), " targets");
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
  const std::int64_t rows = negative_rows(loss.kind, out.real_tokens(), out.sequences);
  if (rows == 0) return out;
  out.negatives = Tensor(Shape{rows, loss.negatives}, DType::i64);
  const auto negatives = out.negatives.span<std::int64_t>();
  const auto offsets = out.offsets.span<const std::int64_t>();
  std::vector<std::int32_t> drawn;
  for (std::int64_t b = 0; b < out.sequences; ++b) {
    const std::int64_t from = loss.kind == LossKind::bce ? offsets[at(b)] : b;
    const std::int64_t to = loss.kind == LossKind::bce ? offsets[at(b + 1)] : b + 1;
    drawn.resize(at((to - from) * loss.negatives));
    data.draw_negatives(users[at(b)], epoch, first + b, drawn);
    std::ranges::copy(drawn, negatives.begin() + from * loss.negatives);
  }
  return out;
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
  if (const std::int64_t rows = negative_rows(loss.kind, out.real_tokens(), sequences); rows > 0) {
    out.negatives = Tensor(Shape{rows, loss.negatives}, DType::i64);
    std::ranges::generate(out.negatives.span<std::int64_t>(), any_item);
  }
  return out;
}

}  // namespace capstan::sasrec
