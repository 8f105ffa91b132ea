#include "recipes/engine/command/check.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/storage.h"
#include "autograd/tape/operation_log.h"
#include "data/data_report.h"
#include "recipes/engine/profile/model_summary.h"
#include "recipes/engine/room.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/terminal.h"
#include "recipes/engine/train/trial_steps.h"

namespace capstan::engine {
namespace {

constexpr std::int64_t kTimedSteps = 3, kMostTimedSteps = 100;
constexpr double kShortSeconds = 0.1, kPatientSeconds = 2;  // more steps where they are short, fewer where they are long
constexpr double kValidationSeconds = 1.5;                  // for the timed batches of a validation
constexpr std::size_t kInputsShown = 6;

AnyBatch first_batch(AnyRecipe& recipe) {
  recipe.begin_epoch(0);
  if (recipe.sequential()) {
    auto batch = recipe.next_batch();
    require<DataError>(batch.has_value(), "train: the first epoch has no batch");
    return *batch;
  }
  require<DataError>(recipe.batches_per_epoch() > 0, "train: the first epoch has no batch");
  EpochOrder order(recipe);
  return training_batch(recipe, order, 0, 0);
}

double tensor_bytes(const Tensor& t) { return static_cast<double>(t.numel()) * static_cast<double>(size_of(t.dtype())); }

/// What the first batch tells.
struct FirstStep {
  StepLoss loss;
  std::vector<LayerLine> lines;
  std::vector<std::string> inputs;
  double gradients = 0, activations = 0, most = 0;  ///< bytes; `most`: of both and what is needed for a moment
};

FirstStep first_step(AnyRecipe& recipe, const AnyBatch& batch, const StepKey& key) {
  FirstStep first;
  const std::span<const Parameter> parameters = recipe.parameters().parameters();
  const auto live = memory_stats().live;
  {
    const OperationLog log;
    reset_peak_memory();
    StepGradients step = gradient_step(recipe, std::span(&batch, 1), key);
    first.most = static_cast<double>(memory_stats().peak_live - live);
    for (const Gradient& g : step.gradients)
      if (g.defined()) first.gradients += tensor_bytes(g.is_sparse() ? g.row_values() : g.dense());
    first.lines = layer_lines(parameters, work_of_layers(log.events(), log.operations(), parameters));
    first.inputs = inputs_of_pass(log.events(), log.operations(), parameters);
    first.loss = std::move(step.loss);
  }
  const auto before = memory_stats().live;
  Tape tape;
  const std::vector<Tensor> loss = recipe.loss(batch, key.run(0));
  first.activations = static_cast<double>(memory_stats().live) - static_cast<double>(before);
  return first;
}

std::int64_t steps_of_epoch(const AnyRecipe& recipe) {
  const std::int64_t of_step = recipe.setup().batches_per_step;
  return (recipe.batches_per_epoch() + of_step - 1) / of_step;
}

std::int64_t steps_of_run(const Check& check) {
  const TrainOptions& o = check.options.train;
  const std::int64_t all = o.epochs * steps_of_epoch(check.training.recipe);
  return o.max_steps > 0 ? std::min(o.max_steps, all) : all;
}

struct Timing {
  std::int64_t steps = 0;                ///< timed; 0: `step` is the first one's, warm-up and all
  double step = 0, items = 0, wait = 0;  ///< a step: seconds, items, seconds waited for batches
  double make = 0;                       ///< seconds that a loader's thread takes for the batches of a step
};

Timing time_steps(const Check& check) {
  AnyRecipe& recipe = check.training.recipe;
  Timing t;
  if (!recipe.sequential() && check.options.loader.workers > 0) {
    EpochOrder order(recipe);
    const double start = wall_seconds();
    training_batch(recipe, order, 0, recipe.batches_per_epoch() > 1 ? 1 : 0);
    t.make = (wall_seconds() - start) * static_cast<double>(recipe.setup().batches_per_step);
  }
  TrialSteps steps(check.training, check.options);
  const auto step = [&] {
    const double start = wall_seconds();
    const StepLoss loss = steps.next(check.training.schedule(steps.done()));
    if (optim::WeightAverage* average = check.training.average) {
      check.training.optimizer.synchronize();
      average->update(steps.done());
    }
    t.items = loss.items;
    return wall_seconds() - start;
  };
  t.step = step();
  const std::int64_t most = std::min(kMostTimedSteps, steps_of_run(check) - 1);
  if (t.step > kPatientSeconds || most < 1) return t;
  const double waited = steps.wait_seconds();
  double seconds = 0;
  while (t.steps < most && seconds < (t.steps < kTimedSteps ? kPatientSeconds : kShortSeconds)) {
    seconds += step();
    ++t.steps;
  }
  t.step = seconds / static_cast<double>(t.steps);
  t.wait = (steps.wait_seconds() - waited) / static_cast<double>(t.steps);
  return t;
}

/// Seconds of a validation, from some of its batches; nothing if it cannot be told how many there are.
std::optional<double> validation_seconds(const Check& check) {
  AnyRecipe& recipe = check.training.recipe;
  const std::int64_t batch_size = check.options.evaluate.batch_size;
  const NoGrad paused;
  const auto evaluation = recipe.evaluation(Split::validation);
  const BatchSource batches = evaluation_batches(recipe, Split::validation, batch_size);
  const double start = wall_seconds();
  std::int64_t done = 0;
  double first = 0;
  for (auto batch = batches(); batch; batch = batches()) {
    evaluation->add(*batch);
    const double now = wall_seconds() - start;
    if (++done == 1) first = now;
    if (now < kValidationSeconds) continue;
    if (recipe.sequential()) return std::nullopt;
    const std::int64_t all = (recipe.size(Split::validation) + batch_size - 1) / batch_size;
    const double each = done > 1 ? (now - first) / static_cast<double>(done - 1) : first;
    return now + each * static_cast<double>(all - done);
  }
  return wall_seconds() - start;
}

/// "0.23 ms", "4.1 s", "12 min 5 s", "3 h 20 min", "2 d 4 h"
std::string seconds_text(double seconds) {
  if (seconds < 59.95) {
    const double value = seconds < 0.0995 ? 1e3 * seconds : seconds;
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), value < 0.995 ? "%.2f" : value < 9.95 ? "%.1f" : "%.0f", value);
    return join_text(text.data(), seconds < 0.0995 ? " ms" : " s");
  }
  struct Unit {
    std::int64_t seconds;
    std::string_view name, below;
    std::int64_t of_below;
  };
  constexpr std::array<Unit, 3> kUnits{{{86400, "d", "h", 3600}, {3600, "h", "min", 60}, {60, "min", "s", 1}}};
  const auto whole = static_cast<std::int64_t>(std::min(seconds, 1e15) + 0.5);
  const Unit& unit = *std::ranges::find_if(kUnits, [&](const Unit& u) { return whole >= u.seconds; });
  return join_text(whole / unit.seconds, " ", unit.name, " ", whole % unit.seconds / unit.of_below, " ", unit.below);
}

