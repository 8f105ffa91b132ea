#include "recipes/engine/command/generate.h"

#include <istream>
#include <iterator>
#include <ostream>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/system.h"

namespace capstan::engine {

std::string whole_input(std::istream& in) {
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  require<IoError>(!in.bad(), "generate: the prompt could not be read to its end");
  return text;
}

int generate(AnyRecipe& recipe, const std::string& prompt, std::ostream& out) {
  const NoGrad paused;
  const StopSignals signals;
  const auto write = [&](std::string_view text) {
    if (!text.empty()) (out << text).flush();
    return out.good() && stop_signal() == 0;
  };
  recipe.generate(prompt, write);
  (out << '\n').flush();
  return stop_signal() == 0 ? kOk : 128 + stop_signal();
}

}  // namespace capstan::engine
