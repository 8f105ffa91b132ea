#pragma once
// Commands on several processes, which are threads.

#include <sstream>
#include <string>
#include <vector>

#include "recipes/engine/distributed/thread_comm.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {

struct TogetherTest : ProgramTest {
  /// What `capstan` knows.
  virtual std::vector<RecipeEntry> recipes() const { return {entry<Linear>(), entry<Drifting>(), entry<Forgetful>()}; }

  /// Runs `capstan ARGUMENTS` on so many ranks; returns the exit code of the first. What rank 0 wrote is in out, all errors in err.
  int together(int ranks, const std::vector<std::string>& arguments) {
    const std::vector<RecipeEntry> known = recipes();
    clear_stop_signal();
    std::vector<std::ostringstream> outs(static_cast<std::size_t>(ranks)), errs(static_cast<std::size_t>(ranks));
    std::vector<int> codes(static_cast<std::size_t>(ranks));
    try {
      run_ranks(ranks, [&](Comm& comm) {
        const auto r = static_cast<std::size_t>(comm.rank());
        std::istringstream in;
        codes[r] = run_program(known, arguments, {.in = in, .out = outs[r], .err = errs[r], .comm = &comm});
      });
    } catch (const RankAborted& aborted) {
      codes[0] = aborted.exit_code();
    }
    clear_stop_signal();
    out.str(outs[0].str());
    err.str("");
    for (const auto& e : errs) err << e.str();
    return codes[0];
  }
  int train_together(int ranks, const std::string& recipe, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"train", config(recipe)});
    return together(ranks, arguments);
  }
};

}  // namespace capstan::engine::test
