#include "recipes/engine/command/run_recipe.h"

#include <algorithm>
#include <optional>
#include <ostream>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/output_file.h"
#include "recipes/engine/child_process.h"
#include "recipes/engine/command/bench.h"
#include "recipes/engine/command/command.h"
#include "recipes/engine/command/generate.h"
#include "recipes/engine/command/predict.h"
#include "recipes/engine/command/sweep.h"
#include "recipes/engine/command/train_command.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/evaluate/evaluate.h"
#include "recipes/engine/profile/profile_table.h"
#include "recipes/engine/report/finding_file.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/metric_table.h"
#include "recipes/engine/terminal/terminal.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {
namespace {

Split split_named(std::string_view name) {
  if (name == name_of(Split::validation)) return Split::validation;
  require<ConfigError>(name == name_of(Split::test), "--split must be validation or test, got '", name, "'");
  return Split::test;
}

void print_metrics(const Metrics& metrics, Split split, const UsedModel& model, bool json, const Console& console) {
  std::ostream& out = console.out;
  if (json) {
    JsonRow row{{"step", model.step()}, {"split", std::string(name_of(split))}, {"checkpoint", model.path()}};
    for (const Metric& m : metrics) row.emplace_back(m.name, m.value);
    out << to_json(row) << "\n";
  } else if (is_terminal(console.out_fd)) {
    out << to_text(metric_table(metrics), columns_of(console.out_fd));
  } else {
    for (const Metric& m : metrics) out << m.name << "  " << join_text(m.value) << "\n";
  }
}

/// Files that are written late are tried early: those of every section before training, else those of the command's own.
void require_outputs(const OptionTable& table, const std::string& command) {
  const bool all = command == "train" || command == "prepare";
  for (const Option& o : table.options())
    if (const std::string path = o.names_output ? o.get() : ""; !path.empty() && (all || o.key.starts_with(command + ".")))
      named_by(o.key, [&] { data::require_output(expand_home(path)); });
}

/// A recipe with the parameters of the checkpoint that is used.
std::unique_ptr<AnyRecipe> recipe_of(const Command& c, Purpose purpose) {
  require<ConfigError>(c.line.model != nullptr, c.line.command, ": needs --checkpoint FILE");
  Setup setup = make_setup(c.options(), purpose);
  setup.artifacts = c.line.model->artifacts();
  setup.checkpoint_step = c.line.model->step();
  setup.values_wait = true;
  auto recipe = make_recipe(c, setup);
  const UsedModel::Loaded loaded = c.line.model->load(*recipe, c.config.foreign_forms());
  recipe->parameters().draw_waiting();
  require_whole(loaded, *c.line.model, purpose == Purpose::predict ? recipe->unread_by_answers() : std::vector<std::string>());
  for (const std::string& said : loaded.said) c.console.err << said << "\n";
  return recipe;
}

int evaluate_command(const Command& c) {
  const Split split = split_named(c.arguments.value("split", name_of(Split::test)));
  const auto recipe = recipe_of(c, Purpose::evaluate);
  const bool json = c.arguments.has("json");
  const std::string findings = c.arguments.has("findings") ? expand_home(c.arguments.value("findings")) : "";
  if (!findings.empty()) named_by("evaluate: --findings", [&] { data::require_output(findings); });
  Evaluator evaluator(*recipe, c.options().evaluate, c.console.progress_fd);
  require<DataError>(!evaluator.metrics(split).empty(), "evaluate: with this configuration there is no ", name_of(split),
                     " part to evaluate on");
  for (const std::string& line : data::lines_of(recipe->data_report())) c.console.err << line << "\n";
  if (!json) c.console.out << recipe->protocol(split);
  std::vector<Finding> shown;
  const Metrics metrics = evaluator.run(split, [&](const Metrics&, const std::function<std::vector<Finding>()>& find) {
    if (!findings.empty()) shown = find();
  });
  print_metrics(metrics, split, *c.line.model, json, c.console);
  if (findings.empty()) return kOk;
  if (shown.empty()) c.console.err << "capstan: the recipe " << recipe->name() << " shows nothing beside its metrics\n";
  data::write_output(findings, findings_json(c.line.model->step(), name_of(split), shown));
  return kOk;
}

/// What predict.format says, or the end of the output's name.
AnswerFormat answer_format(const Command& c, std::string_view output) {
  const Option& option = *c.config.table().find("predict.format");
  const AnswerFormat chosen = c.options().predict.format;
  const bool npy = output.ends_with(".npy"), hdf5 = output.ends_with(".h5") || output.ends_with(".hdf5");
  if (npy || hdf5) {
    const AnswerFormat named = npy ? AnswerFormat::npy : AnswerFormat::hdf5;
    require<ConfigError>(option.origin != kCommandLineOrigin || chosen == named, "predict: predict.format = ", option.get(),
                         " does not fit --output ", output);
    return named;
  }
  require<ConfigError>(output != "-" || chosen == AnswerFormat::tsv || chosen == AnswerFormat::jsonl,
                       "predict: predict.format = ", option.get(), " needs --output FILE");
  return chosen;
}

int predict_command(const Command& c) {
  require<ConfigError>(c.arguments.has("input") && c.arguments.has("output"), "predict: needs --input FILE|- and --output FILE|-");
  const std::string input = c.arguments.value("input"), output = c.arguments.value("output");
  const AnswerFormat format = answer_format(c, output);
  const auto recipe = recipe_of(c, Purpose::predict);
  for (const std::string& line : data::lines_of({.facts = {}, .warnings = recipe->data_report().warnings})) c.console.err << line << "\n";
  const std::int64_t batch_size = c.options().predict.batch_size;
  if (format == AnswerFormat::npy || format == AnswerFormat::hdf5) {
    const Option* const task = c.config.table().find("predict.task");
    require<ConfigError>(recipe->row_width() > 0, "predict: npy and hdf5 hold rows of numbers, but the answers of ", recipe->name(),
                         task == nullptr ? "" : " with predict.task = ", task == nullptr ? "" : task->get(), " are text");
    PredictFiles files(input, "-", c.console);
    RowFile rows(output, format, recipe->row_width());
    const bool any = predict_rows(*recipe, files.in(), rows, batch_size, c.console.err);
    files.finish();
    rows.commit();
    return any ? kOk : kData;
  }
  PredictFiles files(input, output, c.console);
  const bool any = predict(*recipe, files.in(), files.out(), batch_size, c.console.err);
  files.finish();
  return any ? kOk : kData;
}

int generate_command(const Command& c) {
  const auto recipe = recipe_of(c, Purpose::predict);
  require<ConfigError>(recipe->generates(), "generate: the recipe ", recipe->name(), " does not go on with a text");
  const std::string prompt = c.arguments.value("prompt", "-");
  return generate(*recipe, prompt == "-" ? whole_input(c.console.in) : prompt, c.console.out);
}

int prepare_command(const Command& c) {
  const std::string& name = c.options().recipe;
  Setup setup = make_setup(c.options(), Purpose::prepare);
  setup.initial = initial_artifacts(initial_model_of(c.line, c.arguments, c.config), c.config.foreign_forms(), name);
  if (!c.arguments.has("preview")) {
    if (!told_with("", use_text(c), [&] { return c.config.prepare(setup, c.console.out); }))
      c.console.out << name << " needs no preparation\n";
    return kOk;
  }
  const std::string file = named_by("prepare: --preview", [&] {
    std::string path = data::regular_output(expand_home(c.arguments.value("preview")));
    data::require_output(path);
    return path;
  });
  const std::optional<Preview> preview = told_with("", use_text(c), [&] { return c.config.preview(setup); });
  require<ConfigError>(preview.has_value(), "prepare: --preview: the recipe ", name, " has no pictures of its training data");
  data::write_png(file, preview->page);
  for (const std::string& caption : preview->captions) c.console.out << caption << "\n";
  return kOk;
}

int bench_command(const Command& c) {
  const std::int64_t steps = named_by("bench: --steps", [&] { return parse_integer(c.arguments.value("steps", "20")); });
  require<ConfigError>(steps >= 1 && steps <= 1000000, "bench: --steps must be between 1 and 1000000, got ", steps);
  Comm* const comm = c.console.comm;
  Setup setup = make_setup(c.options(), c.config.benches_without_data() ? Purpose::bench : Purpose::train, comm);
  setup.batch_size = std::max<std::int64_t>(1, setup.batch_size / setup.ranks);
  const auto recipe = make_recipe(c, setup);
  if (c.arguments.has("what")) {
    const std::string what = c.arguments.value("what");
    if (what == "steps") {
      BenchSteps step(*recipe, c.options());
      double loss = 0;
      for (std::int64_t i = 0; i < steps; ++i) loss = step();
      c.console.out << to_json({{"steps", steps}, {"loss", loss}}) << "\n";
      return kOk;
    }
    const std::string measured = recipe->bench_of(what);
    require<ConfigError>(!measured.empty(), "bench: --what: the recipe ", recipe->name(), " cannot time '", what, "'");
    c.console.out << measured << "\n";
    return kOk;
  }
  const std::string trace = named_by("bench: --profile", [&] {
    std::string path = c.arguments.has("profile") ? data::regular_output(expand_home(c.arguments.value("profile"))) : "";
    if (!path.empty()) data::require_output(path);
    return path;
  });
  BenchResult result = bench(*recipe, c.options(), steps, comm);
  result.name = c.line.config_name;
  print_bench(result, c.arguments.has("json"), c.console.out);
  if (!trace.empty()) {
    data::write_file_durably(trace, std::string_view(chrome_trace(result.profile)));
    if (!c.arguments.has("json")) c.console.out << profile_table(result.lines, result.rates, result.profiled_steps);
  }
  return kOk;
}

}  // namespace

int run_recipe(const RecipeEntry& recipe, const CommandLine& line, const Console& console) {
  if (line.command == "sweep") return sweep(recipe, line, console, become_this_program);
  const auto config = recipe.configuration();
  Arguments arguments;
  if (configure(line, *config, arguments, console)) return kOk;
  const Command c{line, *config, arguments, console};
  require_outputs(config->table(), line.command);
  if (line.command == "train") return train_command(c);
  if (line.command == "evaluate") return evaluate_command(c);
  if (line.command == "predict") return predict_command(c);
  if (line.command == "generate") return generate_command(c);
  if (line.command == "bench") return bench_command(c);
  if (line.command == "prepare") return prepare_command(c);
  throw InternalError(join_text("command line: no command ", line.command));
}

}  // namespace capstan::engine
