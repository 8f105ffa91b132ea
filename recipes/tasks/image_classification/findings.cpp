#include "recipes/tasks/image_classification/findings.h"

#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::image_classification {
namespace {

constexpr std::int64_t kLookedAt = 6;

}  // namespace

void ShownImages::add(std::int64_t index, std::int64_t truth, std::int64_t said, double probability) {
  reliability_.add(probability, said == truth);
  if (said != truth && mistakes_.wants(probability, index))
    mistakes_.add({.score = probability, .index = index, .numbers = {static_cast<double>(said)}});
}

engine::Finding ShownImages::worst(const std::vector<std::string>& names) const {
  engine::FindingPictures shown;
  for (const engine::KeptCase& c : mistakes_.in_order()) {
    const Example example = data_->read(part_, c.index);
    shown.pictures.push_back({.caption = join_text(names[data::at(example.label)], ", said ",
                                                   names[static_cast<std::size_t>(c.numbers.at(0))], " ", engine::decimals(c.score, 3)),
                              .image = engine::page_picture(example.view)});
  }
  std::string text = join_text("The ", shown.pictures.size(),
                               " wrong answers that the model was surest of: the true class, what it said and with which probability.");
  return {.title = "Worst mistakes", .text = std::move(text), .shown = std::move(shown)};
}

engine::Finding ShownImages::looked_at(const std::vector<std::string>& names) const {
  engine::FindingPictures shown;
  for (const std::int64_t index : engine::spread_places(data_->size(part_), kLookedAt)) {
    const Example example = data_->read(part_, index);
    if (example.substitute) continue;
    Looked looked = look_(example.view);
    shown.pictures.push_back(
        {.caption = join_text(names[data::at(example.label)], ", said ", looked.said), .image = std::move(looked.page)});
  }
  return {.title = "Attention",
          .text =
              "What the last layer draws from each part of the image if attention is all that moves information (rollout): the image, "
              "where it looks, and the same in colours. Images at equal distances in the split.",
          .shown = std::move(shown)};
}

std::vector<engine::Finding> ShownImages::findings(const engine::ConfusionMatrix& confusion) const {
  std::vector<engine::Finding> out = engine::confusion_findings(confusion, "image");
  if (!mistakes_.in_order().empty()) out.push_back(worst(confusion.names()));
  for (engine::Finding& f : reliability_.findings("image")) out.push_back(std::move(f));
  if (look_) out.push_back(looked_at(confusion.names()));
  return out;
}

}  // namespace capstan::image_classification
