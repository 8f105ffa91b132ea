#include "recipes/engine/command/configure.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <ostream>
#include <string_view>

#include "autograd/core/error.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/stored_config.h"
#include "recipes/engine/system.h"

namespace capstan::engine {

namespace fs = std::filesystem;

namespace {

/// A flag of predict that stands for a key.
struct KeyedFlag {
  std::string_view flag, key, without;  ///< `without`: of a recipe that lacks the key
};
constexpr std::array<KeyedFlag, 3> kKeyedFlags{{{"what", "predict.task", "has one kind of answer"},
                                                {"pictures", "predict.pictures", "draws no pictures"},
                                                {"attention", "predict.pictures", "draws no pictures"}}};

}  // namespace

void print_flags(std::span<const Flag> flags, std::ostream& out) {
  for (const Flag& f : flags) out << "  --" << f.name << (f.value_name.empty() ? "" : " ") << f.value_name << "\n      " << f.help << "\n";
}

bool is_help(const std::string& a) { return a == "--help" || a == "-h"; }

bool configure(const CommandLine& line, AnyConfig& config, Arguments& arguments, const Console& console) {
  OptionTable& table = config.table();
  const std::vector<Flag> flags = flags_of(line.command);
  const std::vector<Assignment> file = line.config_path.empty() ? std::vector<Assignment>{} : read_config_file(line.config_path);
  const auto assign_all = [&](const std::vector<Assignment>& given) {
    return line.model ? assign_stored(table, line.model->config(), given, line.command == "evaluate")
                      : (assign(table, given), StoredConfigNotes{});
  };
  if (std::any_of(line.arguments.begin(), line.arguments.end(), is_help)) {
    assign_all(file);
    const CommandText& text = command_text(line.command);
    console.out << "capstan " << line.command << " " << text.arguments << "\n" << text.help << "\n";
    print_flags(flags, console.out);
    console.out << "Keys of " << line.config_name << ", with their defaults where it says something else:\n" << help_text(table);
    return true;
  }
  try {
    arguments = parse_arguments(line.arguments, flags, &table);
  } catch (const ConfigError& e) {
    const std::string_view named_by = line.model && line.config_path.empty() ? "--checkpoint " : "";
    throw ConfigError(
        join_text(e.what(), "\n`capstan ", line.command, " ", named_by, line.config_name, " --help` shows the flags and keys"));
  }
  std::vector<Assignment> all = file;
  for (const Assignment& a : arguments.assignments) {
    require<ConfigError>(a.key != "recipe", "command line: recipe cannot be changed, it decides which keys there are");
    all.push_back(a);
  }
  if (line.command == "predict")
    for (const KeyedFlag& f : kKeyedFlags) {
      if (!arguments.has(f.flag)) continue;
      require<ConfigError>(table.find(f.key) != nullptr, "predict: --", f.flag, ": the recipe ", config.engine().recipe, " ", f.without);
      all.push_back({.key = std::string(f.key), .value = arguments.value(f.flag), .origin = std::string(kCommandLineOrigin)});
    }
  const StoredConfigNotes notes = assign_all(all);
  std::vector<std::string> adopted;
  if (!line.model) {
    const EngineOptions& o = config.engine();
    const InitialModel model = initial_model_of(line, arguments, config);
    const auto adopt = [&] { return adopt_settings(table, model, o.init.strict, config.foreign_forms(), o.recipe); };
    adopted = model.resumed ? adopt() : named_by("init.from", adopt);
  }
  config.finish();
  const auto say = [&](std::string_view what, const std::vector<std::string>& which) {
    for (std::size_t i = 0; i < which.size(); ++i) console.err << (i == 0 ? what : "; ") << which[i] << (i + 1 == which.size() ? "\n" : "");
  };
  say("not known to this program, but set in the checkpoint: ", notes.unknown);
  say("other than in the checkpoint: ", notes.replaced);
  say("without effect on a trained model: ", notes.idle);
  say("as the model has it: ", adopted);
  if (arguments.has("print-config")) {
    console.out << to_config_text(table);
    return true;
  }
  return false;
}

std::string run_directory(const CommandLine& line, AnyConfig& config) {
  const std::string& dir = config.engine().run.dir;
  const bool said = config.table().find("run.dir")->origin == kCommandLineOrigin;
  return run_directory(said ? dir : "", said ? "" : dir, config.engine().recipe, line.config_path);
}

InitialModel initial_model_of(const CommandLine& line, const Arguments& arguments, AnyConfig& config) {
  return initial_model(config.engine().init, arguments.value("resume"), run_directory(line, config));
}

Setup make_setup(const EngineOptions& options, Purpose purpose, const Comm* comm) {
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
  if (comm != nullptr) s.rank = comm->rank(), s.ranks = comm->size();
  s.parts = t.reduce == Reduce::ordered ? t.parts : s.ranks;
  s.json_answers = options.predict.format == AnswerFormat::jsonl;
  return s;
}

std::string run_directory(std::string_view on_command_line, std::string_view in_file, std::string_view recipe,
                          const std::string& config_path) {
  if (!on_command_line.empty()) return expand_home(on_command_line);
  const fs::path path(config_path), folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  if (path.filename() == kRunConfig && fs::is_directory(folder / kCheckpointFolder, error)) return folder.string();
  if (!in_file.empty()) return expand_home(in_file);
  return config_path.empty() ? "" : join_text("runs/", recipe, "-", path.stem().string());
}

}  // namespace capstan::engine
