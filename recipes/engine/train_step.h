#pragma once
// One optimiser step: forward and backward over one or several batches, guard, clip, update. Shared by training, --check and bench.
//
// Gradients of several batches add up to the gradient of their union, because each backward starts from 1 / (count over all of
// them); see recipe.h. Parameters are untouched if the loss or the gradient is not finite.

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/tape/tape.h"
#include "optim/clip.h"
#include "recipes/engine/recipe.h"

namespace capstan::engine {

/// The names of the trainable parameters that got no gradient; gradients in the store's order.
std::vector<std::string> without_gradient(const nn::ParameterStore& parameters, std::span<const Gradient> gradients);
/// A warning that names them; empty if there are none.
std::string without_gradient_text(std::span<const std::string> names);

/// Names an optimiser step: the same values mean the same random numbers.
struct StepKey {
  std::uint64_t seed = 0;  ///< of the run
  std::int64_t step = 0;   ///< optimiser steps done before this one

  /// What the forward pass over the step's batch of this number knows.
  nn::Run run(std::int64_t batch) const {
    return {.training = true, .seed = random_key(seed, "step", {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(batch)})};
  }
};

template <class R>
struct StepLoss {
  LossCounts<R> sums{}, counts{};
  double gradient_norm = 0;                        ///< before clipping
  std::vector<std::string> without_gradient = {};  ///< trainable parameters that nothing flowed to

  double term(std::size_t k) const { return sums[k] / counts[k]; }
  double total() const {
    double sum = 0;
    for (std::size_t k = 0; k < kLossTerms<R>; ++k) sum += term(k);
    return sum;
  }
};

template <class R>
struct StepGradients {
  StepLoss<R> loss;
  std::vector<Gradient> gradients;  ///< in the order of the parameters
};

/// Forward and backward over the batches of a step. Throws NumericalError if the loss is not finite, GraphError if it depends on no
/// parameter.
template <RecipeBasics R>
StepGradients<R> gradient_step(R& recipe, std::span<const typename R::Batch> batches, const StepKey& key) {
  constexpr std::size_t kTerms = kLossTerms<R>;
  StepGradients<R> step;
  StepLoss<R>& result = step.loss;
  for (const auto& batch : batches) {
    const LossCounts<R> counts = recipe.loss_counts(batch);
    for (std::size_t k = 0; k < kTerms; ++k) result.counts[k] += counts[k];
  }
  for (std::size_t k = 0; k < kTerms; ++k)
    require<DataError>(result.counts[k] > 0, "train: a batch must hold something to learn from: the count of ", R::loss_terms[k], " is ",
                       result.counts[k], " at step ", key.step);

  std::vector<Gradient>& gradients = step.gradients;
  for (std::size_t m = 0; m < batches.size(); ++m) {
    Tape tape;
    const LossSums<R> sums = recipe.loss(batches[m], key.run(static_cast<std::int64_t>(m)));
    std::array<Tensor, kTerms> cotangents;
    for (std::size_t k = 0; k < kTerms; ++k) {
      result.sums[k] += sums[k].item();
      cotangents[k] = Tensor::full(sums[k].shape(), 1.0 / result.counts[k], sums[k].dtype());
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

/// One optimiser step. Throws NumericalError, before anything is updated, if the loss or the gradient is not finite.
/// clip_norm 0: no clipping.
template <RecipeBasics R>
StepLoss<R> train_step(R& recipe, std::span<const typename R::Batch> batches, const StepKey& key, double learning_rate, double clip_norm) {
  StepGradients<R> step = gradient_step(recipe, batches, key);
  StepLoss<R>& result = step.loss;
  const optim::Clipped clipped =
      optim::clip_global_norm(step.gradients, clip_norm > 0 ? clip_norm : std::numeric_limits<double>::infinity());
  result.gradient_norm = clipped.norm;
  require<NumericalError>(std::isfinite(clipped.norm), "train: the norm of the gradient is not finite: ", clipped.norm, " at step ",
                          key.step, ", loss ", result.total());
  recipe.optimizer().step(step.gradients, learning_rate, clipped.scale);
  return result;
}

}  // namespace capstan::engine
