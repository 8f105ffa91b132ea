#include "recipes/engine/command/run_recipe.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/output_file.h"
#include "recipes/engine/checkpoint/initial_weights.h"
#include "recipes/engine/checkpoint/resume.h"
#include "recipes/engine/child_process.h"
#include "recipes/engine/command/bench.h"
#include "recipes/engine/command/check.h"
#include "recipes/engine/command/generate.h"
#include "recipes/engine/command/lr_range.h"
#include "recipes/engine/command/predict.h"
#include "recipes/engine/command/sweep.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/distributed/team.h"
#include "recipes/engine/pretrained/adopted.h"
#include "recipes/engine/profile/profile_table.h"
#include "recipes/engine/profile/step_profile.h"
#include "recipes/engine/report/finding_file.h"
#include "recipes/engine/report/live_report.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/report/run_record.h"
#include "recipes/engine/report/run_result.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/metric_table.h"
#include "recipes/engine/terminal/terminal.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {
namespace {

/// A command on a configuration that has been read.
struct Command {
  const CommandLine& line;
  AnyConfig& config;
  const Arguments& arguments;
  const Console& console;
  const EngineOptions& options() const { return config.engine(); }
};

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

/// The metric that a run selects by; nothing if the recipe has no validation part.
std::optional<MetricInfo> selection_of(const AnyRecipe& recipe, Evaluator& evaluator, const TrainOptions& options) {
  const std::vector<MetricInfo> declared = evaluator.metrics(Split::validation);
  if (!declared.empty()) return selection(recipe, declared, options.metric);
  constexpr std::string_view kNone = ": with this configuration there is no validation part";
  require<ConfigError>(options.metric.empty(), "train.metric = ", options.metric, kNone);
  require<ConfigError>(options.patience == 0, "train.patience = ", options.patience, kNone);
  return std::nullopt;
}

/// Files that are written late are tried early: those of every section before training, else those of the command's own.
void require_outputs(const OptionTable& table, const std::string& command) {
  const bool all = command == "train" || command == "prepare";
  for (const Option& o : table.options())
    if (const std::string path = o.names_output ? o.get() : ""; !path.empty() && (all || o.key.starts_with(command + ".")))
      named_by(o.key, [&] { data::require_output(expand_home(path)); });
}

CheckpointMeta meta_of(const Command& c, const AnyRecipe& recipe) {
  return {.recipe = std::string(recipe.name()),
          .config = to_config_text(c.config.table(), /*with_origin=*/false),
          .data_digest = recipe.data_digest(),
          .threads = recipe.setup().threads,
          .precision = to_text(recipe.setup().precision)};
}

/// What a run does in place of training, if anything. Throws ConfigError for flags that do not go together.
struct LookAhead {
  bool check = false;
  std::optional<RateCurve> rates;

