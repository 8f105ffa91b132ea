#pragma once
// The transformer that goes on with a text (GPT-2: Radford et al. 2019; Llama: Touvron et al. 2023): embeddings, a causal stack of pre-norm
// layers (nn/transformer_stack.h) with a normalisation at its end, and the table of output vectors.
//
//     x = dropout(E[ids] + P[0 .. n - 1]);   h = layers(x);   logits of the next token = h . O^T
//
// Positions are learned vectors (GPT-2), sinusoids, or rotations of queries and keys (Llama), then there is no P. Tied: O is E.
// Start: all matrices normal with deviation 0.02, those that end a branch 0.02 / sqrt(2 layers), as GPT-2's.
//
// Parameters: embedding/weight, positions where they are learned, layers/<n>/..., layers/norm/..., output/weight where it is its own.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/ops/activation.h"
#include "nn/dropout.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

enum class LanguagePositions { rotary, learned, sinusoidal };

/// The feed-forward part: an activation between two layers, or gated, (activation(x W) * x V) U (Shazeer 2020).
enum class FeedForwardKind { relu, gelu, gelu_tanh, swiglu, geglu };

struct LanguageModelOptions {
  std::int64_t layers = 6, hidden_size = 384, heads = 6, kv_heads = 0, intermediate_size = 1024;
  FeedForwardKind activation = FeedForwardKind::swiglu;
  NormKind norm = NormKind::rms;
  bool bias = false;
  double norm_epsilon = 1e-5;
  double dropout = 0, attention_dropout = 0;
  LanguagePositions positions = LanguagePositions::rotary;
  double rope_theta = 10000;
  std::int64_t max_positions = 256;
  bool tied = true;

  template <class V>
  void visit(V& v) {
    v("layers", layers, "layers", V::between(1, 1024));
    v("hidden_size", hidden_size, "width of a token", V::between(1, 65536));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("kv_heads", kv_heads, "heads of keys and values, a divisor of heads: fewer need less memory while writing; 0: as many",
      V::between(0, 1024));
    v("intermediate_size", intermediate_size, "inner width of the feed-forward part", V::between(1, 1e6));
    v("activation", activation, "of the feed-forward part; gelu: by erf; swiglu, geglu: gated, by SiLU or by GELU (tanh form)",
      {{"relu", FeedForwardKind::relu},
       {"gelu", FeedForwardKind::gelu},
       {"gelu_tanh", FeedForwardKind::gelu_tanh},
       {"swiglu", FeedForwardKind::swiglu},
       {"geglu", FeedForwardKind::geglu}});
    v("norm", norm, "layer: by mean and deviation; rms: by the root of the mean square",
      {{"layer", NormKind::layer}, {"rms", NormKind::rms}});
    v("bias", bias, "projections have biases, and layer normalisations offsets");
    v("norm_epsilon", norm_epsilon, "epsilon of the normalisations", V::positive());
    v("dropout", dropout, "share of embeddings and of results of every part set to zero in training", V::fraction()).of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("positions", positions, "rotary: queries and keys are turned by their place; learned: a vector a position; sinusoidal: fixed sines",
      {{"rotary", LanguagePositions::rotary}, {"learned", LanguagePositions::learned}, {"sinusoidal", LanguagePositions::sinusoidal}});
    v("rope_theta", rope_theta, "positions = rotary: base of the wavelengths, 2 pi ... 2 pi rope_theta tokens", V::positive());
    v("max_positions", max_positions, "the window: tokens that the model sees at most", V::between(2, 1e6));
    v("tied", tied, "the table of output vectors is that of embeddings");
  }
  /// Throws ConfigError.
  void validate() const;
};

class LanguageModel {
 public:
  LanguageModel(const Scope& scope, std::int64_t vocabulary, const LanguageModelOptions& options, DType precision = DType::f32);

  /// ids i64 [B, T] -> [B, T, H], each token seeing those before it and itself. `keys` i64 [B * T] name the tokens for dropout, may be
  /// absent. Its logits are h . output_table^T. What stands behind the real tokens of a row changes nothing before it.
  Tensor hidden(const Tensor& ids, const Tensor& keys, const Run& run) const;

  const Parameter& embedding() const { return embedding_; }  // [V, H]
  const Parameter& output_table() const { return output_; }  // [V, H]
  const TransformerStack<EncoderLayer>& layers() const { return layers_; }
  const LanguageModelOptions& options() const { return options_; }
  /// The vectors of positions, [max_positions, H], f32; undefined where positions are rotations.
  Tensor positions() const { return positions_.defined() ? positions_.value() : sinusoids_; }

 private:
  LanguageModelOptions options_;
  DType precision_;
  Parameter embedding_, output_;
  Parameter positions_;  // [P, H], or undefined
  Tensor sinusoids_;     // [P, H], or undefined
  Dropout dropout_;
  TransformerStack<EncoderLayer> layers_;
};

/// Numbers that the keys and values of a token are, in all layers.
std::int64_t cache_numbers(const LanguageModelOptions& options);

}  // namespace capstan::nn
