#include "recipes/engine/command/command_line.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <istream>
#include <map>
#include <new>
#include <optional>
#include <ostream>
#include <streambuf>
#include <thread>

#include "autograd/core/nearest_name.h"
#include "data/file.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/command/average.h"
#include "recipes/engine/command/completion.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/command/export.h"
#include "recipes/engine/command/inspect.h"
#include "recipes/engine/command/manual.h"
#include "recipes/engine/command/report.h"
#include "recipes/engine/command/run_recipe.h"
#include "recipes/engine/command/score_files.h"
#include "recipes/engine/command/tokenize.h"
#include "recipes/engine/command/verify.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/opening_comment.h"
#include "recipes/engine/distributed/team.h"
#include "recipes/engine/selftest/selftest.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".cfg";

/// What is written to it is gone.
class Nothing final : public std::streambuf {
 protected:
  int overflow(int c) override { return c == traits_type::eof() ? 0 : c; }
  std::streamsize xsputn(const char*, std::streamsize count) override { return count; }
};

constexpr std::string_view kUsageStart = "usage: capstan COMMAND ...\n";
constexpr std::string_view kUsageEnd =
    "CONFIG is a file or recipe/name, such as those of `capstan list`. `capstan COMMAND CONFIG --help` shows all keys.\n"
    "Exit codes:\n";
std::string usage_text(std::span<const RecipeEntry> recipes) {
  std::string text(kUsageStart);
  if (const std::string first = first_quickstart(recipes); !first.empty())
    text += "A first model, which needs no data: capstan train " + first + "\n";
  for (const CommandText& c : commands()) {
    text += "  " + (c.arguments.empty() ? std::string(c.name) : padded(c.name, 12) + std::string(c.arguments)) + "\n";
    text += "              " + std::string(c.help) + "\n";
  }
  text.append(kUsageEnd);
  for (const ExitText& e : exit_texts()) text += "  " + padded(e.codes, 22) + std::string(e.meaning) + "\n";
  return text;
}

std::string path_of(std::string_view config) { return (fs::path(recipes_directory()) / std::string(config).append(kExtension)).string(); }

// CONFIG: an existing file, or recipe/name.
std::string find_config(std::span<const RecipeEntry> recipes, const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) {
    std::string start(4, '\0');
    std::ifstream(name).read(start.data(), 4);
    require<ConfigError>(start != "\x89HDF", name,
                         ": is a checkpoint or a file of data, not a configuration; a checkpoint is used by --checkpoint ", name);
    return name;
  }
  std::vector<std::string> known;
  for (const RecipeEntry& r : recipes)
    for (std::string& c : configs_of(r.name)) known.push_back(std::move(c));
  if (std::find(known.begin(), known.end(), name) != known.end()) return path_of(name);
  throw ConfigError(join_text("'", name, "' is ",
                              fs::exists(name, error) ? "no plain file" : "neither a file nor one of the known configurations",
                              suggestion(name, known), "\n`capstan list` shows the configurations"));
}

const RecipeEntry& find_recipe(std::span<const RecipeEntry> recipes, std::string_view name, std::string_view where) {
  std::vector<std::string> known;
  for (const RecipeEntry& r : recipes) {
    if (r.name == name) return r;
    known.emplace_back(r.name);
  }
  std::string all;
  for (const std::string& k : known) all += " " + k;
  throw ConfigError(join_text(where, ": unknown recipe '", name, "'", suggestion(name, known), "; known are:", all));
}

int list(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  const Arguments given = parse_arguments(arguments, command_text("list").flags, nullptr);
  if (given.has("options")) {
    console.out << markdown_table(find_recipe(recipes, given.value("options"), "list: --options").configuration()->table());
    return kOk;
  }
  std::size_t width = 0;
  for (const RecipeEntry& r : recipes)
    for (const std::string& c : configs_of(r.name)) width = std::max(width, c.size());
  for (const RecipeEntry& r : recipes) {
    console.out << r.name << "\n";
    for (const std::string& c : configs_of(r.name)) {
      const std::string line = "  " + padded(c, width + 2) + title_of_config(path_of(c));
      console.out << (is_terminal(console.out_fd) ? cut_to(line, columns_of(console.out_fd)) : line) << "\n";
    }
  }
  return kOk;
}

int print_completion(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  require<ConfigError>(arguments.size() == 1 && arguments[0] == "bash",
                       "completion: needs the name of a shell it is for: bash\n`capstan completion --help` shows how to use it");
  console.out << bash_completion(recipes);
  return kOk;
}

