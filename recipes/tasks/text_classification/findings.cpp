#include "recipes/tasks/text_classification/findings.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/core/error.h"
#include "data/at.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/tasks/text/readable.h"

namespace capstan::text_classification {
namespace {

constexpr std::int64_t kLookedAt = 8;
constexpr std::size_t kLookedAtWords = 5;

}  // namespace

void ShownTexts::add(std::int64_t place, std::int64_t truth, std::int64_t said, double probability) {
  reliability_.add(probability, said == truth);
  if (said != truth && mistakes_.wants(probability, place))
    mistakes_.add({.score = probability, .index = place, .numbers = {static_cast<double>(said)}});
}

void ShownTexts::add(std::int64_t place, double truth, double said) {
  const double off = std::abs(said - truth);
  if (mistakes_.wants(off, place)) mistakes_.add({.score = off, .index = place, .numbers = {said}});
}

std::string ShownTexts::text(std::int64_t place) const {
  return engine::cell(text::readable(data_->tokens(part_, place).ids, data_->vocabulary()));
}

std::string ShownTexts::truth(std::int64_t place) const {
  if (!data_->labelled(part_)) return "";
  if (data_->regression()) return engine::decimals(data_->number(part_, place), 3);
  return data_->labels().names()[data::at(data_->label(part_, place))];
}

engine::Finding ShownTexts::worst() const {
  const bool regression = data_->regression();
  engine::FindingTable table{.columns = {"text", regression ? "true value" : "true class", "said", regression ? "off by" : "probability"},
                             .rows = {}};
  for (const engine::KeptCase& c : mistakes_.in_order())
    table.rows.push_back(
        {text(c.index), truth(c.index),
         regression ? engine::decimals(c.numbers.at(0), 3) : data_->labels().names()[static_cast<std::size_t>(c.numbers.at(0))],
         engine::decimals(c.score, 3)});
  std::string how = regression ? join_text("The ", table.rows.size(), " texts whose numbers are farthest off.")
                               : join_text("The ", table.rows.size(), " wrong answers that the model was surest of.");
  return {.title = "Worst mistakes", .text = std::move(how) + " Texts are shown as the model reads them.", .shown = std::move(table)};
}

engine::Finding ShownTexts::looked_at() const {
  engine::FindingTable table{.columns = {"text", "true", "said", "words it looks at most, with their share"}, .rows = {}};
  for (const std::int64_t place : engine::spread_places(data_->size(part_), kLookedAt)) {
    const Looked looked = look_(place);
    const auto ids = data_->tokens(part_, place).ids;
    std::vector<std::size_t> order(std::min(ids.size(), looked.weights.size()));
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t i) { return looked.weights[i]; });
    std::string words;
    for (std::size_t i = 0; i < std::min(order.size(), kLookedAtWords); ++i)
      words += join_text(i > 0 ? ", " : "", data_->vocabulary().token(ids[order[i]]), " ", engine::decimals(looked.weights[order[i]], 2));
    table.rows.push_back({text(place), truth(place), looked.said, std::move(words)});
  }
  std::string how = join_text("The words that weigh most in the answer, the weights of all words of a text being 1 together. ",
                              table.rows.size(), " texts at equal distances in the split.");
  return {.title = "Attention", .text = std::move(how), .shown = std::move(table)};
}

std::vector<engine::Finding> ShownTexts::findings(const engine::ConfusionMatrix* confusion) const {
  std::vector<engine::Finding> out;
  if (confusion != nullptr) out = engine::confusion_findings(*confusion, "text");
  if (!mistakes_.in_order().empty()) out.push_back(worst());
  for (engine::Finding& f : reliability_.findings("text")) out.push_back(std::move(f));
  if (look_) out.push_back(looked_at());
  return out;
}

}  // namespace capstan::text_classification
