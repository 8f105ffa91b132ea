#include "recipes/engine/train/step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/profile.h"
#include "autograd/tape/tape.h"
#include "nn/running_update.h"
#include "optim/clip.h"
#include "recipes/engine/distributed/agreement.h"

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

/// What a piece does to running statistics, in numbers that all processes read: of each step the number of the parameter, what is kept,
/// the factor, and the batch's values.
PieceNumbers running_numbers(std::int64_t place, std::span<const nn::RunningUpdate> updates, const nn::ParameterStore& parameters) {
  PieceNumbers piece{.place = place, .numbers = {}};
  for (const nn::RunningUpdate& update : updates) {
    const auto found = std::ranges::find(parameters.parameters(), update.parameter.name(), [](const Parameter& p) { return p.name(); });
    piece.numbers.insert(piece.numbers.end(), {static_cast<double>(found - parameters.parameters().begin()), update.kept, update.factor});
    piece.numbers.insert(piece.numbers.end(), update.batch.begin(), update.batch.end());
  }
  return piece;
}

/// Makes the steps of the pieces of all processes, in the order of their places, on each of them.
void move_running(Comm& comm, std::span<const PieceNumbers> mine, const nn::ParameterStore& parameters) {
  for (const PieceNumbers& piece : pieces_of_all(comm, mine))
    for (auto at = piece.numbers.begin(); at != piece.numbers.end();) {
      const Parameter& parameter = parameters.parameters()[static_cast<std::size_t>(*at)];
      const auto values = at + 3, end = values + static_cast<std::ptrdiff_t>(parameter.value().numel());
      nn::apply({.parameter = parameter, .batch = {values, end}, .kept = at[1], .factor = at[2]});
      at = end;
    }
}

/// Without the sign that a NaN may have.
std::string not_finite_text(double v) { return std::isnan(v) ? "nan" : join_text(v); }

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

StepWork whole_batches(std::span<const AnyBatch> batches) {
  StepWork work;
  for (const AnyBatch& batch : batches) {
    work.pieces.push_back({.batch = batch, .number = work.batches, .place = work.batches});
    ++work.batches;
  }
  return work;
}

StepGradients gradient_step(AnyRecipe& recipe, const StepWork& work, const StepKey& key, GradientExchange& exchange) {
  const std::vector<std::string> terms = recipe.loss_terms();
  Comm& comm = exchange.comm();
  StepGradients step;
  StepLoss& result = step.loss;
  std::vector<PieceNumbers> counts, sums, running;
  std::vector<nn::RunningUpdate> updates;
  for (const Piece& piece : work.pieces) {
    counts.push_back({.place = piece.place, .numbers = recipe.loss_counts(piece.batch)});
    counts.back().numbers.push_back(piece.batch.items());
  }
  result.counts = sum_pieces(comm, counts, terms.size() + 1);
  result.items = result.counts.back();
  result.counts.pop_back();
  for (std::size_t k = 0; k < terms.size(); ++k)
    require<DataError>(result.counts[k] > 0, "train: a batch must hold something to learn from: the count of ", terms[k], " is ",
                       result.counts[k], " at step ", key.step);

  // A loss that is not finite ends the run on all processes at once, so where there are others it is looked at when all is summed.
  result.sums.resize(terms.size());
  const auto require_finite = [&] {
    if (!std::isfinite(result.total()))
      throw NotFinite(NotFinite::Of::loss, result,
                      join_text("train: the loss is not finite: ", not_finite_text(result.total()), " at step ", key.step));
  };
  // Parts that are summed in order move running statistics in that order too.
  const bool in_order = comm.size() > 1 && exchange.ordered();
  std::int64_t shared = 0;  // batches whose parts have shared their rows
  const auto share_rows = [&](std::int64_t until) {
    for (; exchange.parts() > 1 && shared < until; ++shared) recipe.share_rows([&](const Tensor& mine) { return gather_rows(comm, mine); });
  };
  for (const Piece& piece : work.pieces) {
    share_rows(piece.number);
    Tape tape;
    const std::vector<Tensor> of_piece = [&] {
      const profile::Scope scope("forward", profile::Kind::phase);
      nn::Run run = key.run(piece.number);
      updates.clear();
      if (in_order) run.running_updates = &updates;
      return recipe.loss(piece.batch, run);
    }();
    if (in_order) running.push_back(running_numbers(piece.place, updates, recipe.parameters()));
    const profile::Scope scope("backward", profile::Kind::phase);
    std::vector<Tensor> cotangents;
    sums.push_back({.place = piece.place, .numbers = {}});
    for (std::size_t k = 0; k < of_piece.size(); ++k) {
      sums.back().numbers.push_back(of_piece[k].item());
      result.sums[k] += sums.back().numbers[k];
      cotangents.push_back(Tensor::full(of_piece[k].shape(), 1.0 / result.counts[k], of_piece[k].dtype()));
    }
    if (comm.size() == 1) require_finite();
    exchange.backward(tape, of_piece, cotangents, piece.place, &piece == &work.pieces.back());
  }
  share_rows(work.batches - 1);  // on all processes before the exchange of gradients ends, however many pieces they had
  step.gradients = exchange.finish();
  step.of_shares = exchange.gives_shares();
  result.sums = sum_pieces(comm, sums, terms.size());
  if (in_order) move_running(comm, running, recipe.parameters());
  require_finite();
  share_rows(work.batches);
  result.without_gradient = without_gradient(recipe.parameters(), step.gradients);
  return step;
}

