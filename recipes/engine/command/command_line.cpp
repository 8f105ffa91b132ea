#include "recipes/engine/command/command_line.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <istream>
#include <map>
#include <new>
#include <ostream>

#include "autograd/core/nearest_name.h"
#include "data/file.h"
#include "recipes/engine/command/completion.h"
#include "recipes/engine/command/inspect.h"
#include "recipes/engine/command/run_recipe.h"
#include "recipes/engine/command/tokenize.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".cfg";

constexpr std::string_view kUsageStart = "usage: capstan COMMAND ...\n";
constexpr std::string_view kUsageEnd =
    "CONFIG is a file or recipe/name, such as those of `capstan list`. `capstan COMMAND CONFIG --help` shows all keys.\n"
    "Exit codes: 0 ok, 2 usage or configuration, 3 data, 4 input/output or disk full, 5 not a finite number,\n"
    "6 bad checkpoint, 70 internal error, 129, 130 or 143 stopped by a signal (training after saving), 141 nobody reads\n"
    "the output any more.\n";
constexpr std::string_view kSeeHelp = "\n`capstan --help` shows the commands";

std::string usage_text() {
  std::string text(kUsageStart);
  for (const CommandText& c : commands()) {
    text += "  " + padded(c.name, 12) + std::string(c.arguments) + "\n";
    text += "              " + std::string(c.help) + "\n";
  }
  return text.append(kUsageEnd);
}

const CommandText& command_text(std::string_view name) {
  std::vector<std::string> known{"help"};
  for (const CommandText& c : commands()) {
    if (c.name == name) return c;
    known.emplace_back(c.name);
  }
  throw ConfigError(join_text("unknown command '", name, "'", suggestion(name, known), kSeeHelp));
}

/// The first line of a configuration's opening comment.
std::string description_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || !line.starts_with('#')) return "";
  line.erase(0, std::min(line.find_first_not_of("# "), line.size()));
  while (!line.empty() && std::string_view(",:; \r").find(line.back()) != std::string_view::npos) line.pop_back();
  return line;
}

std::string path_of(std::string_view config) { return (fs::path(recipes_directory()) / std::string(config).append(kExtension)).string(); }

// CONFIG: an existing file, or recipe/name.
std::string find_config(std::span<const RecipeEntry> recipes, const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
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
      const std::string line = "  " + padded(c, width + 2) + description_of(path_of(c));
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

void print_flags(std::span<const Flag> flags, std::ostream& out) {
  for (const Flag& f : flags) out << "  --" << f.name << (f.value_name.empty() ? "" : " ") << f.value_name << "\n      " << f.help << "\n";
}

bool is_help(const std::string& a) { return a == "--help" || a == "-h"; }

int dispatch_command(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  require<ConfigError>(!arguments.empty(), "no command is given", kSeeHelp);
  std::string command = arguments[0];
  auto rest = arguments.subspan(1);
  if (command == "--version" || command == "-v" || command == "version") {
    console.out << "capstan " << kVersion << "\n";
    return kOk;
  }
  bool help = false;
  if (is_help(command) || command == "help") {
    if (rest.empty()) {
      console.out << usage_text();
      return kOk;
    }
    command = rest[0];
    help = true;
  }
  const CommandText& text = command_text(command);
  if (help || (!rest.empty() && is_help(rest[0]))) {
    console.out << "capstan " << command << " " << text.arguments << "\n" << text.help << "\n";
    print_flags(text.flags, console.out);
    if (text.on_recipe) console.out << "`capstan " << command << " CONFIG --help` lists the keys of a recipe too.\n";
    return kOk;
  }
  if (command == "list") return list(recipes, rest, console);
  if (command == "tokenize") return tokenize(rest, console);
  if (command == "completion") return print_completion(recipes, rest, console);
  if (command == "inspect") {
    require<ConfigError>(rest.size() == 1, "inspect: needs one file, got ", rest.size(), " arguments\nusage: capstan inspect FILE");
    inspect_file(rest[0], console.out);
    return kOk;
  }

  require<ConfigError>(!rest.empty() && !rest[0].starts_with("-"), command,
                       ": the first argument must be CONFIG, a file or recipe/name\nusage: capstan ", command, " ", text.arguments);
  CommandLine line{.command = command,
                   .config_path = find_config(recipes, rest[0]),
                   .config_name = rest[0],
                   .arguments = {rest.begin() + 1, rest.end()}};
  for (const Assignment& a : read_config_file(line.config_path))
    if (a.key == "recipe") return run_recipe(find_recipe(recipes, a.value, a.origin), line, console);
  throw ConfigError(join_text(line.config_path, ": must name its recipe: recipe = NAME before the first section"));
}

}  // namespace

