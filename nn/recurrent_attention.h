#pragma once
// Attention over the states of a recurrent network: AttentionPooling makes one vector of a sequence, AttentionScores says how well the
// state of a decoder fits each state of an encoder.
//
// Not here: multi-head attention with its projections (attention.h). States [B, T, W] come padded; `mask` u8 [B, T] is 1 at real steps,
// undefined: all are. Padding has weight 0.

#include <cstdint>
#include <optional>

#include "autograd/core/tensor.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

enum class PoolingKind : std::uint8_t {
  additive,  ///< u = tanh(H W + b), a = softmax(u . w), s = sum a H (Yang et al., 2016)
  zhou,      ///< a = softmax(w . tanh(H)), s = tanh(sum a H) (Zhou et al., 2016)
  dot,       ///< a = softmax(H . query), s = sum a H
};

struct AttentionPoolingOptions {
  std::int64_t width = 0;  ///< W of the states
  std::int64_t inner = 0;  ///< of additive: width of u; 0: W
  PoolingKind kind = PoolingKind::additive;
};

class AttentionPooling {
 public:
  using Options = AttentionPoolingOptions;
  /// Parameters "projection/{weight, bias}" of additive, "context" [inner or W] of additive and zhou.
  AttentionPooling(const Scope& scope, const AttentionPoolingOptions& options);

  struct Result {
    Tensor pooled;   ///< [B, W]
    Tensor weights;  ///< [B, T], rows sum to 1
  };
  /// `query` [B, W] is for dot alone.
  Result operator()(const Tensor& states, const Tensor& mask, const Tensor& query = {}) const;

 private:
  PoolingKind kind_;
  std::optional<Linear> projection_;
  Parameter context_;
};

enum class ScoreKind : std::uint8_t {
  dot,       ///< d . h; both of one width
  general,   ///< d . W h, without bias (Luong, Pham, Manning, 2015: multiplicative attention)
  additive,  ///< v . tanh(W1 h + W2 d) (Bahdanau, Cho, Bengio, 2015)
};

struct AttentionScoresOptions {
  std::int64_t query = 0;  ///< width of d
  std::int64_t state = 0;  ///< width of h
  std::int64_t inner = 0;  ///< of additive; 0: that of d
  ScoreKind kind = ScoreKind::general;
};

class AttentionScores {
 public:
  using Options = AttentionScoresOptions;
  /// Parameters: general "projection/weight" [query, state]; additive "projection/weight" [inner, state], "query/weight" [inner, query] and
  /// "context" [inner]. Throws ConfigError for dot of two widths.
  AttentionScores(const Scope& scope, const AttentionScoresOptions& options);

  /// What the scores read of the states, made once for all steps: states [B, S, state] -> [B, S, query or inner].
  Tensor keys(const Tensor& states) const;
  /// The weights of one step: query [B, query] -> [B, S]; rows sum to 1.
  Tensor weights(const Tensor& query, const Tensor& keys, const Tensor& mask) const;

 private:
  ScoreKind kind_;
  std::optional<Linear> projection_, query_;
  Parameter context_;
};

/// The sum of states [B, T, W] with weights [B, T]: [B, W].
Tensor weighted_sum(const Tensor& weights, const Tensor& states);

}  // namespace capstan::nn
