// The program `capstan`: the list of recipes, and the process around recipes/engine/command_line.h.

#include <unistd.h>

#include <array>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/process.h"
#include "recipes/bert/recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/system.h"
#include "recipes/gru4rec/recipe.h"
#include "recipes/sasrec/recipe.h"
#include "recipes/vit/recipe.h"

namespace capstan {
namespace {

std::span<const engine::RecipeEntry> recipes() {
  static const std::array all{sasrec::recipe(), gru4rec::recipe(), bert::recipe(), vit::recipe()};
  return all;
}

}  // namespace
}  // namespace capstan

int main(int argc, char** argv) {
  namespace engine = capstan::engine;
  capstan::limit_busy_waiting(argv);
  engine::ignore_write_signals();
  capstan::flush_denormals();
  std::ios::sync_with_stdio(false);

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return engine::run_program(capstan::recipes(), arguments,
                             {.in = std::cin, .out = std::cout, .err = std::cerr, .progress_fd = STDERR_FILENO});
}
