#include "recipes/engine/command/train_command.h"

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/checkpoint/initial_weights.h"
#include "recipes/engine/checkpoint/resume.h"
#include "recipes/engine/command/check.h"
#include "recipes/engine/command/lr_range.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/distributed/team.h"
#include "recipes/engine/pretrained/adopted.h"
#include "recipes/engine/profile/step_profile.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/report/run_record.h"
#include "recipes/engine/report/run_result.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"
#include "recipes/engine/train/train.h"

namespace capstan::engine {
namespace {

/// The metric that a run selects by; nothing if the recipe has no validation part.
std::optional<MetricInfo> selection_of(const AnyRecipe& recipe, Evaluator& evaluator, const TrainOptions& options) {
  const std::vector<MetricInfo> declared = evaluator.metrics(Split::validation);
  if (!declared.empty()) return selection(recipe, declared, options.metric);
  constexpr std::string_view kNone = ": with this configuration there is no validation part";
  require<ConfigError>(options.metric.empty(), "train.metric = ", options.metric, kNone);
  require<ConfigError>(options.patience == 0, "train.patience = ", options.patience, kNone);
  return std::nullopt;
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

/// What a run goes on from; nothing: it begins.
struct Origin {
  std::optional<Checkpoint> checkpoint;
  std::vector<CheckpointDirectory::Rejected> rejected;  ///< newer ones, passed over
  std::vector<std::string> differences;                 ///< of the configuration, since then
};

Origin origin_of(const Command& c, const Training& training, TrainSession& session, const CheckpointMeta& meta,
                 const std::string& directory) {
  Origin origin;
  const auto fits = [&](const Checkpoint& checkpoint) {
    checkpoint.require_recipe(training.recipe.name());
    origin.differences = compare_for_resume(checkpoint, meta, c.config.table());
  };
  const bool leads = training.comm == nullptr || training.comm->rank() == 0;
  const auto reading = training.sharded != nullptr ? Checkpoint::Reading::in_parts : Checkpoint::Reading::whole;
  if (!leads) {
    if (const std::string path = from_first(*training.comm, ""); !path.empty()) fits(origin.checkpoint.emplace(path, reading));
    return origin;
  }
  if (const std::string resume = c.arguments.value("resume"); resume == "auto") {
    origin.checkpoint = session.checkpoints().find_newest(fits, origin.rejected, reading);
  } else if (c.arguments.has("resume")) {
    origin.checkpoint.emplace(checkpoint_file(resume, directory), reading);
    session.checkpoints().require_room_for(origin.checkpoint->path());
    fits(*origin.checkpoint);
  }
  if (training.comm != nullptr) from_first(*training.comm, origin.checkpoint ? origin.checkpoint->path() : "");
  return origin;
}

/// Puts training and session where the checkpoint was.
void go_on(const Training& training, TrainSession& session, const Origin& origin) {
  const std::string before = origin.checkpoint->optimizer_name();
  const bool same = before.empty() || before == training.optimizer.name();
  restore(training, session, *origin.checkpoint, same);
  training.recipe.parameters().draw_waiting();
  for (const auto& r : origin.rejected) session.say(join_text("passed over ", r.path, ": ", r.reason));
  for (const std::string& d : origin.differences) session.say("changed since the checkpoint: " + d);
  if (!same) session.say(join_text("the optimiser was ", before, ", is ", training.optimizer.name(), ": it starts without state"));
}

/// result.json of a run that has ended by itself.
void keep_result(const std::string& directory, const TrainState& ended, StopReason reason, const std::optional<MetricInfo>& metric,
                 std::ostream& err) {
  try {
    write_result(directory, {.step = ended.step,
                             .epoch = ended.epoch,
                             .stopped = std::string(text_of(reason)),
                             .metric = metric,
                             .best = ended.best_metric,
                             .best_step = ended.best_step});
  } catch (const IoError& e) {  // what has been learnt is saved
    err << "capstan: warning: " << e.what() << "\n";
  }
}

/// What one does next with a run, said where it ends.
std::string next_text(const std::string& directory, const CheckpointDirectory& checkpoints, StopReason reason) {
  if (reason == StopReason::signal) return "the same command with --resume auto goes on from here";
  std::error_code error;
  const std::vector<std::int64_t> steps = checkpoints.steps();
  const bool best = std::filesystem::exists(checkpoints.best_file(), error);
  if (!best && steps.empty()) return "";
  return join_text("next: capstan evaluate --checkpoint ", best ? checkpoints.best_file() : checkpoints.file_of(steps.front()),
                   "; capstan report ", directory);
}

}  // namespace

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
  const auto recipe = first_then_others(comm, [&] { return make_recipe(c, setup); });
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

  Origin origin = origin_of(c, training, session, meta, directory);
  for (const auto& r : origin.rejected) c.console.err << "capstan: passed over " << r.path << ": " << r.reason << "\n";
  if (origin.checkpoint) {
    go_on(training, session, origin);
    origin.checkpoint.reset();  // the file's bytes
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
  if (leads && reason != StopReason::signal && reason != StopReason::spike)
    keep_result(directory, session.state(), reason, metric, c.console.err);
  c.console.out << directory << "  step " << session.state().step << "  " << text_of(reason) << "  " << session.best_text() << std::endl;
  if (const std::string next = leads ? next_text(directory, session.checkpoints(), reason) : ""; !next.empty())
    c.console.err << next << "\n";
  return reason == StopReason::signal ? 128 + stop_signal() : kOk;
}

}  // namespace capstan::engine
