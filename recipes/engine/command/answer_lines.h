#pragma once
// Lines in, answers out: what `predict` of every recipe does around its own reading and answering of a line.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace capstan::engine {

/// Gives each line of `in`, without its end (\n or \r\n), to take(line, number), which keeps it or throws an Error; numbers begin with 1.
/// Calls answer(), which writes the answers to all lines kept and forgets them, when `batch_size` are kept, when no further line waits (so
/// that the other end of a pipe gets its answer at once, `out` being flushed), at the end, and before the error of a bad line goes on.
/// Stops reading when `out` cannot be written.
void answer_lines(std::istream& in, std::ostream& out, std::int64_t batch_size,
                  const std::function<void(std::string line, std::int64_t number)>& take, const std::function<void()>& answer);

}  // namespace capstan::engine
