#include "recipes/tasks/span_extraction/batch.h"

#include <algorithm>

#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::span_extraction {

Batch make_batch(std::span<const Window> windows, std::int64_t length, std::int32_t pad_id, std::int64_t first) {
  std::vector<text::TokenSequence> sequences;
  for (const Window& w : windows) sequences.push_back({.ids = w.ids, .first_segment = static_cast<std::int32_t>(w.first)});
  Batch out{text::token_batch(sequences, length, /*packed=*/false, pad_id, {.first = first}),
            Tensor(Shape{2 * std::ssize(windows)}, DType::i64),
            {}};
  const auto answers = out.answers.span<std::int64_t>();
  for (std::size_t b = 0; b < windows.size(); ++b) {
    answers[b] = windows[b].start;
    answers[windows.size() + b] = windows[b].end;
  }
  return out;
}

Batch random_batch(std::int64_t windows, std::int64_t length, std::int64_t vocab_size, std::uint64_t key) {
  Rng rng(key);
  std::vector<Window> all(static_cast<std::size_t>(windows));
  for (Window& w : all) {
    w.ids.resize(static_cast<std::size_t>(length));
    std::ranges::generate(w.ids, [&] { return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab_size))); });
    w.first = std::min<std::int64_t>(16, length / 2);
    w.start = w.end = w.first;
  }
  return make_batch(all, length, 0);
}

Tensor position_logits(const Network& network, const text::TokenBatch& batch, const nn::Run& run) {
  const std::int64_t sequences = batch.layout.sequences, length = batch.layout.length;
  const Tensor of_tokens = reshape(network.logits(batch.ids, batch.segments, batch.layout, run), {sequences, length, 2});
  return reshape(contiguous(permute(of_tokens, {2, 0, 1})), {2 * sequences, length});
}

Tensor loss_sum(const Network& network, const Batch& batch, nn::Run run) {
  run.token_ids = batch.layout.keys;
  const Tensor both = cross_entropy(position_logits(network, batch, run), batch.answers, {.reduction = Reduction::sum()}).value;
  return affine(both, 0.5);
}

std::vector<WindowLogits> window_logits(const Network& network, const text::TokenBatch& batch, const nn::Run& run) {
  const Tensor logits = position_logits(network, batch, run);
  const auto values = logits.span<const float>();
  const auto sequences = static_cast<std::size_t>(batch.layout.sequences), length = static_cast<std::size_t>(batch.layout.length);
  const auto row = [&](std::size_t i) {
    const auto part = values.subspan(i * length, length);
    return std::vector<float>(part.begin(), part.end());
  };
  std::vector<WindowLogits> out;
  for (std::size_t b = 0; b < sequences; ++b) out.push_back({.start = row(b), .end = row(sequences + b)});
  return out;
}

}  // namespace capstan::span_extraction
