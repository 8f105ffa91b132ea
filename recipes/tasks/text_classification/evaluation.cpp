#include "recipes/tasks/text_classification/evaluation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"
#include "data/packing.h"

namespace capstan::text_classification {
namespace {

engine::ConfusionMatrix::Options metrics_of(std::size_t classes, std::string prefix = {}) {
  return {.f1 = classes == 2, .macro_f1 = true, .matthews = true, .prefix = std::move(prefix)};
}

void append_number(std::string& out, float value) {
  std::array<char, 32> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

}  // namespace

Evaluation::Evaluation(const Dataset& data, engine::Split split, bool keeps, ShownTexts::Look look) : shown(data, split, std::move(look)) {
  const std::vector<std::string>& names = data.labels().names();
  if (!data.regression()) width = static_cast<std::int64_t>(names.size());
  if (keeps) outputs.resize(static_cast<std::size_t>(data.size(split) * width));
  if (!data.labelled(split)) return;
  if (data.regression()) {
    numbers.emplace(data.size(split));
  } else {
    classes.emplace(names, metrics_of(names.size()));
  }
}

void Evaluation::add(const Batch& batch, const Tensor& logits) {
  texts.add(static_cast<double>(batch.size()));
  const Tensor rows = logits.contiguous();  // [B, outputs]
  const auto values = rows.span<const float>();
  if (classes) classes->add(rows, batch.labels);
  if (numbers)
    for (std::size_t b = 0; b < batch.places.size(); ++b)
      numbers->add(batch.places[b], static_cast<double>(batch.numbers.span<const float>()[b]), static_cast<double>(values[b]));
  if (classes || numbers) show(batch, values);
  if (!outputs.empty()) keep(batch.places, values);
}

void Evaluation::show(const Batch& batch, std::span<const float> values) {
  const auto count = static_cast<std::size_t>(width);
  for (std::size_t b = 0; b < batch.places.size(); ++b) {
    const auto row = values.subspan(b * count, count);
    if (numbers) {
      shown.add(batch.places[b], static_cast<double>(batch.numbers.span<const float>()[b]), static_cast<double>(row[0]));
    } else {
      const auto [said, probability] = engine::said_class(row);
      shown.add(batch.places[b], batch.labels.span<const std::int64_t>()[b], said, probability);
    }
  }
}

void Evaluation::keep(std::span<const std::int64_t> places, std::span<const float> rows) {
  const auto count = static_cast<std::size_t>(width);
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::ranges::copy(rows.subspan(i * count, count), outputs.begin() + places[i] * width);
    kept.push_back(places[i]);
  }
}

std::vector<std::byte> Evaluation::rest() const {
  std::vector<float> rows;
  for (const std::int64_t place : kept) rows.insert(rows.end(), outputs.begin() + place * width, outputs.begin() + (place + 1) * width);
  data::Packer out;
  shown.pack(out);
  out.put_list(std::span(kept));
  out.put_list(std::span<const float>(rows));
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  data::Unpacker in(rest);
  shown.add_packed(in);
  const auto places = in.list<std::int64_t>();
  keep(places, in.list<float>());
}

std::vector<engine::Accumulator*> Evaluation::accumulators() {
  if (numbers) return {&*numbers};
  if (classes) {
    std::vector<engine::Accumulator*> all = classes->accumulators();
    all.push_back(&shown.sums());
    return all;
  }
  return {&texts};
}

engine::Metrics baselines(const Dataset& data, engine::Split split) {
  if (!data.labelled(split)) return {};
  const LabelCounts& known = data.training_counts();
  if (data.regression()) {
    engine::Mean loss("mean/loss", engine::Goal::minimize);
    for (std::int64_t i = 0; i < data.size(split); ++i) loss.add(std::pow(data.number(split, i) - known.mean, 2));
    return {{"mean/loss", loss.value()}};
  }
  if (known.counts.empty()) return {};
  const std::vector<std::string>& names = data.labels().names();
  const std::int64_t most = std::ranges::max_element(known.counts) - known.counts.begin();
  engine::ConfusionMatrix confusion(names, metrics_of(names.size(), "most_frequent/"));
  for (std::int64_t i = 0; i < data.size(split); ++i) confusion.add(data.label(split, i), most);
  engine::Accumulator* const one = &confusion;
  return engine::reported(std::span(&one, 1));
}

std::vector<float> probabilities(std::span<const float> logits) {
  const float top = *std::ranges::max_element(logits);
  std::vector<float> out;
  double sum = 0;
  for (const float v : logits) {
    out.push_back(std::exp(v - top));
    sum += static_cast<double>(out.back());
  }
  for (float& v : out) v = static_cast<float>(static_cast<double>(v) / sum);
  return out;
}

std::string probabilities_text(const Evaluation& evaluation, bool regression) {
  const auto width = static_cast<std::size_t>(evaluation.width);
  std::string out;
  for (auto rest = std::span(evaluation.outputs); !rest.empty(); rest = rest.subspan(width)) {
    const auto row = rest.first(width);
    const std::vector<float> values = regression ? std::vector<float>(row.begin(), row.end()) : probabilities(row);
    for (std::size_t c = 0; c < width; ++c) {
      if (c > 0) out += '\t';
      append_number(out, values[c]);
    }
    out += '\n';
  }
  return out;
}

std::string results_text(Evaluation& evaluation, std::int64_t step) {
  const auto accumulators = evaluation.accumulators();
  std::vector<std::string> lines{join_text("global_step = ", step)};
  for (const engine::Metric& m : engine::reported(accumulators)) {
    lines.push_back(join_text("eval_", m.name, " = ", m.value));
    if (m.name == "loss") lines.push_back(join_text("loss = ", m.value));
  }
  std::ranges::sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

}  // namespace capstan::text_classification