std::string plural(std::int64_t n, std::string_view one, std::string_view many) {
  return join_text(data::grouped(n), " ", n == 1 ? one : many);
}

/// Lines below each other under a heading.
class CheckSection {
 public:
  CheckSection(std::ostream& out, std::string_view heading) : out_(out) { out_ << "\n" << heading << "\n"; }
  void line(std::string_view what, std::string_view value) { out_ << "  " << padded(what, 16) << value << "\n"; }

 private:
  std::ostream& out_;
};

void print_model(const Check& check, const FirstStep& first, const Console& console) {
  std::ostream& out = console.out;
  const std::span<const Parameter> parameters = check.training.recipe.parameters().parameters();
  const bool terminal = is_terminal(console.out_fd);
  out << (check.parameters ? parameter_lines(parameters)
                           : layer_table(first.lines, terminal ? columns_of(console.out_fd) : std::numeric_limits<std::size_t>::max()));
  std::int64_t fixed = 0;
  for (const Parameter& p : parameters)
    if (!p.trainable()) fixed += p.shape().numel();
  out << plural(check.training.recipe.parameters().numel(), "parameter", "parameters") << " in "
      << plural(std::ssize(parameters), "tensor", "tensors") << (fixed > 0 ? join_text(", ", data::grouped(fixed), " of them fixed") : "")
      << ", computed in " << to_text(check.training.recipe.setup().precision) << "\n";
  std::string inputs;
  for (std::size_t i = 0; i < std::min(first.inputs.size(), kInputsShown); ++i) inputs += (i == 0 ? "" : ", ") + first.inputs[i];
  if (!inputs.empty()) out << "reads of a batch " << inputs << (first.inputs.size() > kInputsShown ? ", ..." : "") << "\n";
  out << "loss of the first batch " << first.loss.total() << "\n";
  if (!first.loss.without_gradient.empty()) out << without_gradient_text(first.loss.without_gradient) << "\n";
  if (check.metric)
    out << "selects by " << check.metric->name << ", " << (check.metric->goal == Goal::minimize ? "lower" : "higher") << " is better\n";
}

/// Bytes of the file of a checkpoint, about: building one would take three times as many.
double checkpoint_bytes(const Check& check, double weights, double state) {
  constexpr double kOfATensor = 1024;  // that describe it
  const Training& t = check.training;
  const double models = t.average != nullptr ? 2 : 1;
  double bytes = static_cast<double>(check.meta.config.size()) + models * weights + state;
  double tensors =
      models * static_cast<double>(t.recipe.parameters().parameters().size()) + static_cast<double>(t.optimizer.state().size());
  for (const NamedTensors& named : {t.recipe.artifacts(), t.recipe.state()})
    for (const auto& [name, tensor] : named) {
      bytes += tensor_bytes(tensor);
      tensors += 1;
    }
  return bytes + kOfATensor * tensors;
}

