#include "recipes/engine/report/classification_findings.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/data_report.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::engine {
namespace {

constexpr std::int64_t kShownClasses = 20, kPairsFrom = 10, kShownPairs = 20, kListedClasses = 60;

/// Cases of a class that are taken for another one, and the other way round.
std::int64_t mistakes_of(const ConfusionMatrix& m, std::int64_t c) {
  std::int64_t sum = 0;
  for (std::int64_t other = 0; other < m.classes(); ++other)
    if (other != c) sum += m.count(c, other) + m.count(other, c);
  return sum;
}

std::vector<std::int64_t> all_classes(const ConfusionMatrix& m) {
  std::vector<std::int64_t> all(data::at(m.classes()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// The first `most` by `rank`, highest first, then again in the order of the classes.
template <class Rank>
std::vector<std::int64_t> foremost(std::vector<std::int64_t> classes, std::int64_t most, const Rank& rank) {
  if (std::ssize(classes) <= most) return classes;
  std::ranges::stable_sort(classes, std::ranges::greater{}, rank);
  classes.resize(data::at(most));
  std::ranges::sort(classes);
  return classes;
}

Finding matrix_finding(const ConfusionMatrix& m, std::string_view what) {
  const std::vector<std::int64_t> shown = foremost(all_classes(m), kShownClasses, [&](std::int64_t c) { return mistakes_of(m, c); });
  FindingMatrix matrix{.row_title = "true class", .column_title = "said", .rows = {}, .columns = {}, .counts = {}};
  for (const std::int64_t truth : shown) {
    matrix.rows.push_back(m.names()[data::at(truth)]);
    for (const std::int64_t said : shown) matrix.counts.push_back(static_cast<double>(m.count(truth, said)));
  }
  matrix.columns = matrix.rows;
  std::string text = join_text("Each row is a true class: how many of its ", what, "s the model took for which class.");
  if (std::ssize(shown) < m.classes())
    text += join_text(" Of ", data::grouped(m.classes()), " classes the ", shown.size(),
                      " that are in the most mistakes; what was taken for another class is not in it.");
  return {.title = "Confusion of classes", .text = std::move(text), .shown = std::move(matrix)};
}

Finding pairs_finding(const ConfusionMatrix& m, std::string_view what) {
  struct Pair {
    std::int64_t truth, said, count;
  };
  std::vector<Pair> pairs;
  for (std::int64_t truth = 0; truth < m.classes(); ++truth)
    for (std::int64_t said = 0; said < m.classes(); ++said)
      if (truth != said && m.count(truth, said) > 0) pairs.push_back({truth, said, m.count(truth, said)});
  std::ranges::stable_sort(pairs, std::ranges::greater{}, &Pair::count);
  const auto all = std::ssize(pairs);
  if (all > kShownPairs) pairs.resize(data::at(kShownPairs));
  FindingTable table{.columns = {"true class", "said", join_text(what, "s"), "share of the true class"}, .rows = {}};
  for (const Pair& p : pairs) {
    std::int64_t of_class = 0;
    for (std::int64_t said = 0; said < m.classes(); ++said) of_class += m.count(p.truth, said);
    table.rows.push_back({m.names()[data::at(p.truth)], m.names()[data::at(p.said)], join_text(p.count),
                          percent(static_cast<double>(p.count) / static_cast<double>(of_class))});
  }
  return {.title = "Classes most often confused",
          .text = join_text("The ", pairs.size(), " most frequent mistakes of ", data::grouped(all), " kinds that were made."),
          .shown = std::move(table)};
}

Finding per_class_finding(const ConfusionMatrix& m, std::string_view what) {
  const std::vector<std::int64_t> shown = foremost(all_classes(m), kListedClasses, [&](std::int64_t c) { return -m.f1(c); });
  FindingTable table{.columns = {"class", join_text(what, "s"), "recall", "precision", "F1"}, .rows = {}};
  for (const std::int64_t c : shown) {
    std::int64_t cases = 0;
    for (std::int64_t said = 0; said < m.classes(); ++said) cases += m.count(c, said);
    table.rows.push_back(
        {m.names()[data::at(c)], join_text(cases), decimals(m.recall(c), 3), decimals(m.precision(c), 3), decimals(m.f1(c), 3)});
  }
  std::string text =
      "Recall is the share of a class that is recognised, precision the share of what is taken for it that is of it, F1 their harmonic "
      "mean.";
  if (std::ssize(shown) < m.classes())
    text += join_text(" Of ", data::grouped(m.classes()), " classes the ", shown.size(), " of the lowest F1.");
  return {.title = "Class by class", .text = std::move(text), .shown = std::move(table)};
}

}  // namespace

std::vector<Finding> confusion_findings(const ConfusionMatrix& confusion, std::string_view what) {
  if (confusion.total() == 0) return {};
  std::vector<Finding> out{matrix_finding(confusion, what)};
  bool mistakes = false;
  for (std::int64_t c = 0; c < confusion.classes(); ++c) mistakes = mistakes || mistakes_of(confusion, c) > 0;
  if (mistakes && confusion.classes() > kPairsFrom) out.push_back(pairs_finding(confusion, what));
  out.push_back(per_class_finding(confusion, what));
  return out;
}

SaidClass said_class(std::span<const float> logits) {
  const std::int64_t best = top_k(logits, 1).at(0);
  return {best, std::exp(-cross_entropy_of(logits, best))};
}

void Reliability::add(double probability, bool right) {
  const auto step = std::clamp<std::int64_t>(static_cast<std::int64_t>(probability * kSteps), 0, kSteps - 1);
  sums_.add(step, 0);
  sums_.add(step, 1, probability);
  if (right) sums_.add(step, 2);
}

double Reliability::expected_error() const {
  double sum = 0;
  for (std::int64_t s = 0; s < kSteps; ++s) sum += std::abs(sums_.at(s, 2) - sums_.at(s, 1));
  return sum / sums_.total(0);
}

std::vector<Finding> Reliability::findings(std::string_view what) const {
  if (sums_.total(0) == 0) return {};
  FindingCurves curves{.x_title = "probability of the answer", .y_title = "share that is right", .curves = {}};
  curves.curves.push_back({.name = "as sure as right", .points = {{0, 0}, {1, 1}}});
  curves.curves.push_back({.name = "model", .points = {}});
  for (std::int64_t s = 0; s < kSteps; ++s)
    if (sums_.at(s, 0) > 0) curves.curves.back().points.emplace_back(sums_.mean(s, 1), sums_.mean(s, 2));
  return {{.title = "Sure and right",
           .text = join_text("The ", what,
                             "s by the probability that the model gave its answer, in ten steps, and the share of each step that "
                             "is right; below the straight line it is too sure of itself. On average they are ",
                             decimals(expected_error(), 3), " apart (expected calibration error)."),
           .shown = std::move(curves)}};
}

}  // namespace capstan::engine