/// What the arguments say of a flag or key, for which a checkpoint must be found before it tells which keys there are.
std::optional<std::string> value_in(std::span<const std::string> arguments, std::string_view name) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view a = arguments[i];
    if (a.starts_with("--")) a.remove_prefix(2);
    if (!a.starts_with(name)) continue;
    a.remove_prefix(name.size());
    if (a.starts_with('=')) value = unquoted(a.substr(1));
    if (a.empty() && i + 1 < arguments.size() && arguments[i].starts_with("--")) value = arguments[i + 1];
  }
  return value;
}

std::string value_in(std::span<const Assignment> assignments, std::string_view key) {
  const auto found = std::ranges::find(assignments, key, &Assignment::key);
  return found == assignments.end() ? "" : std::string(unquoted(found->value));
}

/// Whether an argument is a flag or a setting, and no CONFIG.
bool is_setting(const std::string& argument) {
  std::error_code error;
  return argument.starts_with('-') || (argument.find('=') != std::string::npos && !fs::exists(argument, error));
}

/// A command on a recipe.
int run_on_recipe(std::span<const RecipeEntry> recipes, const CommandText& text, std::span<const std::string> arguments,
                  const Console& console) {
  const bool has_config = !arguments.empty() && !is_setting(arguments[0]);
  const auto named = text.uses_checkpoint() ? value_in(arguments, "checkpoint") : std::nullopt;
  require<ConfigError>(
      has_config || named, text.name, ": the first argument must be CONFIG, a file or one of the names that `capstan list` shows",
      text.uses_checkpoint() ? ", where --checkpoint FILE is not given" : "", "\nusage: capstan ", text.name, " ", text.arguments);
  CommandLine line;
  line.command = text.name;
  line.arguments.assign(arguments.begin() + (has_config ? 1 : 0), arguments.end());
  Assignment recipe;
  std::string in_file;
  if (has_config) {
    line.config_path = find_config(recipes, arguments[0]);
    line.config_name = arguments[0];
    const std::vector<Assignment> file = read_config_file(line.config_path);
    const auto found = std::ranges::find(file, "recipe", &Assignment::key);
    require<ConfigError>(found != file.end(), line.config_path, ": must name its recipe: recipe = NAME before the first section");
    recipe = *found;
    in_file = value_in(file, "run.dir");
  }
  if (named) {
    const std::string directory = run_directory(value_in(line.arguments, "run.dir").value_or(""), in_file, recipe.value, line.config_path);
    const std::string path = ModelDirectory::is(*named) ? *named : checkpoint_file(*named, directory);
    line.model = open_model(path, recipe.value, recipes);
    if (!has_config) {
      line.config_name = line.model->path();
      recipe = {.key = "recipe", .value = std::string(line.model->recipe()), .origin = line.model->path()};
    }
  }
  return run_recipe(find_recipe(recipes, recipe.value, recipe.origin), line, console);
}

int dispatch_command(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
                     std::span<const FileScorer> scorers) {
  if (arguments.empty()) {
    const std::string first = first_quickstart(recipes);
    throw ConfigError(
        join_text("no command is given", kSeeHelp, first.empty() ? "" : "; a first one, which needs no data: capstan train ", first));
  }
  std::string command = arguments[0];
  auto rest = arguments.subspan(1);
  if (command == "--version" || command == "-v" || command == "version") {
    console.out << "capstan " << kVersion << "\n";
    return kOk;
  }
  bool help = false;
  if (is_help(command) || command == "help") {
    if (rest.empty()) {
      console.out << usage_text(recipes);
      return kOk;
    }
    command = rest[0];
    help = true;
  }
  const CommandText& text = command_text(command);
  if (help || (!rest.empty() && is_help(rest[0]))) {
    console.out << "capstan " << command << (text.arguments.empty() ? "" : " ") << text.arguments << "\n" << text.help << "\n";
    print_flags(text.flags, console.out);
    if (text.on_recipe) console.out << "`capstan " << command << " CONFIG --help` lists the keys of a recipe too.\n";
    if (text.uses_checkpoint())
      console.out << "Without CONFIG the configuration is the checkpoint's, which decides over the model and its input in any case.\n";
    return kOk;
  }
  if (command == "list") return list(recipes, rest, console);
  if (command == "tokenize") return tokenize(rest, console);
  if (command == "export") return export_model(recipes, rest, console);
  if (command == "average") return average_checkpoints(recipes, rest, console);
  if (command == "report") return report_runs(rest, console);
  if (command == "verify") return verify_files(recipes, rest, console);
  if (command == "completion") return print_completion(recipes, rest, console);
  if (command == "selftest") return selftest(recipes, rest, console);
  if (command == "manual") {
    require<ConfigError>(rest.empty(), "manual: takes no arguments, got ", rest.size());
    console.out << manual_page();
    return kOk;
  }
  if (command == "inspect") {
    const auto directory = value_in(rest, "run.dir");
    require<ConfigError>(rest.size() == (directory ? 2 : 1) && !is_setting(rest[0]), "inspect: needs one file, got ", rest.size(),
                         " arguments\nusage: capstan inspect ", text.arguments);
    inspect_file(ModelDirectory::is(rest[0]) ? rest[0] : checkpoint_file(rest[0], directory.value_or("")), console.out);
    return kOk;
  }
  if (command == "evaluate" && scores_files(rest)) return score_files(scorers, rest, console);
  return run_on_recipe(recipes, text, rest, console);
}

