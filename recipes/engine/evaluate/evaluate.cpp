#include "recipes/engine/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "autograd/tape/tape.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/progress.h"
#include "recipes/engine/train/batch_stream.h"

namespace capstan::engine {
namespace {

std::string listed(const std::vector<MetricInfo>& metrics) {
  std::string text;
  for (const MetricInfo& m : metrics)
    if (m.goal != Goal::none) text += (text.empty() ? "" : ", ") + m.name;
  return text;
}

/// Whether it is so on any process; on several, what any has heard of a stop is known after it.
bool any(Comm& comm, bool here) {
  if (comm.size() == 1) return here;
  agree_on_stop(comm);
  double sum = here ? 1 : 0;
  comm.sum(std::span(&sum, 1));
  return sum > 0;
}

std::vector<std::string> names_of(const std::vector<MetricInfo>& metrics) {
  std::vector<std::string> names;
  for (const MetricInfo& m : metrics)
    if (m.goal != Goal::none) names.push_back(m.name);
  return names;
}

}  // namespace

std::vector<MetricInfo> Evaluator::metrics(Split split) {
  const bool exists = recipe_.sequential() ? static_cast<bool>(recipe_.evaluation_batches(split)) : recipe_.size(split) > 0;
  if (!exists) return {};
  return declared(recipe_.evaluation(split)->accumulators());
}

Metrics Evaluator::run(Split split, const Use& use) {
  const NoGrad paused;
  const auto evaluation = recipe_.evaluation(split);
  const bool shares = comm_.size() > 1 && evaluation->divides();
  const Part part = shares ? Part{.index = comm_.rank(), .count = comm_.size()} : Part{};
  const BatchSource batches = evaluation_batches(recipe_, split, options_.batch_size, part);
  if (!batches) return {};
  const std::int64_t size = recipe_.sequential() ? 0 : recipe_.size(split), all = (size + options_.batch_size - 1) / options_.batch_size;
  EvaluationProgress progress(progress_fd_, std::string(name_of(split)), part.end(all) - part.begin(all));
  std::int64_t count = 0;
  for (auto batch = batches(); any(comm_, batch.has_value()); batch = batch ? batches() : std::nullopt) {
    throw_if_stopped();
    if (!batch) continue;  // others go on
    evaluation->add(*batch);
    progress.update(++count);
  }
  const bool cases = any(comm_, count > 0);
  require<DataError>(cases, "evaluate: the ", name_of(split), " part has no case");
  if (shares) {
    for (Accumulator* a : evaluation->accumulators()) comm_.sum(a->sums());
    const std::vector<std::vector<std::byte>> rest = comm_.gather(evaluation->rest());
    if (comm_.rank() == 0) evaluation->set_rest(rest);
  }
  if (comm_.rank() == 0) evaluation->finish();
  examples_ = evaluation->examples();
  Metrics out = reported(evaluation->accumulators());
  for (Metric& m : out) comm_.broadcast(std::as_writable_bytes(std::span(&m.value, 1)), 0);
  if (options_.baselines && comm_.rank() == 0) {
    auto& baselines = baselines_[static_cast<std::size_t>(split)];
    if (!baselines) baselines = recipe_.baselines(split);
    out.insert(out.end(), baselines->begin(), baselines->end());
  }
  if (use && comm_.rank() == 0) use(out, [&] { return evaluation->findings(); });
  return out;
}

MetricInfo selection(const AnyRecipe& recipe, const std::vector<MetricInfo>& declared, std::string_view wanted) {
  const auto find = [&](std::string_view name) { return std::ranges::find(declared, name, &MetricInfo::name); };
  if (!wanted.empty()) {
    const auto found = find(wanted);
    require<ConfigError>(found != declared.end(), "train.metric: validation with this configuration has no '", wanted, "', known are ",
                         listed(declared), suggestion(wanted, names_of(declared)));
    require<ConfigError>(found->goal != Goal::none, "train.metric: '", wanted, "' says nothing about how good a model is, known are ",
                         listed(declared));
    return *found;
  }
  if (const auto own = find(recipe.metric()); own != declared.end()) return *own;
  const auto first = std::ranges::find_if(declared, [](const MetricInfo& m) { return m.goal != Goal::none; });
  require<InternalError>(first != declared.end(), recipe.name(), ": no metric has a direction");
  return *first;
}

}  // namespace capstan::engine
