#pragma once
// `capstan selftest`: whether an installed program computes, trains, saves and resumes on this machine as it should. It needs no data, and
// what it writes is in a temporary directory that goes with it.

#include <span>
#include <string>
#include <string_view>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/selftest/check.h"

namespace capstan::engine {

/// A directory for temporary files, removed with its content at the end. In TMPDIR, or /tmp. Throws IoError that says what is wrong with
/// it.
class TemporaryDirectory {
 public:
  /// `needed`: bytes that must be free there.
  explicit TemporaryDirectory(double needed);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Runs checks in order and says of each how it went and how long it took. Returns how many failed. What a check throws beside CheckFailed
/// counts as a failure, too, but for a full disk and the like (IoError) and StopRequested.
int run_all(std::span<const SelfCheck> checks, std::ostream& out);

/// The command. Trains the first of `recipes` that has a configuration named quickstart. `program`: the file of this program.
int selftest(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
             const std::string& program = "/proc/self/exe");

}  // namespace capstan::engine
