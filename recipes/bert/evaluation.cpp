#include "recipes/bert/evaluation.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"

namespace capstan::bert {
namespace {

constexpr std::int64_t kRows = 256;  // of logits at a time

/// Adds the losses of all rows, and how many have their largest logit (the first of equals) at the label.
void add_rows(const Tensor& logits, const Tensor& labels, engine::Mean& loss, engine::Mean& accuracy) {
  const Tensor best = argmax(logits, 1);
  const auto of = best.span<const std::int64_t>(), wanted = labels.span<const std::int64_t>();
  for (std::size_t r = 0; r < wanted.size(); ++r) accuracy.add(of[r] == wanted[r] ? 1 : 0);
  const auto count = static_cast<double>(wanted.size());
  loss.add(cross_entropy(logits, labels, {.reduction = Reduction::sum()}).value.item() / count, count);
}

}  // namespace

engine::Metrics evaluate_model(const Model& model, std::span<const data::Instance> instances, std::int64_t length, std::int32_t pad_id,
                               std::int64_t batch_size) {
  require<DataError>(!instances.empty(), "bert: there is nothing to evaluate");
  engine::Mean masked_loss, masked_accuracy, next_loss, next_accuracy;
  const nn::Run run;
  for (std::size_t first = 0; first < instances.size(); first += static_cast<std::size_t>(batch_size)) {
    const auto some = instances.subspan(first, std::min(static_cast<std::size_t>(batch_size), instances.size() - first));
    const Batch batch = make_batch(some, length, model.options().packed, pad_id);
    const Tensor x = model.encode(batch, run);
    add_rows(model.next_sentence_logits(model.pooled(x, batch)), batch.next, next_loss, next_accuracy);
    const Tensor h = model.transformed(x, batch.masked);
    for (std::int64_t row = 0; row < batch.predictions(); row += kRows) {
      const std::int64_t rows = std::min(kRows, batch.predictions() - row);
      add_rows(model.masked_lm_logits(slice(h, 0, row, rows)), slice(batch.labels, 0, row, rows).contiguous(), masked_loss,
               masked_accuracy);
    }
  }
  return {{"masked_lm_loss", masked_loss.value()},
          {"masked_lm_accuracy", masked_accuracy.value()},
          {"perplexity", std::exp(masked_loss.value())},
          {"next_sentence_loss", next_loss.value()},
          {"next_sentence_accuracy", next_accuracy.value()}};
}

engine::Metrics frequency_baselines(std::span<const std::int64_t> counts, std::span<const data::Instance> instances) {
  double total = static_cast<double>(counts.size());
  for (const std::int64_t c : counts) total += static_cast<double>(c);
  const std::int64_t frequent = std::ranges::max_element(counts) - counts.begin();
  engine::Mean accuracy, loss, random;
  for (const data::Instance& x : instances) {
    random.add(x.random_next ? 1 : 0);
    for (const std::int32_t label : x.labels) {
      accuracy.add(label == frequent ? 1 : 0);
      loss.add(-std::log((static_cast<double>(counts[static_cast<std::size_t>(label)]) + 1) / total));
    }
  }
  return {{"baseline/masked_lm_accuracy", accuracy.value()},
          {"baseline/perplexity", std::exp(loss.value())},
          {"baseline/next_sentence_accuracy", std::max(random.value(), 1 - random.value())}};
}

}  // namespace capstan::bert