void print_room(const Check& check, const FirstStep& first, std::ostream& out) {
  const Training& t = check.training;
  double weights = 0, state = 0;
  for (const Parameter& p : t.recipe.parameters().parameters()) weights += tensor_bytes(p.value());
  for (const optim::OptimizerState& s : t.optimizer.state()) state += tensor_bytes(s.value);
  const double image = checkpoint_bytes(check, weights, state);
  const auto some = [](double bytes) { return bytes_text(bytes); };
  CheckSection memory(out, "memory");
  memory.line("weights", some(weights));
  memory.line("gradients", some(first.gradients));
  memory.line("optimiser", join_text(some(state), " of ", t.optimizer.name()));
  if (t.average != nullptr) memory.line("averages", some(weights));
  memory.line("activations", join_text(some(first.activations), ", of a forward pass over ", t.recipe.setup().batch_size,
                                       ", measured; with gradients and scratch memory ", some(first.most)));
  memory.line("this process", join_text(some(static_cast<double>(peak_rss_bytes())), " at most so far; a save takes up to ",
                                        some(3 * image), " more for a moment"));
  const auto room = memory_room();
  if (room) memory.line("left", join_text(some(room->bytes), " (", room->limited_by, ")"));

  const CheckpointOptions& c = check.options.checkpoint;
  const double files = static_cast<double>(c.keep_last + c.keep_best + 1) * image;
  const auto disk = disk_room(check.directory);
  CheckSection space(out, "disk");
  space.line("a checkpoint", join_text("about ", some(image)));
  space.line("all of them", join_text(some(files), ": checkpoint.keep_last = ", c.keep_last, ", checkpoint.keep_best = ", c.keep_best,
                                      ", one while it is written"));
  if (disk) space.line("left", join_text(some(*disk), " for ", check.directory));
  if (room && room->bytes < 3 * image)
    out << "warning: memory may not do for saving a checkpoint: " << some(3 * image) << " for a moment, " << some(room->bytes)
        << " are left (" << room->limited_by << ")\n";
  if (disk && *disk < files)
    out << "warning: the checkpoints will not fit on the disk: they need " << some(files) << ", " << some(*disk) << " are left for "
        << check.directory << "\n";
}

void print_time(const Check& check, const Timing& t, std::optional<double> validation, std::ostream& out) {
  const EngineOptions& o = check.options;
  AnyRecipe& recipe = check.training.recipe;
  const std::int64_t of_step = recipe.setup().batches_per_step, steps = steps_of_epoch(recipe), limit = o.train.max_steps,
                     all = steps_of_run(check);
  const double made = t.make / static_cast<double>(std::max<std::int64_t>(1, o.loader.workers)), step = std::max(t.step, made);
  CheckSection time(out, t.steps == 0 ? "time, an estimate from one step"
                                      : join_text("time, an estimate from ", plural(t.steps, "step", "steps"), " after one to warm up"));
  std::string of_a_step = join_text(seconds_text(step), ", ", short_number(t.items / step), " items/s");
  if (made > t.step) {
    of_a_step += join_text("; the loader sets the pace: loader.workers = ", o.loader.workers, " make its batches in ", seconds_text(made),
                           ", computing takes ", seconds_text(t.step));
  } else if (t.wait > 0.01 * t.step) {
    of_a_step += join_text(", ", short_number(100 * t.wait / t.step), " % of it waiting for batches");
  }
  time.line("a step", of_a_step);
  time.line("an epoch",
            join_text(plural(steps, "step", "steps"), " of ", o.train.batch_size, of_step > 1 ? join_text(" in ", of_step, " batches") : "",
                      ", ", seconds_text(step * static_cast<double>(steps))));
  double total = step * static_cast<double>(all);
  std::string beside = "without validation";
  if (check.metric) {
    // One at the end of a run that none fell on.
    const std::int64_t every = o.train.evaluate_every > 0 ? o.train.evaluate_every : steps, count = (all + every - 1) / every;
    if (validation) {
      total += *validation * static_cast<double>(count);
      beside = join_text("with ", plural(count, "validation", "validations"));
      time.line("a validation", seconds_text(*validation));
    } else {
      beside = join_text("without ", plural(count, "validation", "validations"));
      time.line("a validation", join_text("more than ", seconds_text(kValidationSeconds)));
    }
  }
  const bool cut = limit > 0 && all == limit;
  time.line("the run", join_text(plural(all, "step", "steps"),
                                 cut ? " (train.max_steps)" : join_text(" (", plural(o.train.epochs, "epoch", "epochs"), ")"), " ", beside,
                                 ", ", seconds_text(total), o.train.patience > 0 ? "; train.patience may end it sooner" : ""));
}

}  // namespace

int check_run(const Check& check, const Console& console) {
  const Training& t = check.training;
  for (const std::string& line : data::lines_of(t.recipe.data_report())) console.out << line << "\n";
  console.out << std::flush;
  const FirstStep first =
      first_step(t.recipe, first_batch(t.recipe),
                 {.seed = t.recipe.setup().seed, .step = 0, .checkpoint_activations = check.options.train.checkpoint_activations});
  print_model(check, first, console);
  console.out << std::flush;
  const Timing timing = time_steps(check);
  const auto validation = check.metric ? validation_seconds(check) : std::nullopt;
  print_room(check, first, console.out);
  print_time(check, timing, validation, console.out);
  return kOk;
}

}  // namespace capstan::engine
