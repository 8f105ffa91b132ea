#include "recipes/engine/command/answer_lines.h"

#include <istream>
#include <ostream>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::engine {

void answer_lines(std::istream& in, std::ostream& out, std::int64_t batch_size,
                  const std::function<void(std::string line, std::int64_t number)>& take, const std::function<void()>& answer) {
  std::int64_t kept = 0;
  const auto answer_kept = [&] {
    if (kept > 0) answer();
    kept = 0;
  };
  std::string line;
  for (std::int64_t number = 1; out && std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    try {
      take(std::move(line), number);
    } catch (const Error&) {
      answer_kept();
      out.flush();
      throw;
    }
    ++kept;
    const bool waiting = in.rdbuf()->in_avail() > 0;
    if (!waiting || kept == batch_size) answer_kept();
    if (!waiting) out.flush();
  }
  answer_kept();
}

}  // namespace capstan::engine
