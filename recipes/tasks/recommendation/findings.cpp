#include "recipes/tasks/recommendation/findings.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/data_report.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::recommendation {
namespace {

constexpr std::int64_t kTenths = 10, kShownLists = 8;
constexpr std::size_t kShownHistory = 5;

double share(double part, double all) { return all > 0 ? part / all : 0; }

}  // namespace

ShownRecommendations::ShownRecommendations(ShownSource from)
    : from_(std::move(from)), place_(from_.popularity.size()), by_popularity_(kTenths, 2), by_history_(lengths_.count, 2) {
  std::vector<std::int64_t> order(from_.popularity.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::int64_t item) { return from_.popularity[data::at(item)]; });
  for (std::size_t i = 0; i < order.size(); ++i) place_[data::at(order[i])] = static_cast<std::int64_t>(i);
  popularity_known_ = std::ranges::any_of(from_.popularity, [](std::int64_t p) { return p > 0; });
}

void ShownRecommendations::add(std::int64_t next, std::int64_t history, double rank) {
  const std::int64_t tenth = place_[data::at(next)] * kTenths / std::ssize(place_), length = lengths_.of(history);
  by_popularity_.add(tenth, 0);
  by_history_.add(length, 0);
  if (rank > static_cast<double>(kShownTop)) return;
  by_popularity_.add(tenth, 1);
  by_history_.add(length, 1);
}

/// The cell of a list: after commas and at most so long, or a line each.
std::string ShownRecommendations::listed(const std::vector<std::string>& names, std::size_t most) const {
  std::string out;
  for (const std::string& name : names)
    out += from_.line_each ? join_text(out.empty() ? "" : "\n", engine::cell(name)) : join_text(out.empty() ? "" : ", ", name);
  return from_.line_each ? out : engine::cell(out, most);
}

engine::Finding ShownRecommendations::some(const std::vector<ShownList>& lists) const {
  engine::FindingTable table{
      .columns = {from_.who, "last items", "came next", "its rank", join_text("first ", kShownTop, " recommendations")}, .rows = {}};
  for (const std::int64_t i : engine::spread_places(std::ssize(lists), kShownLists)) {
    const ShownList& l = lists[data::at(i)];
    std::vector<std::string> history, items;
    for (std::size_t h = l.history.size() - std::min(l.history.size(), kShownHistory); h < l.history.size(); ++h)
      history.push_back(from_.name(l.history[h]));
    if (l.history.size() > kShownHistory) history.front().insert(0, "... ");
    for (const std::int64_t item : l.items) items.push_back(item == l.next ? join_text("*", from_.name(item), "*") : from_.name(item));
    table.rows.push_back(
        {engine::cell(l.who, 80), listed(history, 300), engine::cell(from_.name(l.next)), join_text(l.rank), listed(items, 600)});
  }
  return {.title = "Recommendations",
          .text = join_text("What the model recommends after the last items of some ", from_.who,
                            "s at equal distances in the split; where what came next is among it, it stands between stars. Ranked are ",
                            from_.among, "."),
          .shown = std::move(table)};
}

