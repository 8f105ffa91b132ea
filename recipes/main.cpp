// The program `capstan`: the list of recipes, and the process around recipes/engine/command_line.h.

#include <unistd.h>

#include <array>
#include <iostream>
#include <string>
#include <vector>

#include "recipes/engine/command_line.h"
#include "recipes/engine/system.h"

int main(int argc, char** argv) {
  using namespace capstan::engine;
  wait_passively(argv);
  handle_signals();
  flush_denormals();
  std::ios::sync_with_stdio(false);

  static constexpr std::array<RecipeEntry, 0> kRecipes{};
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return run_program(kRecipes, arguments, {.in = std::cin, .out = std::cout, .err = std::cerr, .progress_fd = STDERR_FILENO});
}
