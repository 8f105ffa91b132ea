#include "recipes/engine/command/answer_lines.h"

#include <algorithm>
#include <istream>
#include <optional>
#include <ostream>

#include "autograd/core/error.h"

namespace capstan::engine {

Refused answer_lines(std::istream& in, std::ostream& out, std::int64_t batch_size, const LineAnswers& answers) {
  Refused refused;
  std::vector<std::optional<std::string>> waiting;  // the answer to a refused line; nothing: the line is kept
  const auto answer_waiting = [&] {
    const std::vector<std::string> kept =
        std::ranges::all_of(waiting, &std::optional<std::string>::has_value) ? std::vector<std::string>() : answers.answer();
    auto next = kept.begin();
    for (const auto& refusal : waiting) out << (refusal ? *refusal : *next++) << '\n';
    waiting.clear();
  };
  const auto refuse = [&](std::string_view line, std::int64_t number, std::string_view fault) {
    if (refused.count++ == 0) refused.first = fault;
    waiting.emplace_back(answers.refusal(line, number, fault));
  };
  std::string line;
  for (std::int64_t number = 1; out && std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    ++refused.lines;
    try {
      answers.take(line, number);
      waiting.emplace_back();
    } catch (const DataError& e) {
      refuse(line, number, e.what());
    } catch (const IoError& e) {
      refuse(line, number, e.what());
    }
    const bool further = in.rdbuf()->in_avail() > 0;
    if (!further || static_cast<std::int64_t>(waiting.size()) == batch_size) answer_waiting();
    if (!further) out.flush();
  }
  answer_waiting();
  return refused;
}

}  // namespace capstan::engine
