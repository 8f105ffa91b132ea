#include "recipes/tasks/next_event/batch.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

namespace capstan::next_event {
namespace {

Tensor index_tensor(std::span<const std::int32_t> items) {
  Tensor t(Shape{static_cast<std::int64_t>(items.size())}, DType::i64);
  std::ranges::copy(items, t.data<std::int64_t>());
  return t;
}

}  // namespace

Batch make_batch(const data::SessionStep& step, Negatives::Candidates candidates) {
  return {.inputs = index_tensor(step.inputs),
          .candidates = std::move(candidates),
          .kept = {step.kept.begin(), step.kept.end()},
          .reset = {step.reset.begin(), step.reset.end()},
          .sessions = {step.sessions.begin(), step.sessions.end()}};
}

std::function<std::optional<Batch>()> evaluation_steps(const data::Interactions& events, std::int64_t slots) {
  const auto walk = std::make_shared<data::SessionBatches>(events.offsets, events.items, slots);
  return [walk]() -> std::optional<Batch> {
    data::SessionStep step;
    if (!walk->next(step)) return std::nullopt;
    return make_batch(step, {.items = index_tensor(step.targets), .correction = {}});
  };
}

}  // namespace capstan::next_event