std::span<const CommandText> commands() {
  static const Flag kPrintConfig{"print-config", "", "print the resolved configuration with the origin of every value, then stop"};
  static const std::vector<CommandText> all = {
      {"train",
       "CONFIG [section.key=value]... [--resume auto|FILE] [--check] [--print-config]",
       "Trains a recipe and keeps checkpoints, metrics.jsonl and log.txt in run.dir.",
       {{"resume", "auto|FILE", "go on from the newest usable checkpoint of run.dir, or from a file"},
        {"check", "", "build the model, make one batch, run it forward and backward; train nothing"},
        kPrintConfig}},
      {"evaluate",
       "CONFIG --checkpoint FILE [section.key=value]... [--split validation|test] [--json]",
       "Computes the metrics of a checkpoint.",
       {{"checkpoint", "FILE", "the model to evaluate"},
        {"split", "validation|test", "the part that is evaluated: test unless it is given"},
        {"json", "", "print one JSON line"},
        kPrintConfig}},
      {"predict",
       "CONFIG --checkpoint FILE --input FILE|- --output FILE|- [section.key=value]...",
       "Answers each line of the input with one line.",
       {{"checkpoint", "FILE", "the model to use"},
        {"input", "FILE|-", "lines to answer, - for standard input"},
        {"output", "FILE|-", "answers, - for standard output"},
        kPrintConfig}},
      {"prepare", "CONFIG [section.key=value]...", "Builds what training reads: vocabulary, instances, splits.", {kPrintConfig}},
      {"bench",
       "CONFIG [section.key=value]... [--steps N] [--json]",
       "Times training steps on random data.",
       {{"steps", "N", "steps to time (default 20)"}, {"json", "", "print one JSON line"}, kPrintConfig}},
      {"inspect", "FILE", "Shows what is in a checkpoint or data file.", {}, false},
      {"list",
       "[--options RECIPE]",
       "Names the recipes and their configurations.",
       {{"options", "RECIPE", "all keys of a recipe as a Markdown table"}},
       false},
      {"tokenize",
       "--vocab FILE [--cased] [--strip-accents yes|no] [--variant google|hf_slow|hf_fast]",
       "Writes lines of standard input as WordPiece tokens.",
       {{"vocab", "FILE", "vocabulary, a token a line"},
        {"cased", "", "keep capitals, and accents but for --strip-accents"},
        {"strip-accents", "yes|no", "take accents off; without it: not with --cased"},
        {"variant", "google|hf_slow|hf_fast", "whose results where these programs differ: google unless it is given"}},
       false},
      {"completion",
       "bash",
       "Prints what completes commands, configurations, flags and keys: source <(capstan completion bash)",
       {},
       false},
  };
  return all;
}

std::vector<std::string> configs_of(std::string_view recipe) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(recipes_directory()) / recipe, error))
    if (entry.path().extension() == kExtension) names.push_back(std::string(recipe) + "/" + entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
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

int run_program(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  try {
    const int code = dispatch_command(recipes, arguments, console);
    console.out.flush();
    require<IoError>(code != kOk || console.out.good(), "output: could not be written completely");
    return code;
  } catch (const data::ClosedPipe&) {
    return 128 + SIGPIPE;
  } catch (const std::bad_alloc&) {
    console.err << "capstan: out of memory\n";
    return kInternal;
  } catch (const std::exception& e) {
    const int code = exit_code_of(e);
    const std::string text = join_text("capstan: ", code == kInternal ? "internal error: " : "", e.what());
    console.err << (shows_colour(console.progress_fd) ? highlighted(text) : text) << std::endl;
    return code;
  }
}

std::vector<Flag> flags_of(std::string_view command) {
  std::vector<Flag> flags = command_text(command).flags;
  flags.push_back({"help", "", "this text"});
  return flags;
}

bool configure(const CommandLine& line, AnyConfig& config, Arguments& arguments, const Console& console) {
  OptionTable& table = config.table();
  const std::vector<Flag> flags = flags_of(line.command);
  const std::vector<Assignment> file = line.config_path.empty() ? std::vector<Assignment>{} : read_config_file(line.config_path);
  if (std::any_of(line.arguments.begin(), line.arguments.end(), is_help)) {
    assign(table, file);
    const CommandText& text = command_text(line.command);
    console.out << "capstan " << line.command << " " << text.arguments << "\n" << text.help << "\n";
    print_flags(flags, console.out);
    console.out << "Keys of " << line.config_name << ", with their defaults where it says something else:\n" << help_text(table);
    return true;
  }
  try {
    arguments = parse_arguments(line.arguments, flags, &table);
  } catch (const ConfigError& e) {
    throw ConfigError(join_text(e.what(), "\n`capstan ", line.command, " ", line.config_name, " --help` shows the flags and keys"));
  }
  std::vector<Assignment> all = file;
  for (const Assignment& a : arguments.assignments) {
    require<ConfigError>(a.key != "recipe", "command line: recipe cannot be changed, it decides which keys there are");
    all.push_back(a);
  }
  assign(table, all);
  config.finish();
  if (arguments.has("print-config")) {
    console.out << to_config_text(table);
    return true;
  }
  return false;
}

Setup make_setup(const EngineOptions& options, Purpose purpose) {
  const TrainOptions& t = options.train;
  const std::int64_t micro = t.micro_batch_size == 0 ? t.batch_size : t.micro_batch_size;
  require<ConfigError>(t.batch_size % micro == 0, "train.micro_batch_size must divide train.batch_size, got ", micro, " and ",
                       t.batch_size);
  Setup s;
  s.purpose = purpose;
  s.seed = static_cast<std::uint64_t>(options.run.seed);
  s.threads = set_threads(options.run.threads);
  s.precision = t.precision;
  s.batch_size = micro;
  s.batches_per_step = t.batch_size / micro;
  s.epochs = t.epochs;
  s.evaluation_size = options.evaluate.batch_size;
  s.data_dir = options.run.data;
  s.json_answers = options.predict.format == AnswerFormat::jsonl;
  return s;
}

std::string run_directory(const EngineOptions& options, const CommandLine& line) {
  if (!options.run.dir.empty()) return expand_home(options.run.dir);
  const fs::path config = fs::path(line.config_path).stem();
  return join_text("runs/", options.recipe, "-", config.string());
}

std::string recipes_directory() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error), share = fs::path("share") / "capstan" / "recipes";
  const fs::path installed = program.parent_path().parent_path() / share;
  return (fs::is_directory(installed, error) ? installed : program.parent_path() / share).string();  // the second in a build directory
}

}  // namespace capstan::engine
