#include "recipes/tasks/next_item/batch.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/at.h"

namespace capstan::next_item {
namespace {

using data::at;

bool shares_negatives(LossKind kind) { return kind != LossKind::bce; }

}  // namespace

Batch make_batch(std::span<const Sequence> sequences, const SequenceForm& form, std::int64_t offset) {
  std::vector<std::int64_t> lengths;
  bool with_targets = !sequences.empty();
  for (const Sequence& s : sequences) {
    require<DataError>(!s.items.empty(), "next_item: sequence ", lengths.size(), " of a batch has no items");
    require<InternalError>(s.targets.empty() || s.targets.size() == s.items.size(), "next_item: sequence ", lengths.size(), " has ",
                           s.items.size(), " items and ", s.targets.size(), " targets");
    lengths.push_back(std::min(form.max_length, static_cast<std::int64_t>(s.items.size())));
    with_targets = with_targets && !s.targets.empty();
  }
  Batch out;
  out.layout = nn::token_layout(lengths, form.max_length, form.packed, form.align, {.first = offset});
  out.items = Tensor::zeros({out.layout.tokens()}, DType::i64);
  if (with_targets) out.targets = Tensor(Shape{out.layout.real_tokens()}, DType::i64);
  const auto offsets = out.layout.offsets.span<const std::int64_t>(), first = out.layout.first.span<const std::int64_t>();
  for (std::size_t b = 0; b < sequences.size(); ++b) {
    const auto n = at(lengths[b]);
    std::ranges::copy(sequences[b].items.last(n), out.items.data<std::int64_t>() + first[b]);
    if (with_targets) std::ranges::copy(sequences[b].targets.last(n), out.targets.data<std::int64_t>() + offsets[b]);
  }
  return out;
}

std::vector<TrainingWindow> training_windows(const Dataset& data, Windows windows, std::int64_t max_length) {
  std::vector<TrainingWindow> out;
  for (const std::int64_t user : data.trainable_users()) {
    std::int64_t end = std::ssize(data.train(user));
    do {
      out.push_back({user, end});
      end -= max_length;  // the oldest input of this window is the last target of the next
    } while (windows == Windows::all && end >= 2);
  }
  return out;
}

Batch training_batch(const Dataset& data, const SequenceForm& form, const LossOptions& loss, std::int64_t epoch, std::int64_t first,
                     std::span<const TrainingWindow> windows, std::int64_t offset) {
  std::vector<Sequence> sequences;
  for (const TrainingWindow& w : windows) {
    const auto items = data.train(w.user).first(at(w.end));
    sequences.push_back({items.first(items.size() - 1), items.subspan(1)});
  }
  Batch out = make_batch(sequences, form, offset);
  if (loss.kind == LossKind::ce) return out;
  const bool shared = shares_negatives(loss.kind);
  const auto offsets = out.layout.offsets.span<const std::int64_t>();
  std::vector<std::int32_t> negatives(at((shared ? out.layout.sequences : out.layout.real_tokens()) * loss.negatives));
  for (std::int64_t b = 0; b < out.layout.sequences; ++b) {
    const std::int64_t from = shared ? b : offsets[at(b)], to = shared ? b + 1 : offsets[at(b + 1)];
    data.draw_negatives(windows[at(b)].user, epoch, first + b,
                        std::span(negatives).subspan(at(from * loss.negatives), at((to - from) * loss.negatives)));
  }
  set_candidates(out, negatives, loss.negatives, shared);
  return out;
}

Batch evaluation_batch(const Dataset& data, const SequenceForm& form, std::vector<Case> cases) {
  std::vector<Sequence> sequences;
  for (const Case& c : cases) sequences.push_back({data.history(c), {}});
  Batch out = make_batch(sequences, form);
  out.cases = std::move(cases);
  return out;
}

void set_candidates(Batch& batch, std::span<const std::int32_t> negatives, std::int64_t k, bool shared) {
  batch.candidates = Tensor(Shape{batch.layout.real_tokens(), 1 + k}, DType::i64);
  std::int64_t* to = batch.candidates.data<std::int64_t>();
  const auto targets = batch.targets.span<const std::int64_t>(), offsets = batch.layout.offsets.span<const std::int64_t>();
  for (std::int64_t b = 0; b < batch.layout.sequences; ++b) {
    for (std::int64_t t = offsets[at(b)]; t < offsets[at(b + 1)]; ++t) {
      *to++ = targets[at(t)];
      to = std::ranges::copy(negatives.subspan(at((shared ? b : t) * k), at(k)), to).out;
    }
  }
}

Batch random_batch(std::int64_t sequences, std::int64_t items, const SequenceForm& form, const LossOptions& loss, std::uint64_t seed) {
  Rng rng(random_key(seed, "random batch"));
  const auto any_item = [&] { return static_cast<std::int32_t>(1 + rng.below(static_cast<std::uint64_t>(items))); };
  std::vector<std::int32_t> ids(at(sequences * (form.max_length + 1)));
  std::ranges::generate(ids, any_item);
  std::vector<Sequence> parts;
  for (std::int64_t b = 0; b < sequences; ++b) {
    const auto all = std::span<const std::int32_t>(ids).subspan(at(b * (form.max_length + 1)), at(form.max_length + 1));
    parts.push_back({all.first(at(form.max_length)), all.subspan(1)});
  }
  Batch out = make_batch(parts, form);
  if (loss.kind != LossKind::ce) {
    std::vector<std::int32_t> negatives(at((shares_negatives(loss.kind) ? sequences : out.layout.real_tokens()) * loss.negatives));
    std::ranges::generate(negatives, any_item);
    set_candidates(out, negatives, loss.negatives, shares_negatives(loss.kind));
  }
  return out;
}

}  // namespace capstan::next_item
