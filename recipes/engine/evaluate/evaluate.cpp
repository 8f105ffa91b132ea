#include "recipes/engine/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "autograd/tape/tape.h"
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

Metrics Evaluator::run(Split split) {
  const NoGrad paused;
  const BatchSource batches = evaluation_batches(recipe_, split, options_.batch_size);
  if (!batches) return {};
  const auto evaluation = recipe_.evaluation(split);
  const std::int64_t size = recipe_.sequential() ? 0 : recipe_.size(split);
  EvaluationProgress progress(progress_fd_, std::string(name_of(split)), (size + options_.batch_size - 1) / options_.batch_size);
  std::int64_t count = 0;
  for (auto batch = batches(); batch; batch = batches(), ++count) {
    throw_if_stopped();
    evaluation->add(*batch);
    progress.update(count + 1);
  }
  require<DataError>(count > 0, "evaluate: the ", name_of(split), " part has no case");
  evaluation->finish();
  examples_ = evaluation->examples();
  Metrics out = reported(evaluation->accumulators());
  if (options_.baselines) {
    auto& baselines = baselines_[static_cast<std::size_t>(split)];
    if (!baselines) baselines = recipe_.baselines(split);
    out.insert(out.end(), baselines->begin(), baselines->end());
  }
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
