#include "recipes/engine/train/step.h"

#include <cmath>
#include <limits>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/profile.h"
#include "autograd/tape/tape.h"
#include "optim/clip.h"

namespace capstan::engine {
namespace {

/// The names of the trainable parameters that got no gradient; gradients in the store's order.
std::vector<std::string> without_gradient(const nn::ParameterStore& parameters, std::span<const Gradient> gradients) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Parameter& p = parameters.parameters()[i];
    if (p.trainable() && !gradients[i].defined()) names.push_back(p.name());
  }
  return names;
}

}  // namespace

std::string without_gradient_text(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? text
                      : join_text("warning: the loss does not depend on ", names.size(),
                                  " of the trainable parameters, which stay as they are: ", text);
}

double StepLoss::total() const {
  double sum = 0;
  for (std::size_t k = 0; k < sums.size(); ++k) sum += sums[k] / counts[k];
  return sum;
}

StepGradients gradient_step(AnyRecipe& recipe, std::span<const AnyBatch> batches, const StepKey& key) {
  const std::vector<std::string> terms = recipe.loss_terms();
  StepGradients step;
  StepLoss& result = step.loss;
  result.sums.resize(terms.size());
  result.counts.resize(terms.size());
  for (const AnyBatch& batch : batches) {
    const std::vector<double> counts = recipe.loss_counts(batch);
    for (std::size_t k = 0; k < terms.size(); ++k) result.counts[k] += counts[k];
  }
  for (std::size_t k = 0; k < terms.size(); ++k)
    require<DataError>(result.counts[k] > 0, "train: a batch must hold something to learn from: the count of ", terms[k], " is ",
                       result.counts[k], " at step ", key.step);

  std::vector<Gradient>& gradients = step.gradients;
  for (std::size_t m = 0; m < batches.size(); ++m) {
    Tape tape;
    const std::vector<Tensor> sums = [&] {
      const profile::Scope scope("forward", profile::Kind::phase);
      return recipe.loss(batches[m], key.run(static_cast<std::int64_t>(m)));
    }();
    const profile::Scope scope("backward", profile::Kind::phase);
    std::vector<Tensor> cotangents;
    for (std::size_t k = 0; k < sums.size(); ++k) {
      result.sums[k] += sums[k].item();
      cotangents.push_back(Tensor::full(sums[k].shape(), 1.0 / result.counts[k], sums[k].dtype()));
    }
    require<NumericalError>(std::isfinite(result.total()), "train: the loss is not finite: ", result.total(), " at step ", key.step);
    std::vector<Gradient> part = recipe.parameters().gradients(tape.backward(sums, cotangents));
    if (m == 0) {
      gradients = std::move(part);
    } else {
      for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i].add(std::move(part[i]));
    }
  }
  result.without_gradient = without_gradient(recipe.parameters(), gradients);
  return step;
}

StepGradients clipped_step(AnyRecipe& recipe, std::span<const AnyBatch> batches, const StepKey& key, double clip_norm) {
  StepGradients step = gradient_step(recipe, batches, key);
  const StepLoss& result = step.loss;
  const profile::Scope scope("clip", profile::Kind::phase);
  const optim::Clipped clipped =
      optim::clip_global_norm(step.gradients, clip_norm > 0 ? clip_norm : std::numeric_limits<double>::infinity());
  step.loss.gradient_norm = clipped.norm;
  require<NumericalError>(std::isfinite(clipped.norm), "train: the norm of the gradient is not finite: ", clipped.norm, " at step ",
                          key.step, ", loss ", result.total());
  step.scale = clipped.scale;
  return step;
}

StepLoss train_step(AnyRecipe& recipe, optim::Optimizer& optimizer, std::span<const AnyBatch> batches, const StepKey& key,
                    double learning_rate, double clip_norm) {
  StepGradients step = clipped_step(recipe, batches, key, clip_norm);
  update(optimizer, step, learning_rate);
  return std::move(step.loss);
}

void update(optim::Optimizer& optimizer, const StepGradients& step, double learning_rate) {
  const profile::Scope scope("update", profile::Kind::phase);
  optimizer.step(step.gradients, learning_rate, step.scale);
}

}  // namespace capstan::engine
