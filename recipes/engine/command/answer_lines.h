#pragma once
// Lines in, answers out: what `predict` of every recipe does around its own reading and answering of a line.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"

namespace capstan::engine {

/// Keeps a line. Throws DataError or IoError if it cannot be answered.
using TakeLine = std::function<void(std::string line, std::int64_t number)>;

/// What answers the lines.
struct LineAnswers {
  TakeLine take;
  /// The answers to all lines kept since the last call, in order.
  std::function<std::vector<std::string>()> answer;
  /// The answer to a line that `take` refused.
  std::function<std::string(std::string_view line, std::int64_t number, std::string_view fault)> refusal;
};

struct Refused {
  std::int64_t count = 0, lines = 0;  ///< of so many lines
  std::string first;                  ///< the first one's fault
};

/// Gives each line of `in`, without its end (\n or \r\n), to take(line, number); numbers begin with 1. Answers, a line each, when
/// `batch_size` are kept, when no further line waits (so that the other end of a pipe gets its answer at once, `out` being flushed), and at
/// the end. A line that is refused costs its own answer only. Stops reading when `out` cannot be written.
Refused answer_lines(std::istream& in, std::ostream& out, std::int64_t batch_size, const LineAnswers& answers);

/// What answers the lines with numbers.
struct RowAnswers {
  TakeLine take;
  /// The answers to all lines kept since the last call: f32 [lines, width].
  std::function<Tensor()> answer;
  std::int64_t width = 0;
  std::function<void(std::span<const float> row)> write;
};

/// The same, a row for each line; that of a refused one is NaN, so that row and line go together.
Refused answer_rows(std::istream& in, std::int64_t batch_size, const RowAnswers& answers);

}  // namespace capstan::engine
