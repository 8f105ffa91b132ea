// The program `capstan`: the list of recipes, and the process around recipes/engine/command_line.h.

#include <unistd.h>

#include <array>
#include <iostream>
#include <string>
#include <vector>

#include "autograd/core/process.h"
#include "recipes/bert/recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/run_recipe.h"
#include "recipes/engine/system.h"
#include "recipes/gru4rec/recipe.h"
#include "recipes/sasrec/recipe.h"
#include "recipes/vit/recipe.h"

namespace capstan {
namespace {

constexpr std::array kRecipes{
    engine::RecipeEntry{sasrec::Sasrec::name, engine::run_recipe<sasrec::Sasrec>},
    engine::RecipeEntry{gru4rec::Gru4Rec::name, engine::run_recipe<gru4rec::Gru4Rec>},
    engine::RecipeEntry{bert::Bert::name, engine::run_recipe<bert::Bert>},
    engine::RecipeEntry{vit::Vit::name, engine::run_recipe<vit::Vit>},
};

}  // namespace
}  // namespace capstan

int main(int argc, char** argv) {
  namespace engine = capstan::engine;
  capstan::limit_busy_waiting(argv);
  engine::ignore_write_signals();
  capstan::flush_denormals();
  std::ios::sync_with_stdio(false);

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return engine::run_program(capstan::kRecipes, arguments,
                             {.in = std::cin, .out = std::cout, .err = std::cerr, .progress_fd = STDERR_FILENO});
}
