#include "recipes/tasks/masked_lm/findings.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/data_report.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/tasks/text/readable.h"

namespace capstan::masked_lm {
namespace {

constexpr std::int64_t kInstances = 12;  // whose masks are shown
constexpr std::size_t kMasks = 2;        // of each
constexpr std::ptrdiff_t kAround = 9;    // tokens on either side of a mask
constexpr std::int64_t kGuesses = 3;

/// The mask among its neighbours, with "..." where the text goes on.
std::string around(const data::Instance& instance, std::ptrdiff_t position, const data::Vocabulary& vocabulary) {
  const std::span<const std::int32_t> ids = instance.ids;
  const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, position - kAround), end = std::min(std::ssize(ids), position + kAround + 1);
  const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t to) {
    return text::readable(ids.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)), vocabulary);
  };
  std::string out = begin > 0 ? "... " : "";
  for (const std::string& piece : {part(begin, position), std::string("[?]"), part(position + 1, end)})
    if (!piece.empty()) out += piece + " ";
  if (end < std::ssize(ids)) return out + "...";
  out.pop_back();
  return out;
}

}  // namespace

void ShownMasks::add(std::int64_t token, bool right) {
  by_token_.add(token, 0);
  if (right) by_token_.add(token, 1);
}

engine::Finding ShownMasks::filled() const {
  const std::int32_t mask = from_.vocabulary->id("[MASK]");
  engine::FindingTable table{.columns = {"text", "true token", "first guess", "second", "third", "probability of the true one"},
                             .rows = {}};
  for (const std::int64_t index : engine::spread_places(from_.size, kInstances)) {
    const data::Instance instance = from_.instance(index);
    const Tensor probabilities = from_.probabilities(instance).contiguous();
    const auto width = data::at(probabilities.size(1));
    std::size_t shown = 0;
    for (std::size_t m = 0; m < instance.positions.size() && shown < kMasks; ++m) {
      const std::ptrdiff_t position = instance.positions[m];
      if (instance.ids[static_cast<std::size_t>(position)] != mask) continue;  // another token stands there, or its own
      const auto row = probabilities.span<const float>().subspan(m * width, width);
      std::vector<std::string> cells{engine::cell(around(instance, position, *from_.vocabulary)),
                                     from_.vocabulary->token(instance.labels[m])};
      for (const std::int64_t guess : engine::top_k(row, kGuesses))
        cells.push_back(join_text(from_.vocabulary->token(static_cast<std::int32_t>(guess)), " ",
                                  engine::decimals(static_cast<double>(row[data::at(guess)]), 3)));
      cells.resize(table.columns.size() - 1);
      cells.push_back(engine::decimals(static_cast<double>(row[data::at(instance.labels[m])]), 3));
      table.rows.push_back(std::move(cells));
      ++shown;
    }
  }
  return {.title = "Filled masks",
          .text = join_text("What the model would put at [?], with probabilities. The first ", kMasks, " masks of ", kInstances,
                            " instances at equal distances in the split; other tokens around them may be masked too."),
          .shown = std::move(table)};
}

engine::Finding ShownMasks::by_frequency() const {
  const std::vector<std::int64_t>& counts = from_.token_counts();
  std::vector<std::int64_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::int64_t token) { return counts[data::at(token)]; });
  engine::FindingTable table{.columns = {"tokens by frequency in training", "masked", "found", "accuracy"}, .rows = {}};
  std::size_t first = 0;
  for (std::size_t last = 10; first < order.size(); last *= 10) {
    last = std::min(last, order.size());
    double cases = 0, right = 0;
    for (std::size_t i = first; i < last; ++i) cases += by_token_.at(order[i], 0), right += by_token_.at(order[i], 1);
    table.rows.push_back(
        {join_text(data::grouped(static_cast<std::int64_t>(first) + 1), " to ", data::grouped(static_cast<std::int64_t>(last))),
         engine::decimals(cases, 0), engine::decimals(right, 0), cases > 0 ? engine::percent(right / cases) : "-"});
    first = last;
  }
  return {.title = "Frequent and rare tokens",
          .text =
              "How often the first guess for a masked token is right, by the place of the true token among all tokens of the vocabulary, "
              "the most frequent of the training text first.",
          .shown = std::move(table)};
}

std::vector<engine::Finding> ShownMasks::findings() const {
  if (from_.size == 0) return {};
  return {filled(), by_frequency()};
}

}  // namespace capstan::masked_lm