engine::Finding ShownRecommendations::variety(const std::vector<ShownList>& lists) const {
  const auto items = std::ssize(place_);
  std::int64_t length = kShownTop;
  for (const ShownList& l : lists) length = std::min(length, std::ssize(l.items));
  engine::ListMetrics metrics(length, std::vector<double>(from_.popularity.begin(), from_.popularity.end()));
  double recommended = 0, next = 0;  // places by popularity
  for (const ShownList& l : lists) {
    metrics.add(l.items, std::span(&l.next, 1));
    for (std::int64_t i = 0; i < length; ++i) recommended += static_cast<double>(place_[data::at(l.items[data::at(i)])]);
    next += static_cast<double>(place_[data::at(l.next)]);
  }
  engine::Accumulator* const all = &metrics;
  const engine::Metrics values = engine::reported(std::span(&all, 1));
  const auto value = [&](const char* name) { return engine::value_of(values, join_text(name, "@", length)); };
  const auto count = static_cast<double>(lists.size());
  engine::FindingTable table{.columns = {"measure", "value"}, .rows = {}};
  table.rows.push_back({"lists", data::grouped(std::ssize(lists))});
  table.rows.push_back({join_text("items among the first ", length, " of any list, of ", data::grouped(items)),
                        join_text(engine::decimals(value("coverage") * static_cast<double>(items), 0))});
  table.rows.push_back({"their share (coverage)", engine::percent(value("coverage"))});
  table.rows.push_back({"Gini index", engine::decimals(value("gini"), 3)});
  if (popularity_known_) {
    table.rows.push_back(
        {"mean place by popularity of what is recommended", engine::decimals(1 + recommended / (count * static_cast<double>(length)), 1)});
    table.rows.push_back({"mean place by popularity of what came next", engine::decimals(1 + next / count, 1)});
  }
  return {
      .title = "Variety",
      .text = join_text("How much of the catalogue is recommended, over the lists of ", engine::counted(std::ssize(lists), from_.who),
                        " at equal distances in the split. "
                        "The Gini index is 0 where all items are recommended equally often, and near 1 where few are recommended to all",
                        popularity_known_ ? "; place 1 by popularity is the item with the most training events." : "."),
      .shown = std::move(table)};
}

std::vector<engine::Finding> ShownRecommendations::popularity(const std::vector<ShownList>& lists) const {
  std::vector<double> recommended(data::at(kTenths));
  double all = 0;
  for (const ShownList& l : lists)
    for (const std::int64_t item : l.items) {
      recommended[data::at(place_[data::at(item)] * kTenths / std::ssize(place_))] += 1;
      all += 1;
    }
  engine::FindingTable table{.columns = {"tenth of the items", "cases", "share of what came next", "share of what is recommended",
                                         join_text("found among the first ", kShownTop)},
                             .rows = {}};
  engine::FindingCurves curves{.x_title = "tenth of the items, the most popular first", .y_title = "share", .curves = {}};
  curves.curves = {{.name = "came next", .points = {}}, {.name = "recommended", .points = {}}};
  const double cases = by_popularity_.total(0);
  for (std::int64_t tenth = 0; tenth < kTenths; ++tenth) {
    const double next = share(by_popularity_.at(tenth, 0), cases), listed = share(recommended[data::at(tenth)], all);
    table.rows.push_back({join_text(tenth + 1), engine::decimals(by_popularity_.at(tenth, 0), 0), engine::percent(next),
                          engine::percent(listed), engine::percent(by_popularity_.mean(tenth, 1))});
    curves.curves[0].points.emplace_back(static_cast<double>(tenth + 1), next);
    curves.curves[1].points.emplace_back(static_cast<double>(tenth + 1), listed);
  }
  const std::string text =
      "Items by how often they come in training, in ten parts of as many items, the most popular first: which share of what "
      "came next each part has, and which share of the recommendations";
  return {{.title = "Popularity of what is recommended", .text = text + ".", .shown = std::move(curves)},
          {.title = "Popular and rare items",
           .text = text + join_text("; and how often what came next is among the first ", kShownTop, " recommendations."),
           .shown = std::move(table)}};
}

engine::Finding ShownRecommendations::lengths() const {
  engine::FindingTable table{.columns = {"items before", "cases", join_text("found among the first ", kShownTop)}, .rows = {}};
  for (std::int64_t g = 0; g < lengths_.count; ++g)
    if (by_history_.at(g, 0) > 0)
      table.rows.push_back({lengths_.name(g), engine::decimals(by_history_.at(g, 0), 0), engine::percent(by_history_.mean(g, 1))});
  return {
      .title = "Short and long histories",
      .text = join_text("How often what came next is among the first ", kShownTop, " recommendations, by the number of items before it."),
      .shown = std::move(table)};
}

std::vector<engine::Finding> ShownRecommendations::findings() const {
  const std::vector<ShownList> lists = from_.lists();
  if (lists.empty() || by_history_.total(0) == 0) return {};
  std::vector<engine::Finding> out{some(lists), variety(lists)};
  if (popularity_known_)
    for (engine::Finding& f : popularity(lists)) out.push_back(std::move(f));
  out.push_back(lengths());
  return out;
}

}  // namespace capstan::recommendation
