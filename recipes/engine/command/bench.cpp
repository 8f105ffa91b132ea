#include "recipes/engine/command/bench.h"

#include <algorithm>
#include <functional>
#include <ostream>
#include <utility>

#include "autograd/tape/checkpoint.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

TrainedOptimizer optimizer_of(AnyRecipe& recipe, const EngineOptions& options, Comm* comm) {
  apply_to_parameters(options.optimizer, recipe.parameters());
  return {options, recipe, comm};
}

}  // namespace

BenchResult measure_steps(const std::function<double()>& step, std::int64_t warmup, std::int64_t steps, DType precision) {
  BenchResult r;
  for (std::int64_t i = 0; i < warmup; ++i) r.loss = step();
  const ProcessUse before = process_use();
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < steps; ++i) {
    const double start = wall_seconds();
    r.loss = step();
    seconds.push_back(wall_seconds() - start);
  }
  const ProcessUse after = process_use();
  const double system = after.system - before.system, all = system + after.user - before.user;
  r.page_faults_per_step = static_cast<double>(after.page_faults - before.page_faults) / static_cast<double>(steps);
  r.steps = steps;
  r.precision = precision;
  r.step_seconds = median(seconds);
  r.step_seconds_fastest = *std::min_element(seconds.begin(), seconds.end());
  r.system_share = all > 0 ? system / all : 0;
  r.peak_bytes = peak_rss_bytes();
  r.rates = measure_rates(precision);
  r.matmul_gflops = 1e-9 * r.rates.flops;
  return r;
}

BenchSteps::BenchSteps(AnyRecipe& recipe, const EngineOptions& options, Comm* comm)
    : recipe_(recipe),
      options_(options),
      optimizer_(optimizer_of(recipe, options, comm)),
      own_(alone_, recipe.parameters(), {.whole_batches = true}),
      together_(comm != nullptr ? *comm : alone_, recipe.parameters(),
                {.reduce = options.train.reduce, .wire = options.train.wire, .shares = optimizer_.shares(), .whole_batches = true}) {
  const Setup& setup = recipe.setup();
  EpochOrder order(recipe);
  recipe.begin_epoch(0);
  const auto batch_at = [&](std::int64_t i) -> AnyBatch {
    if (auto random = recipe.bench_batch(i)) return *random;
    if (!recipe.sequential()) return training_batch(recipe, order, 0, i % recipe.batches_per_epoch());
    const auto next = recipe.next_batch();
    require<DataError>(next.has_value(), "bench: the data has fewer than ", kDistinct * setup.batches_per_step, " batches");
    return *next;
  };
  batches_.resize(kDistinct);
  for (std::int64_t i = 0; i < kDistinct; ++i)
    for (std::int64_t m = 0; m < setup.batches_per_step; ++m)
      batches_[static_cast<std::size_t>(i)].push_back(batch_at((i * setup.batches_per_step + m) * setup.ranks + setup.rank));
}

double BenchSteps::operator()() {
  const auto& b = batches_[static_cast<std::size_t>(step_ % kDistinct)];
  StepWork work = whole_batches(b);
  for (Piece& piece : work.pieces) piece.place = piece.place * recipe_.setup().ranks + recipe_.setup().rank;
  const StepGradients step = clipped_step(
      recipe_, work, {.seed = recipe_.setup().seed, .step = step_, .checkpoint_activations = options_.train.checkpoint_activations},
      options_.train.clip_norm, exchanges_ ? together_ : own_);
  if (optimizer_.sharded() != nullptr) {
    update(*optimizer_.sharded(), step, options_.optimizer.learning_rate, exchanges_);
  } else {
    update(optimizer_.optimizer(), step, options_.optimizer.learning_rate);
  }
  ++step_;
  return step.loss.total();
}

double BenchSteps::exchange_seconds() const {
  return together_.wait_seconds() + (optimizer_.sharded() != nullptr ? optimizer_.sharded()->wait_seconds() : 0);
}

double BenchSteps::items_per_step() const {
  double items = 0;
  for (const auto& of_step : batches_)
    for (const AnyBatch& b : of_step) items += b.items();
  return items / kDistinct;
}

