#include "recipes/engine/command/answer_lines.h"

#include <algorithm>
#include <istream>
#include <limits>
#include <optional>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

/// Lines in batches. `refusal(line, number, fault)` is kept for a line that `take` refused; `answer` gets one or nothing for each line of a
/// batch, and whether no further line waits. Goes on while `writable()`.
template <class Refusal, class Writable, class Answer>
Refused in_batches(std::istream& in, std::int64_t batch_size, const TakeLine& take, const Refusal& refusal, const Writable& writable,
                   const Answer& answer) {
  Refused refused;
  std::vector<std::optional<decltype(refusal(std::string_view(), 0, std::string_view()))>> waiting;
  const auto refuse = [&](std::string_view line, std::int64_t number, std::string_view fault) {
    if (refused.count++ == 0) refused.first = fault;
    waiting.back() = refusal(line, number, fault);
  };
  std::string line;
  for (std::int64_t number = 1; writable() && std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    ++refused.lines;
    waiting.emplace_back();
    try {
      take(line, number);
    } catch (const DataError& e) {
      refuse(line, number, e.what());
    } catch (const IoError& e) {
      refuse(line, number, e.what());
    }
    const bool further = in.rdbuf()->in_avail() > 0;
    if (further && static_cast<std::int64_t>(waiting.size()) < batch_size) continue;
    answer(std::exchange(waiting, {}), !further);
  }
  answer(waiting, false);
  return refused;
}

/// Whether any of the lines was kept.
template <class Waiting>
bool any_kept(const Waiting& waiting) {
  return !std::ranges::all_of(waiting, [](const auto& refusal) { return refusal.has_value(); });
}

}  // namespace

Refused answer_lines(std::istream& in, std::ostream& out, std::int64_t batch_size, const LineAnswers& answers) {
  return in_batches(
      in, batch_size, answers.take, answers.refusal, [&] { return static_cast<bool>(out); },
      [&](const auto& waiting, bool flush) {
        const std::vector<std::string> kept = any_kept(waiting) ? answers.answer() : std::vector<std::string>();
        auto next = kept.begin();
        for (const auto& refusal : waiting) out << (refusal ? *refusal : *next++) << '\n';
        if (flush) out.flush();
      });
}

Refused answer_rows(std::istream& in, std::int64_t batch_size, const RowAnswers& answers) {
  const auto width = static_cast<std::size_t>(answers.width);
  const std::vector<float> none(width, std::numeric_limits<float>::quiet_NaN());
  return in_batches(
      in, batch_size, answers.take, [](std::string_view, std::int64_t, std::string_view) { return true; }, [] { return true; },
      [&](const auto& waiting, bool) {
        const Tensor kept = any_kept(waiting) ? answers.answer() : Tensor(Shape{0, answers.width});
        auto rest = kept.span<const float>();
        for (const auto& refusal : waiting) {
          answers.write(refusal ? std::span<const float>(none) : rest.first(width));
          if (!refusal) rest = rest.subspan(width);
        }
      });
}

}  // namespace capstan::engine
