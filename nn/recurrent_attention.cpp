#include "nn/recurrent_attention.h"

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

/// x [B, T, W] . v, v [B, W] or a parameter [W]: [B, T].
Tensor along_steps(const Tensor& x, const Tensor& v) {
  const Tensor column = v.rank() == 1 ? reshape(v, {v.size(0), 1}) : unsqueeze(v, -1);
  return squeeze(matmul(x, column), -1);
}

/// A vector that scores: it counts as one output.
Parameter context(const Scope& scope, std::int64_t width) {
  return scope.parameter("context", {width}, glorot_uniform({.in = width, .out = 1}));
}

}  // namespace

Tensor weighted_sum(const Tensor& weights, const Tensor& states) {
  return squeeze(matmul(unsqueeze(weights, 1), states), 1);  // [B, W]
}

// ---- pooling

AttentionPooling::AttentionPooling(const Scope& scope, const AttentionPoolingOptions& o) : kind_(o.kind) {
  require<ConfigError>(o.width > 0 && o.inner >= 0, scope.path(), ": attention needs states of some width: width ", o.width, ", inner ",
                       o.inner);
  const std::int64_t inner = o.inner > 0 ? o.inner : o.width;
  if (kind_ == PoolingKind::additive) projection_.emplace(scope / "projection", LinearOptions{.in = o.width, .out = inner});
  if (kind_ != PoolingKind::dot) context_ = context(scope, kind_ == PoolingKind::additive ? inner : o.width);
}

AttentionPooling::Result AttentionPooling::operator()(const Tensor& states, const Tensor& mask, const Tensor& query) const {
  require(query.defined() == (kind_ == PoolingKind::dot), "attention pooling: a query is for dot, and dot needs one: states ", states,
          ", query ", query);
  Tensor scores;  // [B, T]
  if (kind_ == PoolingKind::dot) {
    scores = along_steps(states, query);
  } else {
    const Tensor u = kind_ == PoolingKind::zhou
                         ? tanh(states)
                         : bias_activation(projection_->without_bias(states), weight_for(projection_->bias(), states),
                                           Activation::tanh);  // [B, T, inner]
    scores = along_steps(u, weight_for(context_, u));
  }
  const Tensor weights = softmax(scores, -1, mask);     // [B, T]
  const Tensor pooled = weighted_sum(weights, states);  // [B, W]
  return {kind_ == PoolingKind::zhou ? tanh(pooled) : pooled, weights};
}

// ---- scores

AttentionScores::AttentionScores(const Scope& scope, const AttentionScoresOptions& o) : kind_(o.kind) {
  require<ConfigError>(o.query > 0 && o.state > 0 && o.inner >= 0, scope.path(),
                       ": attention needs queries and states of some width: query ", o.query, ", state ", o.state, ", inner ", o.inner);
  require<ConfigError>(kind_ != ScoreKind::dot || o.query == o.state, scope.path(),
                       ": a dot product needs queries and states of one width: query ", o.query, ", state ", o.state);
  const std::int64_t inner = kind_ == ScoreKind::additive && o.inner > 0 ? o.inner : o.query;
  if (kind_ != ScoreKind::dot) projection_.emplace(scope / "projection", LinearOptions{.in = o.state, .out = inner, .bias = false});
  if (kind_ != ScoreKind::additive) return;
  query_.emplace(scope / "query", LinearOptions{.in = o.query, .out = inner, .bias = false});
  context_ = context(scope, inner);
}

Tensor AttentionScores::keys(const Tensor& states) const { return projection_ ? (*projection_)(states) : states; }

Tensor AttentionScores::weights(const Tensor& query, const Tensor& keys, const Tensor& mask) const {
  if (kind_ != ScoreKind::additive) return softmax(along_steps(keys, query), -1, mask);
  const Tensor u = tanh(add(keys, unsqueeze((*query_)(query), 1)));  // [B, S, inner]
  return softmax(along_steps(u, weight_for(context_, u)), -1, mask);
}

}  // namespace capstan::nn
