#include "nn/models/bert_heads.h"

#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

/// For heads of a few numbers, whose matrix product costs nothing in f32.
Tensor not_rounded(const Tensor& x) { return x.dtype() == DType::bf16 ? cast(x, DType::f32) : x; }

}  // namespace

// ---- pretraining

BertPretraining::BertPretraining(const Scope& scope, std::int64_t vocab_size, const BertOptions& o, DType precision)
    : encoder_(scope, vocab_size, o, {.precision = precision}),
      output_bias_((scope / "cls" / "predictions").parameter("output_bias", {vocab_size}, zeros(), {.decay = false})),
      transform_(bert_linear(scope / "cls" / "predictions" / "transform" / "dense", o.hidden_size, o)),
      transform_norm_(scope / "cls" / "predictions" / "transform" / "LayerNorm", {.width = o.hidden_size, .epsilon = o.norm_epsilon}),
      seq_relationship_(bert_linear(scope / "cls" / "seq_relationship", 2, o)) {}

Tensor BertPretraining::next_sentence_logits(const Tensor& encoded, const TokenLayout& layout) const {
  return seq_relationship_(encoder_.pooled(encoded, layout));
}

Tensor BertPretraining::transformed(const Tensor& encoded, const Tensor& tokens) const {
  const Tensor x = index_select(encoded, 0, tokens);  // [N, H]
  return transform_norm_(bias_activation(transform_.without_bias(x), weight_for(transform_.bias(), x), encoder_.options().activation));
}

// ---- classification

BertClassifier::BertClassifier(const Scope& scope, std::int64_t vocab_size, const BertOptions& o, const Head& head)
    : encoder_(scope, vocab_size, o, {.precision = head.precision}),
      dropout_(scope / "classifier" / "dropout", head.dropout),
      classifier_(bert_linear(scope / "classifier", head.classes, o)) {}

Tensor BertClassifier::logits(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const {
  const Tensor pooled = encoder_.pooled(encoder_.encode(ids, segments, layout, run), layout);  // [B, H]
  Run rows = run;
  if (run.token_ids.defined()) rows.token_ids = index_select(run.token_ids, 0, layout.first);
  return classifier_(dropout_(not_rounded(pooled), rows));
}

// ---- spans

BertSpans::BertSpans(const Scope& scope, std::int64_t vocab_size, const BertOptions& o, DType precision)
    : encoder_(scope, vocab_size, o, {.pooler = false, .precision = precision}), outputs_(bert_linear(scope / "qa_outputs", 2, o)) {}

Tensor BertSpans::logits(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const {
  return outputs_(not_rounded(encoder_.encode(ids, segments, layout, run)));
}

}  // namespace capstan::nn