  explicit LookAhead(const Arguments& arguments) : check(arguments.has("check")) {
    require<ConfigError>(check || !arguments.has("parameters"), "train: --parameters goes with --check");
    if (arguments.has("lr-range"))
      rates.emplace(named_by("train: --lr-range", [&] { return parse_rate_range(arguments.value("lr-range")); }),
                    named_by("train: --steps", [&] { return parse_integer(arguments.value("steps", "100")); }));
    require<ConfigError>(rates || !arguments.has("steps"), "train: --steps goes with --lr-range");
    for (const std::string_view other : {"check", "resume", "profile"})
      require<ConfigError>(!rates || !arguments.has(other),
                           "train: --lr-range starts from the initial weights and keeps nothing: it does not go with --", other);
  }
  bool any() const { return check || rates; }
};

/// What is known of a run before its first step, in its directory. One that goes on by its own config.cfg keeps the name of the
/// configuration that it began with.
void write_about(const Command& c, AnyRecipe& recipe, Evaluator& evaluator, const std::string& metric, const std::string& directory) {
  const std::string path = join_text(directory, "/", kAboutFile);
  std::string config = c.line.config_name;
  std::error_code error;
  if (std::filesystem::equivalent(c.line.config_path, join_text(directory, "/", kRunConfig), error))
    if (const auto before = read_run(directory, /*own=*/true).about) config = before->config;
  const RunAbout about{.recipe = std::string(recipe.name()),
                       .config = std::move(config),
                       .metric = metric,
                       .metrics = evaluator.metrics(Split::validation),
                       .parameters = recipe.parameters().numel(),
                       .batches_per_epoch = recipe.batches_per_epoch(),
                       .batches_per_step = recipe.setup().batches_per_step,
                       .data = recipe.data_report()};
  data::write_file_durably(path, std::string_view(about_json(about)));
}

/// A digest for the value of each parameter, a line each.
std::string values_text(const nn::ParameterStore& parameters) {
  std::string text;
  for (const Parameter& p : parameters.parameters())
    dispatch_floating("train", p.dtype(), [&](auto zero) {
      const auto values = p.value().detach().span<const decltype(zero)>();
      text += join_text(p.name(), " of digest ", to_text(data::digest_of(std::as_bytes(values))), "\n");
    });
  return text;
}

int train_command(const Command& c) {
  const EngineOptions& options = c.options();
  std::optional<StepRange> profiled;
  if (c.arguments.has("profile")) profiled = named_by("train: --profile", [&] { return parse_step_range(c.arguments.value("profile")); });
  const LookAhead look(c.arguments);
  const std::vector<ForeignForm> forms = c.config.foreign_forms();
  Comm* comm = c.console.comm;
  std::optional<Watch> watch;
  if (comm != nullptr) {
    watch.emplace(*comm,
                  Watch::Options{.limits = {.silence_seconds = options.run.silence_seconds, .stall_seconds = options.run.stall_seconds}});
    comm = &watch->comm();
    watch->note(0, "reading the data");
  }
  const bool leads = comm == nullptr || comm->rank() == 0;
  require<ConfigError>(comm == nullptr || (!look.any() && !profiled), "train: --check, --lr-range and --profile run as one process");
  if (comm != nullptr) require_same_run(*comm, c.config.table());
  Setup setup = make_setup(options, Purpose::train, comm);
  const InitialModel initial = initial_model_of(c.line, c.arguments, c.config);
  setup.initial = initial_artifacts(initial, forms, options.recipe);
  setup.resumed = initial.resumed;
  setup.values_wait = true;
  const auto recipe = first_then_others(comm, [&] { return c.config.make(setup); });
  if (comm != nullptr) require_same(*comm, "the data", join_text("data of digest ", recipe->data_digest()));
  apply_to_parameters(options.optimizer, recipe->parameters());
  const TrainedOptimizer trained(options, *recipe, comm);
  optim::Optimizer& optimizer = trained.optimizer();
  Evaluator evaluator(*recipe, options.evaluate, c.console.progress_fd, comm);
  const std::optional<MetricInfo> metric = selection_of(*recipe, evaluator, options.train);
  const std::int64_t batches = recipe->batches_per_epoch();
  const std::int64_t steps_per_epoch = (batches + setup.batches_per_step - 1) / setup.batches_per_step;
  const std::string shortened = shortened_warmup(options.schedule, options.train.epochs, steps_per_epoch);
  Training training{
      .recipe = *recipe,
      .optimizer = optimizer,
      .schedule = make_schedule(options.schedule, options.optimizer.learning_rate, options.train.epochs, steps_per_epoch),
      .evaluator = evaluator,
      .comm = comm,
      .exchange = {.reduce = options.train.reduce, .parts = options.train.parts, .wire = options.train.wire, .shares = trained.shares()},
      .sharded = trained.sharded(),
      .watch = watch ? &*watch : nullptr};
  const auto recipes_choice = metric ? selection(*recipe, evaluator.metrics(Split::validation), "") : MetricInfo{};
  std::vector<std::string> start_report;
  const auto take_initial_weights = [&] {
    recipe->parameters().draw_waiting();  // all: of a table, init.from may fill some rows
    if (!options.init.from.empty()) start_report = start_from_weights(options.init, forms, *recipe);
  };
  const std::string directory = run_directory(c.line, c.config);
  const CheckpointMeta meta = meta_of(c, *recipe);
  std::optional<optim::WeightAverage> average;
  if (look.any()) {
    if (!shortened.empty()) c.console.out << shortened << "\n";
    take_initial_weights();
    for (const std::string& line : start_report) c.console.out << line << "\n";
    if (look.rates) return run_rate_range(training, options, *look.rates, directory, c.console);
    if (options.train.ema_decay > 0) training.average = &average.emplace(recipe->parameters().parameters(), options.train.ema_decay);
    return check_run({.training = training,
                      .options = options,
                      .meta = meta,
                      .directory = directory,
                      .metric = metric,
                      .parameters = c.arguments.has("parameters")},
                     c.console);
  }

  c.config.table().find("run.dir")->set(directory);  // so that config.cfg leads back here
  std::optional<RunLock> lock;
  if (leads) {
    data::create_directories_durably(directory);
    lock.emplace(directory);
    data::remove_unfinished(directory);
  }
  TrainSession session(options, {.directory = leads ? directory : "",
                                 .meta = meta,
                                 .loss_terms = recipe->loss_terms(),
                                 .selection = metric,
                                 .default_metric = recipes_choice.name,
                                 .batches_per_epoch = batches,
                                 .batches_per_step = setup.batches_per_step,
                                 .progress_fd = c.console.progress_fd});
  if (options.train.ema_decay > 0) training.average = &average.emplace(recipe->parameters().parameters(), options.train.ema_decay);

  std::optional<Checkpoint> from;
  std::vector<CheckpointDirectory::Rejected> rejected;
  std::vector<std::string> differences;
  const auto fits = [&](const Checkpoint& checkpoint) {
    checkpoint.require_recipe(recipe->name());
    differences = compare_for_resume(checkpoint, meta, c.config.table());
  };
  const std::string resume = c.arguments.value("resume");
  const auto reading = training.sharded != nullptr ? Checkpoint::Reading::in_parts : Checkpoint::Reading::whole;
  if (!leads) {
    if (const std::string path = from_first(*comm, ""); !path.empty()) fits(from.emplace(path, reading));
  } else if (resume == "auto") {
    from = session.checkpoints().find_newest(fits, rejected, reading);
  } else if (c.arguments.has("resume")) {
    from.emplace(checkpoint_file(resume, directory), reading);
    session.checkpoints().require_room_for(from->path());
    fits(*from);
  }
  if (leads && comm != nullptr) from_first(*comm, from ? from->path() : "");
  for (const auto& r : rejected) c.console.err << "capstan: passed over " << r.path << ": " << r.reason << "\n";
  if (from) {
    const std::string before = from->optimizer_name();
    const bool same = before.empty() || before == optimizer.name();
    restore(training, session, *from, same);
    recipe->parameters().draw_waiting();
    for (const auto& r : rejected) session.say(join_text("passed over ", r.path, ": ", r.reason));
    for (const std::string& d : differences) session.say("changed since the checkpoint: " + d);
    if (!same) session.say(join_text("the optimiser was ", before, ", is ", optimizer.name(), ": it starts without state"));
    from.reset();  // the file's bytes
  } else {
    take_initial_weights();
    start(training, session);
    for (const std::string& line : start_report) session.say(line);
  }
  if (comm != nullptr) {
    require_same(*comm, "the model", values_text(recipe->parameters()));
    session.say(team_text(*comm, setup.threads));
  }
  for (const std::string& line : data::lines_of(recipe->data_report())) session.say(line);
  if (!shortened.empty()) session.say(shortened);
  if (const std::string text = overfit_text(options.train); !text.empty()) session.say(text);
  if (leads) {
    write_about(c, *recipe, evaluator, metric ? metric->name : "", directory);
    data::write_file_durably(join_text(directory, "/", kRunConfig), std::string_view(to_config_text(c.config.table())));
  }

  std::optional<StepProfile> profile;
  if (profiled)
    training.profile = &profile.emplace(*profiled, join_text(directory, "/trace.json"), setup.precision,
                                        [&session](const std::string& line) { session.say(line); });
  const StopSignals signals;  // until here a signal ends the program at once: there is nothing to save
  if (leads) remove_result(directory);
  const StopReason reason = train(training, session, options, meta);
  if (leads && reason != StopReason::signal && reason != StopReason::spike) {
    const TrainState& ended = session.state();
    try {
      write_result(directory, {.step = ended.step,
                               .epoch = ended.epoch,
                               .stopped = std::string(text_of(reason)),
                               .metric = metric,
                               .best = ended.best_metric,
                               .best_step = ended.best_step});
    } catch (const IoError& e) {  // what has been learnt is saved
      c.console.err << "capstan: warning: " << e.what() << "\n";
    }
  }
  c.console.out << directory << "  step " << session.state().step << "  " << text_of(reason) << "  " << session.best_text() << "\n";
  return reason == StopReason::signal ? 128 + stop_signal() : kOk;
}

/// A recipe with the parameters of the checkpoint that is used.
std::unique_ptr<AnyRecipe> recipe_of(const Command& c, Purpose purpose) {
  require<ConfigError>(c.line.model != nullptr, c.line.command, ": needs --checkpoint FILE");
  Setup setup = make_setup(c.options(), purpose);
  setup.artifacts = c.line.model->artifacts();
  setup.checkpoint_step = c.line.model->step();
  setup.values_wait = true;
  auto recipe = c.config.make(setup);
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
    if (!c.config.prepare(setup, c.console.out)) c.console.out << name << " needs no preparation\n";
    return kOk;
  }
  const std::string file = named_by("prepare: --preview", [&] {
    std::string path = data::regular_output(expand_home(c.arguments.value("preview")));
    data::require_output(path);
    return path;
  });
  const std::optional<Preview> preview = c.config.preview(setup);
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
  const auto recipe = c.config.make(setup);
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
