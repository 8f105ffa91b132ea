#pragma once
// The command line of `capstan`: which command, which recipe, which configuration, and what an error ends with. The commands on a recipe
// are run_recipe.h; run_program may be called in-process by tests.

#include <exception>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/commands.h"
#include "recipes/engine/command/score_files.h"
#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

inline constexpr std::string_view kVersion = "0.1.0";

/// Exit codes; on a signal 128 + its number.
enum ExitCode : int { kOk = 0, kUsage = 2, kData = 3, kIo = 4, kNumerical = 5, kBadCheckpoint = 6, kInternal = 70 };
int exit_code_of(const std::exception& error);

/// Where a program reads and writes.
struct Console {
  std::istream& in;
  std::ostream& out;     ///< results
  std::ostream& err;     ///< messages
  int progress_fd = -1;  ///< -1: no progress
  int out_fd = -1;       ///< what `out` writes to if it may be a terminal, whose width and colours then count
  /// Finds the processes of this run; null: this one is alone. Only the first of several writes to `out` and `progress_fd`; an error of any
  /// goes to its own `err` and ends all.
  std::unique_ptr<Comm> (*world)() = nullptr;
  Comm* comm = nullptr;  ///< what was found, if there are several
};

/// The program, without the process around it. Returns the exit code; errors are reported on console.err. `scorers`: what scores files.
int run_program(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
                std::span<const FileScorer> scorers = {});

/// The names of a recipe's configurations, "vit/tiny", in byte order.
std::vector<std::string> configs_of(std::string_view recipe);

/// The first configuration of these recipes that is named quickstart, "vit/quickstart": it needs no data. Empty: there is none.
std::string first_quickstart(std::span<const RecipeEntry> recipes);

/// The folder that holds the recipes' configurations, found from where the program is: of an installed tree, or of a build directory.
std::string recipes_directory();

}  // namespace capstan::engine
