#include "recipes/engine/command/command_line.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <istream>
#include <map>
#include <new>
#include <ostream>

#include "autograd/core/nearest_name.h"
#include "data/file.h"
#include "recipes/engine/command/inspect.h"
#include "recipes/engine/command/run_recipe.h"
#include "recipes/engine/command/tokenize.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".cfg";

constexpr std::string_view kUsageText =
    "usage: capstan COMMAND ...\n"
    "  train    CONFIG [section.key=value]... [--resume auto|FILE] [--check] [--print-config]\n"
    "  evaluate CONFIG --checkpoint FILE [section.key=value]... [--split validation|test] [--json]\n"
    "  predict  CONFIG --checkpoint FILE --input FILE|- --output FILE|- [section.key=value]...\n"
    "  prepare  CONFIG [section.key=value]...       build what training reads\n"
    "  bench    CONFIG [section.key=value]... [--steps N] [--json]\n"
    "  inspect  FILE                                what is in a checkpoint or data file\n"
    "  list     [--options RECIPE]                  recipes and their configurations\n"
    "  tokenize --vocab FILE [--cased] [--variant NAME]  lines of standard input as WordPiece tokens\n"
    "CONFIG is a file or recipe/name, such as those of `capstan list`. `capstan COMMAND CONFIG --help` shows all keys.\n"
    "Exit codes: 0 ok, 2 usage or configuration, 3 data, 4 input/output or disk full, 5 not a finite number,\n"
    "6 bad checkpoint, 70 internal error, 130 or 143 stopped by a signal after saving.\n";

struct CommandText {
  std::string_view name, help;
  std::vector<Flag> flags;
};

const std::vector<CommandText>& commands() {
  static const std::vector<CommandText> all = {
      {"train",
       "Trains a recipe and keeps checkpoints, metrics.jsonl and log.txt in run.dir.",
       {{"resume", "auto|FILE", "go on from the newest usable checkpoint of run.dir, or from a file"},
        {"check", "", "build the model, make one batch, run it forward and backward; train nothing"},
        {"print-config", "", "print the resolved configuration with the origin of every value, then stop"}}},
      {"evaluate",
       "Computes the metrics of a checkpoint.",
       {{"checkpoint", "FILE", "the model to evaluate"},
        {"split", "NAME", "validation or test (the default)"},
        {"json", "", "print one JSON line"},
        {"print-config", "", "print the resolved configuration, then stop"}}},
      {"predict",
       "Answers each line of the input with one line.",
       {{"checkpoint", "FILE", "the model to use"},
        {"input", "FILE|-", "lines to answer, - for standard input"},
        {"output", "FILE|-", "answers, - for standard output"},
        {"print-config", "", "print the resolved configuration, then stop"}}},
      {"prepare",
       "Builds what training reads: vocabulary, instances, splits.",
       {{"print-config", "", "print the resolved configuration, then stop"}}},
      {"bench",
       "Times training steps on random data.",
       {{"steps", "N", "steps to time (default 20)"},
        {"json", "", "print one JSON line"},
        {"print-config", "", "print the resolved configuration, then stop"}}},
      {"options", "", {}},
  };
  return all;
}

const CommandText& command_text(std::string_view name) {
  for (const CommandText& c : commands())
    if (c.name == name) return c;
  std::vector<std::string> known{"inspect", "list", "tokenize"};
  for (const CommandText& c : commands()) known.emplace_back(c.name);
  throw ConfigError(join_text("unknown command '", name, "'", suggestion(name, known), "\n", kUsageText));
}

std::vector<std::string> configs_of(std::string_view recipe) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(recipes_directory()) / recipe, error))
    if (entry.path().extension() == kExtension) names.push_back(std::string(recipe) + "/" + entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

// CONFIG: an existing file, or recipe/name.
std::string find_config(std::span<const RecipeEntry> recipes, const std::string& name) {
  std::error_code error;
  if (fs::is_regular_file(name, error)) return name;
  std::vector<std::string> known;
  for (const RecipeEntry& r : recipes)
    for (std::string& c : configs_of(r.name)) known.push_back(std::move(c));
  if (std::find(known.begin(), known.end(), name) != known.end())
    return (fs::path(recipes_directory()) / (name + std::string(kExtension))).string();
  std::string all;
  for (const std::string& k : known) all += " " + k;
  throw ConfigError(
      join_text("'", name, "' is neither a file nor one of the known configurations", suggestion(name, known), "\nknown are:", all));
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
  const std::vector<Flag> flags{{"options", "RECIPE", "all keys of a recipe as a Markdown table"}};
  const Arguments given = parse_arguments(arguments, flags, nullptr);
  if (given.has("options")) {
    const RecipeEntry& recipe = find_recipe(recipes, given.value("options"), "list");
    return run_recipe(recipe, {.command = "options", .config_path = {}, .config_name = {}, .arguments = {}}, console);
  }
  for (const RecipeEntry& r : recipes) {
    console.out << r.name << "\n";
    for (const std::string& c : configs_of(r.name)) console.out << "  " << c << "\n";
  }
  return kOk;
}

bool is_help(const std::string& a) { return a == "--help" || a == "-h"; }

int dispatch_command(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  if (arguments.empty()) throw ConfigError(std::string(kUsageText));
  const std::string& command = arguments[0];
  if (is_help(command) || command == "help") {
    console.out << kUsageText;
    return kOk;
  }
  if (command == "--version") {
    console.out << "capstan " << kVersion << "\n";
    return kOk;
  }
  const auto rest = arguments.subspan(1);
  if (command == "inspect" || command == "list" || command == "tokenize") {
    if (!rest.empty() && is_help(rest[0])) {
      console.out << kUsageText;
      return kOk;
    }
    if (command == "list") return list(recipes, rest, console);
    if (command == "tokenize") return tokenize(rest, console);
    require<ConfigError>(rest.size() == 1, "inspect: needs one file, got ", rest.size(), " arguments");
    inspect_file(rest[0], console.out);
    return kOk;
  }

  const CommandText& text = command_text(command);
  if (!rest.empty() && is_help(rest[0])) {
    console.out << "capstan " << command << " CONFIG [section.key=value]...\n" << text.help << "\n";
    for (const Flag& f : text.flags)
      console.out << "  --" << f.name << (f.value_name.empty() ? "" : " ") << f.value_name << "\n      " << f.help << "\n";
    console.out << "`capstan " << command << " CONFIG --help` lists the keys of a recipe too.\n";
    return kOk;
  }
  require<ConfigError>(!rest.empty() && !rest[0].starts_with("-"), command, ": the first argument must be CONFIG, a file or recipe/name");
  CommandLine line{.command = command,
                   .config_path = find_config(recipes, rest[0]),
                   .config_name = rest[0],
                   .arguments = {rest.begin() + 1, rest.end()}};
  for (const Assignment& a : read_config_file(line.config_path))
    if (a.key == "recipe") return run_recipe(find_recipe(recipes, a.value, a.origin), line, console);
  throw ConfigError(join_text(line.config_path, ": must name its recipe: recipe = NAME before the first section"));
}

}  // namespace

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
    console.err << "capstan: " << (code == kInternal ? "internal error: " : "") << e.what() << std::endl;
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
    console.out << "capstan " << line.command << " CONFIG [section.key=value]...\n" << command_text(line.command).help << "\n";
    for (const Flag& f : flags)
      console.out << "  --" << f.name << (f.value_name.empty() ? "" : " ") << f.value_name << "\n      " << f.help << "\n";
    console.out << "Keys and their defaults:\n" << help_text(table);
    return true;
  }
  arguments = parse_arguments(line.arguments, flags, &table);
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
