#include "recipes/tasks/next_event/batch.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

namespace capstan::next_event {
namespace {

Tensor index_tensor(std::span<const std::int32_t> items) {
  Tensor t(Shape{static_cast<std::int64_t>(items.size())}, DType::i64);
  std::ranges::copy(items, t.data<std::int64_t>());
  return t;
}

/// The elements begin .. end, then all others in their order.
template <class T>
Tensor own_first(const Tensor& all, std::int64_t begin, std::int64_t end) {
  if (!all.defined()) return {};
  Tensor out = all.clone();
  const auto values = out.span<T>();
  std::rotate(values.begin(), values.begin() + begin, values.begin() + end);
  return out;
}

/// The sessions between some offsets of a list.
struct Walk {
  Walk(std::vector<std::int64_t> of_list, std::span<const std::int32_t> items, std::int64_t slots) : offsets(std::move(of_list)) {
    const std::int64_t first = offsets.front();
    for (std::int64_t& offset : offsets) offset -= first;
    steps.emplace(offsets, items.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(offsets.back())), slots);
  }
  std::vector<std::int64_t> offsets;
  std::optional<data::SessionBatches> steps;
};

}  // namespace

Batch make_batch(const data::SessionStep& step, Negatives::Candidates candidates) {
  return {.inputs = index_tensor(step.inputs),
          .candidates = std::move(candidates),
          .kept = {step.kept.begin(), step.kept.end()},
          .reset = {step.reset.begin(), step.reset.end()},
          .sessions = {step.sessions.begin(), step.sessions.end()},
          .slots = std::ssize(step.inputs)};
}

std::optional<Batch> part_of(const Batch& step, const engine::Part& part) {
  const std::int64_t begin = part.begin(step.slots), end = part.end(step.slots);
  if (begin == end) return std::nullopt;
  const auto own = [&]<class T>(const std::vector<T>& all) {
    return all.empty() ? all : std::vector<T>(all.begin() + begin, all.begin() + end);
  };
  Batch out{.inputs = step.inputs.view(step.inputs.layout().slice(0, begin, end - begin)).contiguous(),
            .candidates = {.items = own_first<std::int64_t>(step.candidates.items, begin, end),
                           .correction = own_first<float>(step.candidates.correction, begin, end)},
            .kept = own(step.kept),
            .reset = own(step.reset),
            .sessions = own(step.sessions),
            .first = begin,
            .slots = step.slots,
            .is_part = true};
  if (out.kept.empty()) {
    out.kept.resize(static_cast<std::size_t>(end - begin));
    std::iota(out.kept.begin(), out.kept.end(), static_cast<std::int32_t>(begin));
  }
  return out;
}

std::function<std::optional<Batch>()> evaluation_steps(const data::Interactions& events, std::int64_t slots, const engine::Part& share) {
  const auto session_at = [&](std::int64_t event) { return std::ranges::lower_bound(events.offsets, event) - events.offsets.begin(); };
  const std::int64_t first = session_at(share.begin(events.events())), last = session_at(share.end(events.events()));
  if (first == last) return [] { return std::optional<Batch>(); };
  const auto begin = events.offsets.begin();
  const auto walk = std::make_shared<Walk>(std::vector(begin + first, begin + last + 1), events.items, slots);
  return [walk, first]() -> std::optional<Batch> {
    data::SessionStep step;
    if (!walk->steps->next(step)) return std::nullopt;
    Batch out = make_batch(step, {.items = index_tensor(step.targets), .correction = {}});
    for (std::int64_t& session : out.sessions) session += first;
    return out;
  };
}

}  // namespace capstan::next_event
