#pragma once
// The commands of `capstan` on one recipe, as one function template: main.cpp lists {R::name, run_recipe<R>}.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "data/file.h"
#include "recipes/engine/bench.h"
#include "recipes/engine/command_line.h"
#include "recipes/engine/train.h"

namespace capstan::engine {

/// Everything that a configuration of recipe R sets.
template <RecipeBasics R>
struct RecipeConfig {
  EngineOptions engine;
  typename R::Config recipe;

  template <class V>
  void visit(V& v) {
    engine.visit(v);
    recipe.visit(v);
  }
};

/// The files that predict reads and writes, "-" being the console's streams. The output appears when it is complete.
class PredictFiles {
 public:
  PredictFiles(const std::string& input, const std::string& output, const Console& console);
  ~PredictFiles();  ///< removes an output that was not finished
  PredictFiles(const PredictFiles&) = delete;
  PredictFiles& operator=(const PredictFiles&) = delete;
  std::istream& in() { return input_ ? *input_ : console_.in; }
  std::ostream& out() { return output_ ? *output_ : console_.out; }
  void finish();

 private:
  const Console& console_;
  std::string output_path_;
  std::unique_ptr<std::ifstream> input_;
  std::unique_ptr<std::ofstream> output_;
};

Split split_named(std::string_view name);
void print_metrics(const Metrics& metrics, std::string_view split, const Checkpoint& checkpoint, bool json, std::ostream& out);
/// Refuses a checkpoint that a run with this configuration cannot go on from; returns the other settings that differ, for the log.
std::vector<std::string> compare_for_resume(const Checkpoint& checkpoint, const CheckpointMeta& own, const OptionTable& table);

namespace detail {

template <RecipeBasics R>
struct Prepared {
  RecipeConfig<R> config;
  OptionTable table{config};
  Arguments arguments;
};

template <RecipeBasics R>
CheckpointMeta meta_of(const R& recipe, const Prepared<R>& p, const Setup& setup) {
  return {.recipe = std::string(R::name),
          .config = to_config_text(p.table, /*with_origin=*/false),
          .data_digest = recipe.data_digest(),
          .threads = setup.threads,
          .precision = to_text(setup.precision)};
}

template <RecipeBasics R>
typename R::Batch first_batch(R& recipe) {
  if constexpr (IndexedBatches<R>) {
    return std::as_const(recipe).make_batch(0, 0);
  } else {
    recipe.begin_epoch(0);
    auto batch = recipe.next_batch();
    require<DataError>(batch.has_value(), "train: the first epoch has no batch");
    return std::move(*batch);
  }
}

/// train --check: everything that can fail before training does, backward too; nothing is updated.
template <Recipe R>
int check(R& recipe, const Prepared<R>& p, const Setup& setup, const Console& console) {
  const auto batch = first_batch(recipe);
  const StepLoss<R> loss = gradient_step(recipe, std::span(&batch, 1), {.seed = setup.seed, .step = 0}).loss;
  for (const Parameter& parameter : recipe.parameters().parameters())
    console.out << parameter.name() << "  " << to_text(parameter.value()) << (parameter.trainable() ? "" : "  fixed") << "\n";
  const auto image = checkpoint_image(meta_of(recipe, p, setup), recipe.parameters(), &recipe.optimizer(), {}, {});
  console.out << recipe.parameters().numel() << " parameters, checkpoint " << bytes_text(static_cast<double>(image.size())) << ", "
              << recipe.batches_per_epoch() << " batches of " << setup.batch_size << " an epoch, " << setup.batches_per_step << " a step\n"
              << "loss of the first batch " << loss.total() << ", peak memory so far " << bytes_text(static_cast<double>(peak_rss_bytes()))
              << "\n";
  if (!loss.without_gradient.empty()) console.out << without_gradient_text(loss.without_gradient) << "\n";
  return kOk;
}

template <Recipe R>
int train_command(const CommandLine& line, Prepared<R>& p, const Console& console) {
  const EngineOptions& options = p.config.engine;
  const Setup setup = make_setup(options, Purpose::train);
  R recipe(p.config.recipe, setup);
  if (p.arguments.has("check")) return check(recipe, p, setup, console);

  const std::string directory = run_directory(options, line);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
  const RunLock lock(directory);
  const CheckpointMeta meta = meta_of(std::as_const(recipe), p, setup);
  TrainSession session(options, {.directory = directory,
                                 .meta = meta,
                                 .loss_terms = {R::loss_terms.begin(), R::loss_terms.end()},
                                 .selection = R::selection,
                                 .batches_per_epoch = recipe.batches_per_epoch(),
                                 .batches_per_step = setup.batches_per_step,
                                 .progress_fd = console.progress_fd});

  std::optional<optim::WeightAverage> average;
  if (options.train.ema_decay > 0) average.emplace(recipe.parameters().parameters(), options.train.ema_decay);
  optim::WeightAverage* const averages = average ? &*average : nullptr;
  std::optional<Checkpoint> from;
  std::vector<CheckpointDirectory::Rejected> rejected;
  std::vector<std::string> differences;
  const auto fits = [&](const Checkpoint& c) {
    c.require_recipe(R::name);
    differences = compare_for_resume(c, meta, p.table);
  };
  const std::string resume = p.arguments.value("resume");
  if (resume == "auto") {
    from = session.checkpoints().find_newest(fits, rejected);
  } else if (p.arguments.has("resume")) {
    from.emplace(resume);
    fits(*from);
  }
  for (const auto& r : rejected) console.err << "capstan: passed over " << r.path << ": " << r.reason << "\n";
  if (from) {
    restore(recipe, session, *from, averages);
    for (const auto& r : rejected) session.say(join_text("passed over ", r.path, ": ", r.reason));
    for (const std::string& d : differences) session.say("changed since the checkpoint: " + d);
    from.reset();  // the file's bytes
  } else {
    start(recipe, session);
  }
  data::write_file_durably(directory + "/config.cfg", std::string_view(to_config_text(p.table)));

  const StopSignals signals;  // until here a signal ends the program at once: there is nothing to save
  const StopReason reason = train(recipe, session, options, setup, meta, averages);
  console.out << directory << "  step " << session.state().step << "  " << text_of(reason) << "  " << session.best_text() << "\n";
  return reason == StopReason::signal ? 128 + stop_signal() : kOk;
}

/// A recipe with the parameters of a checkpoint; `use` gets it.
template <Recipe R, class Use>
int with_checkpoint(Prepared<R>& p, Purpose purpose, const Use& use) {
  require<ConfigError>(p.arguments.has("checkpoint"), "needs --checkpoint FILE");
  const Checkpoint checkpoint(p.arguments.value("checkpoint"));
  checkpoint.require_recipe(R::name);
  Setup setup = make_setup(p.config.engine, purpose);
  setup.artifacts = checkpoint.artifacts();
  R recipe(p.config.recipe, setup);
  checkpoint.load(recipe.parameters());
  const NoGrad paused;
  use(recipe, checkpoint);
  return kOk;
}

template <Recipe R>
int bench_command(const CommandLine& line, Prepared<R>& p, const Console& console) {
  const std::int64_t steps = engine::detail::parse_integer(p.arguments.value("steps", "20"));
  require<ConfigError>(steps >= 1 && steps <= 1000000, "bench: --steps must be between 1 and 1000000, got ", steps);
  const Setup setup = make_setup(p.config.engine, Purpose::bench);
  R recipe(p.config.recipe, setup);
  constexpr std::int64_t kDistinct = 4;  // different batches, made beforehand: the loader is not what is timed
  std::vector<std::vector<typename R::Batch>> batches(kDistinct);
  for (std::int64_t i = 0; i < kDistinct; ++i)
    for (std::int64_t m = 0; m < setup.batches_per_step; ++m)
      batches[static_cast<std::size_t>(i)].push_back(recipe.bench_batch(i * setup.batches_per_step + m));
  std::int64_t step = 0;
  const auto one = [&] {
    const auto& b = batches[static_cast<std::size_t>(step % kDistinct)];
    const double rate = std::as_const(recipe).learning_rate(step);
    const StepLoss<R> loss = train_step(recipe, std::span<const typename R::Batch>(b), {.seed = setup.seed, .step = step}, rate,
                                        p.config.engine.train.clip_norm);
    ++step;
    return loss.total();
  };
  BenchResult result = measure_steps(one, /*warmup=*/3, steps, setup.precision);
  result.name = line.config_name;
  result.items_per_step = std::as_const(recipe).items_per_step();
  result.flops_per_step = std::as_const(recipe).flops_per_step();
  result.threads = setup.threads;
  print_bench(result, p.arguments.has("json"), console.out);
  return kOk;
}

}  // namespace detail

template <Recipe R>
int run_recipe(const CommandLine& line, const Console& console) {
  detail::Prepared<R> p;
  p.config.engine.recipe = std::string(R::name);
  OptionTable& table = p.table;
  if (line.command == "options") {
    console.out << markdown_table(table);
    return kOk;
  }
  if (configure(line, table, p.arguments, console)) return kOk;
  if constexpr (requires { p.config.recipe.validate(); }) p.config.recipe.validate();

  if (line.command == "train") return detail::train_command(line, p, console);
  if (line.command == "bench") return detail::bench_command(line, p, console);
  if (line.command == "prepare") {
    const Setup setup = make_setup(p.config.engine, Purpose::prepare);
    if constexpr (Prepares<R>) {
      R::prepare(p.config.recipe, setup, console.out);
    } else {
      console.out << R::name << " needs no preparation\n";
    }
    return kOk;
  }
  if (line.command == "evaluate") {
    const std::string split = p.arguments.value("split", "test");
    const Split which = split_named(split);
    return detail::with_checkpoint(p, Purpose::evaluate, [&](R& recipe, const Checkpoint& c) {
      const bool json = p.arguments.has("json");
      if constexpr (StatesProtocol<R>) {
        if (!json) console.out << recipe.protocol(which);
      }
      const Metrics metrics = recipe.evaluate(which);
      require<ConfigError>(!metrics.empty(), "evaluate: with this configuration there is no ", split, " part to evaluate on");
      print_metrics(metrics, split, c, json, console.out);
    });
  }
  if (line.command == "predict") {
    require<ConfigError>(p.arguments.has("input") && p.arguments.has("output"), "predict: needs --input FILE|- and --output FILE|-");
    return detail::with_checkpoint(p, Purpose::predict, [&](R& recipe, const Checkpoint&) {
      PredictFiles files(p.arguments.value("input"), p.arguments.value("output"), console);
      recipe.predict(files.in(), files.out());
      files.finish();
    });
  }
  throw InternalError(join_text("command line: no command ", line.command));
}

}  // namespace capstan::engine
