#include "nn/models/lstm_classifier.h"

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"

namespace capstan::nn {

LstmClassifier::LstmClassifier(const Scope& scope, std::int64_t vocab_size, const LstmClassifierOptions& o, const Head& head)
    : options_(o),
      head_(head),
      word_dropout_place_((scope / "embedding" / "words").key()),
      words_((scope / "embedding").at_depth(0),
             {.rows = vocab_size, .width = o.embedding, .init = uniform(-o.embedding_range, o.embedding_range)}),
      embedding_dropout_(scope / "embedding", o.embedding_dropout),
      lstm_(
          scope / "lstm",
          {.cell = {.input = o.embedding, .hidden = o.hidden_size}, .layers = o.layers, .bidirectional = true, .dropout = o.lstm_dropout}),
      lstm_dropout_(scope / "lstm", o.lstm_dropout),
      attention_(scope / "attention", {.width = o.state_width(), .inner = o.attention_size, .kind = o.attention}),
      output_dropout_(scope / "classifier" / "dropout", o.output_dropout),
      classifier_(scope / "classifier", {.in = o.state_width(), .out = head.classes}) {}

Tensor LstmClassifier::with_words_dropped(const Tensor& ids, const Run& run) const {
  if (!run.training || options_.word_dropout == 0) return ids;
  Tensor out = ids.clone();
  const auto words = out.span<std::int64_t>();
  const std::uint64_t key = run.dropout_key(word_dropout_place_);
  const auto bound = static_cast<std::uint32_t>(options_.word_dropout * 0x1p32);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t number = run.token_ids.defined() ? static_cast<std::uint64_t>(run.token_ids.span<const std::int64_t>()[i]) : i;
    if (philox(key, number)[0] < bound) words[i] = head_.unknown;
  }
  return out;
}

LstmClassifier::Result LstmClassifier::operator()(const Tensor& ids, const TokenLayout& layout, const Run& run) const {
  require(!layout.packed, "lstm_classifier: a recurrent network needs a padded batch: ids ", ids);
  const std::int64_t b = layout.sequences, t = layout.length, h = options_.hidden_size;
  Tensor x = words_(with_words_dropped(reshape(ids, {b * t}), run));  // [B T, embedding]
  if (head_.precision == DType::bf16) x = cast(x, DType::bf16);
  x = reshape(embedding_dropout_(x, run), {b, t, options_.embedding});
  auto [states, last] = lstm_(x, layout.lengths(), run);  // [B, T, 2 H]
  const bool sum = options_.merge == DirectionMerge::sum;
  if (sum) states = add(slice(states, 2, 0, h), slice(states, 2, h, h));  // [B, T, H]
  states = lstm_dropout_(states, run);
  Tensor query;
  if (options_.attention == PoolingKind::dot) {
    const Tensor& forward = last[last.size() - 2].h;
    const Tensor& backward = last.back().h;
    query = sum ? add(forward, backward) : concat({forward, backward}, -1);  // [B, W]
  }
  const auto [pooled, weights] = attention_(states, layout.padding, query);
  Run rows = run;
  if (run.token_ids.defined()) rows.token_ids = index_select(run.token_ids, 0, layout.first);
  const Tensor whole = pooled.dtype() == DType::bf16 ? cast(pooled, DType::f32) : pooled;
  return {classifier_(output_dropout_(whole, rows)), weights};
}

}  // namespace capstan::nn
