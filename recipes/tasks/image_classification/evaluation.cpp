#include "recipes/tasks/image_classification/evaluation.h"

#include <algorithm>
#include <span>
#include <utility>

#include "data/packing.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::image_classification {

Evaluation::Evaluation(const Dataset& data, engine::Split part, const std::vector<std::string>& class_names, const Options& options,
                       ShownImages::Look look)
    : confusion(class_names, {.recalls = options.evaluate.per_class}), shown(data, part, std::move(look)), data_(&data) {
  if (class_names.size() > 5) in_top_five.emplace("top5_accuracy");
  if (options.data.broken == data::Broken::skip) skipped.emplace("skipped_images");
}

void Evaluation::add(const Batch& batch, const Tensor& logits) {
  const Tensor rows = logits.contiguous();  // [B, classes]
  const auto classes = static_cast<std::size_t>(confusion.classes());
  for (std::size_t i = 0; i < batch.substitutes.size(); ++i) {
    if (batch.substitutes[i] != 0) {
      if (skipped) skipped->add();
      continue;
    }
    const auto row = rows.span<const float>().subspan(i * classes, classes);
    const std::int64_t truth = batch.labels.span<const std::int64_t>()[i];
    const std::vector<std::int64_t> best = engine::top_k(row, 5);
    confusion.add(truth, best.at(0));
    if (in_top_five) in_top_five->add(std::ranges::count(best, truth) > 0 ? 1 : 0);
    loss.add(engine::cross_entropy_of(row, truth));
    shown.add(batch.samples.span<const std::int64_t>()[i], truth, best[0], engine::said_class(row).probability);
  }
}

std::vector<engine::Accumulator*> Evaluation::accumulators() {
  std::vector<engine::Accumulator*> all{&confusion};
  if (in_top_five) all.push_back(&*in_top_five);
  all.push_back(&loss);
  all.push_back(&shown.sums());
  if (skipped) all.push_back(&*skipped);
  return all;
}

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  shown.pack(out);
  for (const auto& [path, fault] : broken()) {
    out.put_text(path);
    out.put_text(fault);
  }
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  data::Unpacker in(rest);
  shown.add_packed(in);
  while (!in.done()) {
    const std::string path = in.text();
    broken_elsewhere_.insert_or_assign(path, in.text());
  }
}

std::map<std::string, std::string> Evaluation::broken() const {
  std::map<std::string, std::string> all = data_->broken();
  all.insert(broken_elsewhere_.begin(), broken_elsewhere_.end());
  return all;
}

}  // namespace capstan::image_classification
