#include "recipes/tasks/masked_lm/evaluation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/ops/loss.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "recipes/tasks/masked_lm/losses.h"

namespace capstan::masked_lm {
namespace {

constexpr std::int64_t kRows = 256;  // of logits at a time

/// Adds the losses of all rows, and how many have their largest logit (the first of equals) at the label.
void add_rows(const Tensor& logits, const Tensor& labels, engine::CrossEntropy& loss, engine::Mean& accuracy, ShownMasks* shown = nullptr) {
  const Tensor best = argmax(logits, 1);
  const auto of = best.span<const std::int64_t>(), wanted = labels.span<const std::int64_t>();
  for (std::size_t r = 0; r < wanted.size(); ++r) {
    accuracy.add(of[r] == wanted[r] ? 1 : 0);
    if (shown != nullptr) shown->add(wanted[r], of[r] == wanted[r]);
  }
  const auto count = static_cast<double>(wanted.size());
  loss.add(cross_entropy(logits, labels, {.reduction = Reduction::sum()}).value.item() / count, count);
}

}  // namespace

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run) {
  const Tensor x = network.encode(batch.ids, batch.segments, batch.layout, run);
  if (to.next_sentence) add_rows(network.next_sentence_logits(x, batch.layout), batch.next, to.next_loss, to.next_accuracy);
  const Tensor h = network.transformed(x, batch.masked);
  for (std::int64_t row = 0; row < batch.predictions(); row += kRows) {
    const std::int64_t rows = std::min(kRows, batch.predictions() - row);
    add_rows(vocabulary_logits(network, slice(h, 0, row, rows)), slice(batch.labels, 0, row, rows).contiguous(), to.masked_loss,
             to.masked_accuracy, to.shown ? &*to.shown : nullptr);
  }
}

FrequencyBaselines::FrequencyBaselines(std::vector<std::int64_t> token_counts)
    : counts_(std::move(token_counts)),
      most_frequent_(std::ranges::max_element(counts_) - counts_.begin()),
      total_(static_cast<double>(counts_.size())) {
  for (const std::int64_t c : counts_) total_ += static_cast<double>(c);
}

void FrequencyBaselines::add(const data::Instance& instance) {
  random_.add(instance.random_next ? 1 : 0);
  for (const std::int32_t label : instance.labels) {
    accuracy_.add(label == most_frequent_ ? 1 : 0);
    loss_.add(-std::log((static_cast<double>(counts_[static_cast<std::size_t>(label)]) + 1) / total_));
  }
}

engine::Metrics FrequencyBaselines::metrics(bool next_sentence) const {
  engine::Metrics out{{"baseline/masked_lm_accuracy", accuracy_.value()}, {"baseline/perplexity", std::exp(loss_.value())}};
  if (next_sentence) out.push_back({"baseline/next_sentence_accuracy", std::max(random_.value(), 1 - random_.value())});
  return out;
}

}  // namespace capstan::masked_lm
