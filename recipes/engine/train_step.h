#pragma once
// One optimiser step: forward and backward over one or several batches, guard, clip, update. Shared by training, --check and bench.
//
// Gradients of several batches add up to the gradient of their union, because each backward starts from 1 / (count over all of
// them); see recipe.h. Parameters are untouched if the loss or the gradient is not finite.

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "autograd/tape/tape.h"
#include "optim/clip.h"
#include "recipes/engine/recipe.h"

namespace capstan::engine {

/// held += incoming, for gradients of one parameter; either may be absent.
void add_gradient(Gradient& held, Gradient incoming);

template <class R>
struct StepLoss {
  LossCounts<R> sums{}, counts{};
  double gradient_norm = 0;  ///< before clipping

  double term(std::size_t k) const { return sums[k] / counts[k]; }
  double total() const {
    double sum = 0;
    for (std::size_t k = 0; k < kLossTerms<R>; ++k) sum += term(k);
    return sum;
  }
};

/// Losses without gradients.
template <RecipeBasics R>
StepLoss<R> forward_step(R& recipe, const typename R::Batch& batch, const StepContext& context) {
  const NoGrad paused;
  StepLoss<R> result;
  result.counts = recipe.loss_counts(batch);
  const LossSums<R> sums = recipe.loss(batch, context);
  for (std::size_t k = 0; k < kLossTerms<R>; ++k) result.sums[k] = sums[k].item();
  return result;
}

/// One step on the batches of context.step. Throws NumericalError, before anything is updated, if the loss or the gradient is not finite.
/// clip_norm 0: no clipping.
template <RecipeBasics R>
StepLoss<R> train_step(R& recipe, std::span<const typename R::Batch> batches, StepContext context, double learning_rate, double clip_norm) {
  constexpr std::size_t kTerms = kLossTerms<R>;
  StepLoss<R> result;
  for (const auto& batch : batches) {
    const LossCounts<R> counts = recipe.loss_counts(batch);
    for (std::size_t k = 0; k < kTerms; ++k) result.counts[k] += counts[k];
  }
  for (std::size_t k = 0; k < kTerms; ++k)
    require<DataError>(result.counts[k] > 0, "train: a batch must hold something to learn from: the count of ", R::loss_terms[k], " is ",
                       result.counts[k], " at step ", context.step);

  std::vector<Gradient> gradients;
  for (std::size_t m = 0; m < batches.size(); ++m) {
    context.micro = static_cast<std::int64_t>(m);
    Tape tape;
    const LossSums<R> sums = recipe.loss(batches[m], context);
    std::array<Tensor, kTerms> cotangents;
    for (std::size_t k = 0; k < kTerms; ++k) {
      result.sums[k] += sums[k].item();
      cotangents[k] = Tensor::full(sums[k].shape(), 1.0 / result.counts[k], sums[k].dtype());
    }
    require<NumericalError>(std::isfinite(result.total()), "train: the loss is not finite: ", result.total(), " at step ", context.step);
    std::vector<Gradient> part = recipe.parameters().gradients(tape.backward(sums, cotangents));
    if (m == 0) {
      gradients = std::move(part);
    } else {
      for (std::size_t i = 0; i < gradients.size(); ++i) add_gradient(gradients[i], std::move(part[i]));
    }
  }
  const optim::Clipped clipped = optim::clip_global_norm(gradients, clip_norm > 0 ? clip_norm : std::numeric_limits<double>::infinity());
  result.gradient_norm = clipped.norm;
  require<NumericalError>(std::isfinite(clipped.norm), "train: the norm of the gradient is not finite: ", clipped.norm, " at step ",
                          context.step, ", loss ", result.total());
  recipe.optimizer().step(gradients, learning_rate, clipped.scale);
  return result;
}

}  // namespace capstan::engine