StepGradients gradient_step(AnyRecipe& recipe, std::span<const AnyBatch> batches, const StepKey& key) {
  SelfComm alone;
  GradientExchange exchange(alone, recipe.parameters());
  return gradient_step(recipe, whole_batches(batches), key, exchange);
}

StepGradients clipped_step(AnyRecipe& recipe, const StepWork& work, const StepKey& key, double clip_norm, GradientExchange& exchange) {
  StepGradients step = gradient_step(recipe, work, key, exchange);
  const StepLoss& result = step.loss;
  const profile::Scope scope("clip", profile::Kind::phase);
  double squares = optim::sum_of_squares(step.gradients);
  if (step.of_shares) exchange.comm().sum(std::span(&squares, 1));
  const optim::Clipped clipped = optim::clip_norm(std::sqrt(squares), clip_norm > 0 ? clip_norm : std::numeric_limits<double>::infinity());
  step.loss.gradient_norm = clipped.norm;
  if (!std::isfinite(clipped.norm))
    throw NotFinite(NotFinite::Of::gradient, result,
                    join_text("train: the norm of the gradient is not finite: ", not_finite_text(clipped.norm), " at step ", key.step,
                              ", loss ", result.total()));
  step.scale = clipped.scale;
  return step;
}

TrainedOptimizer::TrainedOptimizer(const EngineOptions& options, AnyRecipe& recipe, Comm* comm) {
  const ShardedOptimizer::Make make = [of = options.optimizer](std::span<const Parameter> parameters) {
    return make_optimizer(of, parameters);
  };
  const bool shard = options.train.shard_optimizer;
  if (comm != nullptr) require_same(*comm, "train.shard_optimizer", shard ? "true" : "false");
  if (shard && comm != nullptr && comm->size() > 1) {
    sharded_ = std::make_unique<ShardedOptimizer>(*comm, recipe.parameters(), make);
  } else {
    whole_ = make(recipe.parameters().parameters());
  }
}

StepLoss train_step(AnyRecipe& recipe, optim::Optimizer& optimizer, std::span<const AnyBatch> batches, const StepKey& key,
                    double learning_rate, double clip_norm) {
  SelfComm alone;
  GradientExchange exchange(alone, recipe.parameters());
  StepGradients step = clipped_step(recipe, whole_batches(batches), key, clip_norm, exchange);
  update(optimizer, step, learning_rate);
  return std::move(step.loss);
}

void update(optim::Optimizer& optimizer, const StepGradients& step, double learning_rate) {
  const profile::Scope scope("update", profile::Kind::phase);
  optimizer.step(step.gradients, learning_rate, step.scale);
}

void update(ShardedOptimizer& optimizer, const StepGradients& step, double learning_rate, bool tell) {
  const profile::Scope scope("update", profile::Kind::phase);
  if (step.of_shares) return optimizer.step(step.gradients, learning_rate, step.scale, tell);
  optimizer.step(optimizer.share_of(step.gradients), learning_rate, step.scale, tell);
}

}  // namespace capstan::engine
