#include "recipes/tasks/translation/findings.h"

#include <algorithm>
#include <span>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/data_report.h"
#include "recipes/engine/metrics/translation.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::translation {
namespace {

constexpr std::int64_t kSome = 10, kExtremes = 8, kLookedAt = 3;

struct Scored {
  std::int64_t number = 0;
  double bleu = 0, chrf = 0;
};

Scored scored(const Dataset::Part& part, std::int64_t number, const std::string& translation) {
  engine::Bleu bleu;
  engine::ChrF chrf;
  // Four words are the longest run that BLEU counts: a shorter translation has 0, however good.
  if (engine::bleu_tokens(translation).size() >= 4) bleu.add(translation, part.texts.target[data::at(number)]);
  chrf.add(translation, part.texts.target[data::at(number)]);
  return {number, bleu.value(), chrf.value()};
}

engine::FindingTable table_of(const Dataset::Part& part, const std::map<std::int64_t, std::string>& translated,
                              std::span<const Scored> shown) {
  engine::FindingTable table{.columns = {"source", "reference", "translation", "BLEU", "chrF"}, .rows = {}};
  for (const Scored& s : shown)
    table.rows.push_back({engine::cell(part.texts.source[data::at(s.number)]), engine::cell(part.texts.target[data::at(s.number)]),
                          engine::cell(translated.at(s.number)), engine::decimals(s.bleu, 1), engine::decimals(s.chrf, 1)});
  return table;
}

}  // namespace

std::vector<engine::Finding> findings_of(const Dataset::Part& part, const std::map<std::int64_t, std::string>& translated,
                                         const AttentionOf& attention) {
  if (translated.empty()) return {};
  std::vector<Scored> all;
  for (const auto& [number, text] : translated) all.push_back(scored(part, number, text));
  std::vector<Scored> some;
  for (const std::int64_t i : engine::spread_places(std::ssize(all), kSome)) some.push_back(all[data::at(i)]);
  std::vector<engine::Finding> out;
  out.push_back(
      {.title = "Translations",
       .text = "Texts at equal distances in the split, each with the BLEU (from four words on) and the chrF of its own translation.",
       .shown = table_of(part, translated, some)});
  if (std::ssize(all) == std::ssize(part.pairs) && std::ssize(all) > kSome) {
    std::ranges::stable_sort(all, {}, &Scored::chrf);
    const auto count = static_cast<std::size_t>(std::min(kExtremes, std::ssize(all)));
    const auto extreme = [&](const char* title, const char* which) {
      out.push_back({.title = title,
                     .text = join_text("The ", count, " translations with the ", which, " chrF among all ", data::grouped(std::ssize(all)),
                                       " of the split."),
                     .shown = table_of(part, translated, std::span(all).first(count))});
    };
    extreme("Worst translations", "lowest");
    std::ranges::stable_sort(all, std::ranges::greater{}, &Scored::chrf);
    extreme("Best translations", "highest");
  }
  if (!attention) return out;
  for (std::size_t i = 0; i < std::min(some.size(), static_cast<std::size_t>(kLookedAt)); ++i)
    out.push_back({.title = join_text("Attention, text ", data::grouped(some[i].number + 1)),
                   .text = "How much of each piece of the source (columns) the model takes while it writes each piece of its translation "
                           "(rows); a row is 1 together.",
                   .shown = attention(some[i].number)});
  return out;
}

}  // namespace capstan::translation