/// What an error is told as, and ends with.
struct Failure {
  std::string text;
  int code = kInternal;
};

Failure failure_of(const std::exception& e) {
  if (dynamic_cast<const data::ClosedPipe*>(&e) != nullptr) return {.text = "", .code = 128 + SIGPIPE};
  if (dynamic_cast<const std::bad_alloc*>(&e) != nullptr) return {.text = "capstan: out of memory", .code = kInternal};
  const int code = exit_code_of(e);
  return {.text = join_text("capstan: ", code == kInternal ? "internal error: " : "", e.what()), .code = code};
}

int run_command(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
                std::span<const FileScorer> scorers) {
  const int code = dispatch_command(recipes, arguments, console, scorers);
  console.out.flush();
  require<IoError>(code != kOk || console.out.good(), "output: could not be written completely");
  return code;
}

/// The same command on every process.
int run_together(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
                 std::span<const FileScorer> scorers) {
  Comm& comm = *console.comm;
  Nothing nothing;
  std::ostream silence(&nothing);
  Failure failure;
  try {
    const std::string command = arguments.empty() ? "" : arguments[0];
    require<ConfigError>(command == "train" || command == "bench", "capstan ", command, ": runs as one process, this is one of ",
                         comm.size(), "; several can train and bench");
    share_cores(processes_on_same_cores(comm));
    agree_on_signal(0);
    if (comm.rank() == 0) return run_command(recipes, arguments, console, scorers);
    return run_command(recipes, arguments, {.in = console.in, .out = silence, .err = silence, .comm = &comm}, scorers);
  } catch (const std::exception& e) {
    failure = failure_of(e);
  }
  // What all have met is said once, by the first, who ends the others while they wait.
  if (comm.rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  console.err << failure.text;
  if (comm.rank() != 0) console.err << " (rank " << comm.rank() << " on " << comm.host(comm.rank()) << ")";
  console.err << std::endl;
  comm.abort(failure.code);
  return failure.code;  // not reached
}

}  // namespace

std::vector<std::string> configs_of(std::string_view recipe) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(recipes_directory()) / recipe, error))
    if (entry.path().extension() == kExtension) names.push_back(std::string(recipe) + "/" + entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string first_quickstart(std::span<const RecipeEntry> recipes) {
  for (const RecipeEntry& r : recipes)
    for (std::string& config : configs_of(r.name))
      if (config.ends_with("/quickstart")) return config;
  return "";
}

int exit_code_of(const std::exception& error) {
  const auto is = [&]<class E>(std::in_place_type_t<E>) { return dynamic_cast<const E*>(&error) != nullptr; };
  if (is(std::in_place_type<ConfigError>) || is(std::in_place_type<ArgumentError>) || is(std::in_place_type<GraphError>)) return kUsage;
  if (is(std::in_place_type<DataError>)) return kData;
  if (is(std::in_place_type<IoError>)) return kIo;
  if (is(std::in_place_type<NumericalError>)) return kNumerical;
  if (is(std::in_place_type<CheckpointError>)) return kBadCheckpoint;
  return kInternal;
}

int run_program(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console,
                std::span<const FileScorer> scorers) {
  if (console.comm != nullptr) return run_together(recipes, arguments, console, scorers);
  try {
    const std::unique_ptr<Comm> world = console.world != nullptr ? console.world() : nullptr;
    if (world == nullptr || world->size() == 1) return run_command(recipes, arguments, console, scorers);
    Console together = console;
    together.comm = world.get();
    return run_together(recipes, arguments, together, scorers);
  } catch (const std::exception& e) {
    const Failure failure = failure_of(e);
    if (!failure.text.empty()) console.err << (shows_colour(console.progress_fd) ? highlighted(failure.text) : failure.text) << std::endl;
    return failure.code;
  }
}

std::string recipes_directory() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error), share = fs::path("share") / "capstan" / "recipes";
  const fs::path installed = program.parent_path().parent_path() / share;
  return (fs::is_directory(installed, error) ? installed : program.parent_path() / share).string();  // the second in a build directory
}

}  // namespace capstan::engine
