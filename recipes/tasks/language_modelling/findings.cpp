#include "recipes/tasks/language_modelling/findings.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/tasks/language_modelling/windows.h"

namespace capstan::language_modelling {
namespace {

constexpr std::int64_t kTokens = 16384, kAtATime = 2048;  // looked at for the losses; in a batch
constexpr std::int64_t kPoints = 24;

}  // namespace

std::vector<std::pair<double, double>> loss_by_position(const Network& network, const std::vector<std::int32_t>& text,
                                                        std::int64_t length) {
  if (std::ssize(text) <= length) return {};
  std::vector<std::int64_t> edges{0};  // of groups of positions: narrow in front, where the loss falls, then growing by a third
  for (std::int64_t last = 1; edges.back() < length; last += std::max<std::int64_t>(1, last / 3))
    edges.push_back(std::min(std::ssize(edges) >= kPoints ? length : last, length));
  const std::int64_t batch = std::max<std::int64_t>(1, kAtATime / length);
  const std::vector<std::int64_t> begins = engine::spread_places(std::ssize(text) - length, std::max<std::int64_t>(1, kTokens / length));
  std::vector<double> sums(edges.size() - 1);
  for (std::size_t first = 0; first < begins.size(); first += static_cast<std::size_t>(batch)) {
    std::vector<Window> windows;
    std::vector<std::int64_t> numbers;
    for (std::size_t i = first; i < std::min(begins.size(), first + static_cast<std::size_t>(batch)); ++i) {
      windows.push_back({.begin = begins[i], .length = length});
      numbers.push_back(static_cast<std::int64_t>(i));
    }
    const Batch b = make_batch(text, windows, numbers);
    const std::int64_t count = std::ssize(windows);
    const Tensor hidden = network.hidden(b, {});  // [windows * length, H]
    const Tensor rows = reshape(hidden, {count, length, hidden.size(1)}), labels = reshape(b.labels, {count, length});
    for (std::size_t g = 0; g + 1 < edges.size(); ++g) {
      const std::int64_t width = edges[g + 1] - edges[g];
      const Tensor h = reshape(slice(rows, 1, edges[g], width).contiguous(), {count * width, hidden.size(1)});
      const Tensor wanted = reshape(slice(labels, 1, edges[g], width).contiguous(), {count * width});
      const Tensor logits = cast(linear(h, nn::weight_for(network.output_weight, h), Tensor()), DType::f32);  // [count * width, V]
      sums[g] += cross_entropy(logits, wanted, {.reduction = Reduction::sum()}).value.item();
    }
  }
  std::vector<std::pair<double, double>> out;
  for (std::size_t g = 0; g + 1 < edges.size(); ++g) {
    const auto width = static_cast<double>(edges[g + 1] - edges[g]);
    out.emplace_back(static_cast<double>(edges[g] + edges[g + 1] + 1) / 2, sums[g] / (width * static_cast<double>(begins.size())));
  }
  return out;
}

std::vector<engine::Finding> findings_of(const std::vector<Continuation>& continuations, std::vector<std::pair<double, double>> losses) {
  std::vector<engine::Finding> out;
  if (!continuations.empty()) {
    engine::FindingTable table{.columns = {"prompt", "the model goes on"}, .rows = {}};
    for (const Continuation& c : continuations) table.rows.push_back({engine::cell(c.prompt, 600), engine::cell(c.written, 2000)});
    out.push_back({.title = "How it goes on",
                   .text = "What the model writes behind pieces of the text at equal distances.",
                   .shown = std::move(table)});
  }
  if (!losses.empty())
    out.push_back({.title = "Loss by what was read",
                   .text =
                       "The mean loss of a token by how many tokens of its window have been read with it in view, the first of them being "
                       "1; of windows at equal distances in the text. It falls as long as a longer past helps.",
                   .shown = engine::FindingCurves{
                       .x_title = "tokens read", .y_title = "loss", .curves = {{.name = "loss", .points = std::move(losses)}}}});
  return out;
}

}  // namespace capstan::language_modelling
