#include "recipes/tasks/translation/evaluation.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "data/packing.h"
#include "nn/weight.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::translation {
namespace {

/// Translates pairs of the part with these numbers.
std::vector<std::string> translate(const Evaluation& e, std::span<const std::int64_t> numbers) {
  std::vector<std::vector<std::int32_t>> sources;
  for (const std::int64_t i : numbers) sources.push_back(e.part->pairs[static_cast<std::size_t>(i)].source);
  std::vector<std::string> out;
  for (const auto& best : (*e.translator)(sources, numbers)) out.push_back(best.front().text);
  return out;
}

}  // namespace

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  for (std::size_t i = 0; i < translations.size(); ++i) {
    if (translations[i].empty()) continue;  // not by this process, or as texts are before they are translated
    out.put(i);
    out.put_text(translations[i]);
  }
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  if (all) translations.resize(part->pairs.size());
  for (data::Unpacker in(rest); !in.done();) {
    const auto i = in.get<std::size_t>();
    translations.at(i) = in.text();
  }
}

void evaluate_batch(const Network& network, const Batch& batch, Evaluation& to, const nn::Run& run) {
  const Tensor h = network.hidden(batch, run);
  Tensor logits = linear(h, nn::weight_for(network.output_weight, h), nn::weight_for(network.output_bias, h));  // [N, V]
  if (logits.dtype() == DType::bf16) logits = cast(logits, DType::f32);
  const auto count = static_cast<double>(batch.target_tokens());
  to.loss.add(cross_entropy(logits, batch.labels, {.reduction = Reduction::sum()}).value.item() / count, count);
  const auto width = static_cast<std::size_t>(logits.size(1));
  const auto labels = batch.labels.span<const std::int64_t>();
  const auto all = logits.span<const float>();
  for (std::size_t r = 0; r < labels.size(); ++r)
    to.accuracy.add(engine::top_k(all.subspan(r * width, width), 1).front() == labels[r] ? 1.0 : 0.0);
  if (!to.all) return;
  const std::vector<std::string> texts = translate(to, batch.pairs);
  to.translations.resize(to.part->pairs.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto at = static_cast<std::size_t>(batch.pairs[i]);
    to.bleu.add(texts[i], to.part->texts.target[at]);
    to.chrf.add(texts[i], to.part->texts.target[at]);
    to.translations[at] = texts[i];
  }
}

void finish(Evaluation& e) {
  if (e.translator == nullptr || e.example_count == 0) return;
  // Spread over the part, so that neighbours, which are often alike, do not stand for all of it.
  std::vector<std::int64_t> numbers;
  const std::int64_t size = std::ssize(e.part->pairs), count = std::min(e.example_count, size);
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(i * size / count);
  const std::vector<std::string> texts = translate(e, numbers);
  for (std::size_t i = 0; i < texts.size(); ++i) e.examples_of.insert_or_assign(numbers[i], texts[i]);
}

std::vector<std::string> Evaluation::examples() const {
  std::vector<std::string> out;
  for (const auto& [number, text] : examples_of) {
    const auto at = static_cast<std::size_t>(number);
    out.push_back(
        join_text("  source       ", part->texts.source[at], "\n  reference    ", part->texts.target[at], "\n  translation  ", text));
  }
  return out;
}

std::vector<engine::Finding> Evaluation::findings() const {
  if (part == nullptr) return {};
  if (!all) return findings_of(*part, examples_of, attention);
  std::map<std::int64_t, std::string> texts;
  for (std::size_t i = 0; i < translations.size(); ++i) texts.emplace(static_cast<std::int64_t>(i), translations[i]);
  return findings_of(*part, texts, attention);
}

engine::Metrics baselines(const Dataset& dataset, engine::Split split) {
  const Dataset::Part* const part = dataset.part(split);
  if (part == nullptr) return {};
  engine::Bleu copied, frequent;
  engine::ChrF copied_chrf, frequent_chrf;
  for (std::size_t i = 0; i < part->texts.target.size(); ++i) {
    const std::string &source = part->texts.source[i], &target = part->texts.target[i];
    copied.add(source, target);
    copied_chrf.add(source, target);
    frequent.add(dataset.most_frequent_target(), target);
    frequent_chrf.add(dataset.most_frequent_target(), target);
  }
  return {{"copy_source/bleu", copied.value()},
          {"copy_source/chrf", copied_chrf.value()},
          {"most_frequent/bleu", frequent.value()},
          {"most_frequent/chrf", frequent_chrf.value()}};
}

}  // namespace capstan::translation
