#include "recipes/tasks/language_modelling/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string_view>
#include <unordered_map>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::language_modelling {
namespace {

/// For the log: the lines of a text below each other.
std::string indented(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out.push_back(c);
    if (c == '\n') out += "    ";
  }
  return out;
}

}  // namespace

std::vector<engine::MetricInfo> TextLoss::metrics() const {
  return {{"bits_per_byte", engine::Goal::minimize}, {"word_perplexity", engine::Goal::minimize}};
}

std::vector<double> TextLoss::values() const {
  const double nats = sums_[1] > 0 ? sums_[0] : std::numeric_limits<double>::quiet_NaN();
  return {nats / bytes_ / std::numbers::ln2, std::exp(nats / words_)};
}

std::vector<std::string> Evaluation::examples() const {
  std::vector<std::string> out;
  for (const Continuation& c : continuations)
    out.push_back(join_text("  prompt\n    ", indented(c.prompt), "\n  goes on\n    ", indented(c.written)));
  return out;
}

std::vector<engine::Finding> Evaluation::findings() const {
  if (part == nullptr || network == nullptr) return {};
  return findings_of(continuations, loss_by_position(*network, part->tokens, length));
}

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run) {
  constexpr std::int64_t kRows = 1024;               // whose logits are in memory at a time
  const Tensor hidden = network.hidden(batch, run);  // [N, H]
  for (std::int64_t first = 0; first < batch.tokens(); first += kRows) {
    const std::int64_t count = std::min(kRows, batch.tokens() - first);
    const Tensor h = slice(hidden, 0, first, count), targets = slice(batch.labels, 0, first, count);
    Tensor logits = linear(h, nn::weight_for(network.output_weight, h), Tensor());  // [count, V]
    if (logits.dtype() == DType::bf16) logits = cast(logits, DType::f32);
    const double nats = cross_entropy(logits, targets, {.reduction = Reduction::sum()}).value.item();
    const auto tokens = static_cast<double>(count);
    to.loss.add(nats / tokens, tokens);
    to.text.add(nats, tokens);
    const auto width = static_cast<std::size_t>(logits.size(1));
    const auto values = logits.span<const float>();
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t best = engine::top_k(values.subspan(static_cast<std::size_t>(r) * width, width), 1).front();
      to.accuracy.add(best == batch.labels.data<const std::int64_t>()[first + r] ? 1.0 : 0.0);
    }
  }
}

engine::Metrics baselines(const Dataset& dataset, engine::Split split) {
  const Dataset::Part *const part = dataset.part(split), *const train = dataset.part(engine::Split::train);
  if (part == nullptr || train == nullptr) return {};
  const auto size = static_cast<std::size_t>(dataset.vocabulary()->size());
  const auto pair = [](std::int32_t before, std::int32_t token) {
    return static_cast<std::uint64_t>(before) << 32 | static_cast<std::uint32_t>(token);
  };
  std::vector<double> counts(size), followed(size), successors(size);  // of a token; times it has one behind it; of how many kinds
  std::unordered_map<std::uint64_t, double> pairs;
  for (std::size_t i = 0; i < train->tokens.size(); ++i) {
    counts[static_cast<std::size_t>(train->tokens[i])] += 1;
    if (i == 0) continue;
    const auto before = static_cast<std::size_t>(train->tokens[i - 1]);
    followed[before] += 1;
    if ((pairs[pair(train->tokens[i - 1], train->tokens[i])] += 1) == 1) successors[before] += 1;
  }
  const double total = static_cast<double>(train->tokens.size() + size);
  engine::CrossEntropy unigram, bigram;
  for (std::size_t i = 1; i < part->tokens.size(); ++i) {
    const auto before = static_cast<std::size_t>(part->tokens[i - 1]), token = static_cast<std::size_t>(part->tokens[i]);
    const double alone = (counts[token] + 1) / total;
    const auto found = pairs.find(pair(part->tokens[i - 1], part->tokens[i]));
    const double together = found == pairs.end() ? 0 : found->second, kinds = successors[before];
    unigram.add(-std::log(alone));
    bigram.add(-std::log(kinds == 0 ? alone : (together + kinds * alone) / (followed[before] + kinds)));
  }
  return {{"unigram/loss", unigram.value()}, {"bigram/loss", bigram.value()}};
}

}  // namespace capstan::language_modelling
