#include "recipes/engine/selftest/selftest.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <iterator>
#include <optional>
#include <ostream>
#include <sstream>
#include <vector>

#include "recipes/engine/selftest/machine.h"
#include "recipes/engine/selftest/numeric_checks.h"
#include "recipes/engine/selftest/run_checks.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr double kNeededBytes = 20e6;  // four checkpoints of half a megabyte at a time, with room

std::string time_taken(double seconds) {
  std::ostringstream text;
  text << "(" << std::fixed << std::setprecision(2) << seconds << " s)";
  return text.str();
}

/// A message below the line of its check.
std::string indented(std::string text) {
  for (std::size_t i = 0; (i = text.find('\n', i)) != std::string::npos; i += 9) text.insert(i + 1, "        ");
  return "        " + text;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(double needed) {
  const char* const named = std::getenv("TMPDIR");
  const bool is_named = named != nullptr && *named != '\0';
  const std::string parent = is_named ? named : "/tmp";
  const std::string refusal =
      join_text("no temporary directory in ", parent, is_named ? " (TMPDIR)" : " (TMPDIR names another place)", ": ");
  struct statvfs room {};
  if (::statvfs(parent.c_str(), &room) != 0) throw IoError(refusal + std::strerror(errno));
  const double free = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  require<IoError>(free >= needed, refusal, bytes_text(free), " are free, ", bytes_text(needed), " are needed");
  path_ = fs::absolute(parent) / "capstan-selftest-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) throw IoError(refusal + std::strerror(errno));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

int run_all(std::span<const SelfCheck> checks, std::ostream& out) {
  int failed = 0;
  for (const SelfCheck& check : checks) {
    throw_if_stopped();
    std::optional<std::string> wrong;
    const double begin = wall_seconds();
    try {
      check.run();
    } catch (const StopRequested&) {
      throw;
    } catch (const IoError&) {
      throw;
    } catch (const std::exception& e) {
      wrong = e.what();
    }
    out << (wrong ? "FAILED  " : "ok      ") << check.name << "  " << time_taken(wall_seconds() - begin) << "\n";
    if (wrong) out << indented(*wrong) << "\n";
    out.flush();
    failed += wrong ? 1 : 0;
  }
  return failed;
}

int selftest(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
             const std::string& program) {
  require<ConfigError>(arguments.empty(), "selftest: takes no arguments, got '", arguments.empty() ? "" : arguments[0],
                       "'\n`capstan selftest --help` shows what it does");
  const double begin = wall_seconds();
  const StopSignals signals;
  const std::string config = first_quickstart(recipes);
  require<IoError>(!config.empty(), "selftest: no configuration named quickstart in ", recipes_directory(),
                   ", where those of the program should be");
  const TemporaryDirectory directory(kNeededBytes);
  console.out << "capstan " << kVersion << "\n";
  for (const auto& [name, value] : machine_lines()) console.out << padded(name, 14) << value << "\n";
  console.out << padded("directory", 14) << directory.path() << "\n";
  console.out.flush();

  std::vector<SelfCheck> checks = numeric_checks();
  std::ranges::move(run_checks({.program = program, .config = config, .directory = directory.path(), .threads = set_threads(0)}),
                    std::back_inserter(checks));
  int failed = 0;
  try {
    failed = run_all(checks, console.out);
  } catch (const StopRequested&) {
    console.err << "capstan: selftest: stopped by a signal; the temporary directory is removed\n";
    return 128 + stop_signal();
  }
  const std::string time = time_taken(wall_seconds() - begin);
  if (failed == 0) {
    console.out << "all " << checks.size() << " checks passed " << time << "\n";
    return kOk;
  }
  console.out << failed << " of " << checks.size() << " checks FAILED " << time << "\n";
  return kInternal;
}

}  // namespace capstan::engine