BenchResult bench(AnyRecipe& recipe, const EngineOptions& options, std::int64_t steps, Comm* comm) {
  constexpr std::int64_t kWarmup = 3;
  BenchSteps one(recipe, options, comm);
  BenchResult result = measure_steps(std::ref(one), kWarmup, steps, recipe.setup().precision);
  result.ranks = recipe.setup().ranks;
  if (comm != nullptr) {
    result.exchange_seconds = one.exchange_seconds() / static_cast<double>(kWarmup + steps);
    one.exchange(false);
    result.alone_seconds = measure_steps(std::ref(one), kWarmup, steps, recipe.setup().precision).step_seconds;
    one.exchange(true);
  }
  {
    constexpr std::int64_t kProfiled = BenchSteps::kDistinct;  // each batch once
    const profile::Recorder recorder;
    for (std::int64_t i = 0; i < kProfiled; ++i) one();
    result.profile = recorder.events();
    result.profiled_steps = kProfiled;
  }
  result.lines = profile_lines(result.profile, result.rates);
  for (const ProfileLine& line : result.lines) {
    result.bound_seconds += line.bound / static_cast<double>(result.profiled_steps);
    if (line.phase != kRecomputePhase) result.flops_per_step += line.work.flops / static_cast<double>(result.profiled_steps);
  }
  result.items_per_step = one.items_per_step();
  if (comm != nullptr) comm->sum(std::span(&result.items_per_step, 1));
  result.threads = recipe.setup().threads;
  return result;
}

void print_bench(const BenchResult& r, bool json, std::ostream& out) {
  if (json) {
    JsonRow row{{"config", r.name},
                {"items_per_s", r.items_per_second()},
                {"step_ms", 1e3 * r.step_seconds},
                {"step_ms_fastest", 1e3 * r.step_seconds_fastest},
                {"steps", r.steps},
                {"items_per_step", r.items_per_step},
                {"flops_per_step", r.flops_per_step},
                {"mfu", r.mfu()},
                {"bound_ms", 1e3 * r.bound_seconds},
                {"bound_share", r.bound_seconds / r.step_seconds},
                {"matmul_gflops", r.matmul_gflops},
                {"peak_rss_bytes", r.peak_bytes},
                {"system_share", r.system_share},
                {"page_faults_per_step", r.page_faults_per_step},
                {"threads", std::int64_t{r.threads}},
                {"ranks", std::int64_t{r.ranks}},
                {"precision", to_text(r.precision)},
                {"loss", r.loss}};
    if (r.ranks > 1)
      for (const auto& [name, value] : {std::pair("efficiency", r.efficiency()), std::pair("step_alone_ms", 1e3 * r.alone_seconds),
                                        std::pair("exchange_ms", 1e3 * r.exchange_seconds)})
        row.emplace_back(name, value);
    out << to_json(row) << "\n";
    return;
  }
  const auto rounded = [](double v) { return join_text(static_cast<double>(static_cast<std::int64_t>(v * 100 + 0.5)) / 100); };
  out << r.name << "  " << to_text(r.precision) << ", " << r.threads << " threads, median of " << r.steps << " steps\n"
      << "  " << rounded(r.items_per_second()) << " items/s, " << rounded(1e3 * r.step_seconds) << " ms a step (fastest "
      << rounded(1e3 * r.step_seconds_fastest) << ")\n"
      << "  " << rounded(r.flops_per_step / r.step_seconds / 1e9) << " of " << rounded(r.matmul_gflops)
      << " GFLOP/s of a large matrix product: " << rounded(100 * r.mfu()) << " % MFU\n"
      << "  " << rounded(100 * r.bound_seconds / r.step_seconds) << " % of the bound reached, " << rounded(1e3 * r.bound_seconds)
      << " ms a step for its products and the memory it moves\n"
      << "  " << rounded(100 * r.system_share) << " % of the processor time in the system, " << rounded(r.page_faults_per_step)
      << " page faults a step, peak memory " << bytes_text(static_cast<double>(r.peak_bytes)) << "\n";
  if (r.ranks > 1)
    out << "  " << r.ranks << " processes: " << rounded(100 * r.efficiency()) << " % of their speed without exchange ("
        << rounded(1e3 * r.alone_seconds) << " ms a step), " << rounded(1e3 * r.exchange_seconds) << " ms a step waited for it\n";
}

}  // namespace capstan::engine
