#pragma once
// The BERT encoder (Devlin, Chang, Lee, Toutanova, "BERT", 2019, and its released code); its heads are in bert_heads.h.
//
//     x = dropout(LN(word[ids] + type[segments] + position[0 .. n - 1]))
//     each layer (post-norm):  x = LN(x + dropout(attention(x)));  x = LN(x + dropout(outer(act(inner(x)))))
//     pooled = tanh(pooler(x[CLS]))
//
// Start: normal within two standard deviations of 0.02, biases 0. With relative positions there is no position table, and every layer has
// distance vectors (nn/relative_position.h). Parameters have the original's names down to the layer:
//     bert/embeddings/word_embeddings           bert/encoder/layer_N/attention/{query, key, value, output}/{weight, bias}
//     bert/embeddings/token_type_embeddings     bert/encoder/layer_N/attention_norm/{weight, bias}
//     bert/embeddings/position_embeddings       bert/encoder/layer_N/feed_forward/{inner, outer}/{weight, bias}
//     bert/embeddings/LayerNorm/{weight, bias}  bert/encoder/layer_N/feed_forward_norm/{weight, bias}
//     bert/pooler/dense/{weight, bias}

#include <cstdint>
#include <optional>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/tensor.h"
#include "autograd/ops/activation.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/relative_position.h"
#include "nn/run.h"
#include "nn/token_layout.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

struct BertOptions {
  std::int64_t layers = 12, hidden_size = 768, heads = 12, intermediate_size = 3072, max_positions = 512, token_types = 2;
  Activation activation = Activation::gelu;
  double norm_epsilon = 1e-12;
  double hidden_dropout = 0.1, attention_dropout = 0.1, initializer_range = 0.02;
  RelativePositions positions = RelativePositions::none;
  std::int64_t padding_token = -1;
  bool packed = true;

  template <class V>
  void visit(V& v) {
    v("layers", layers, "encoder layers", V::between(0, 1024));
    v("hidden_size", hidden_size, "width of a token", V::between(1, 65536));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("intermediate_size", intermediate_size, "inner width of the feed-forward part", V::between(1, 1e6));
    v("max_positions", max_positions, "longest sequence that the model can read", V::between(5, 65536));
    v("token_types", token_types, "rows of the segment table", V::between(2, 1024));
    v("activation", activation, "gelu: by erf, as the first releases; gelu_tanh: its approximation, as the last released code",
      {{"gelu", Activation::gelu}, {"gelu_tanh", Activation::gelu_tanh}, {"relu", Activation::relu}, {"tanh", Activation::tanh}});
    v("norm_epsilon", norm_epsilon, "epsilon of the layer normalisations", V::positive());
    v("hidden_dropout", hidden_dropout, "share of activations set to zero in training", V::fraction()).of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("initializer_range", initializer_range, "standard deviation of the initial matrices, cut off at two", V::positive()).of_training();
    v("positions", positions, "absolute: a learned vector a position; relative_key, relative_key_query: a vector a distance in every layer",
      {{"absolute", RelativePositions::none},
       {"relative_key", RelativePositions::key},
       {"relative_key_query", RelativePositions::key_query}});
    v("padding_token", padding_token,
      "number of the token of padding if its vector is not trained, as in HF transformers; -1: it is, as by the original. Of no effect "
      "where no loss looks at padding",
      V::between(-1, 1e9))
        .of_training();
    v("packed", packed, "compute without padding; the losses are the same either way. Relative positions always pad").of_use();
  }

  /// Throws ConfigError.
  void validate() const;
  /// Whether sequences come packed: relative positions need padding.
  bool reads_packed() const { return packed && positions == RelativePositions::none; }
};

class BertEncoder {
 public:
  struct Parts {
    bool pooler = true;            ///< whether there is one
    DType precision = DType::f32;  ///< of the matrix work, f32 or bf16; what the store holds stays as it is
  };
  BertEncoder(const Scope& scope, std::int64_t vocab_size, const BertOptions& options, const Parts& parts);

  /// The last layer: [tokens, H]. Token ids and segments (0 or 1) are i64 [tokens], laid out with Align::left. At padded positions the
  /// result means nothing.
  Tensor encode(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;
  /// The result of the embeddings and of every layer, each [tokens, H].
  std::vector<Tensor> all_layers(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;
  /// What the encoder makes of a sequence as a whole: [sequences, H]. Only with a pooler.
  Tensor pooled(const Tensor& encoded, const TokenLayout& layout) const;

  const Parameter& word_table() const { return words_; }  // [V, H]
  const BertOptions& options() const { return options_; }

 private:
  struct EncoderInput {
    Tensor x;  ///< [tokens, H], or [B, T, H] where padded
    AttentionMask mask;
  };
  EncoderInput encoder_input(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;
  /// Word vectors, [tokens, H].
  Tensor words_of(const Tensor& ids) const;
  Tensor embed(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;

  BertOptions options_;
  DType precision_;
  Parameter words_, positions_, types_;  // [V, H], [P, H] or undefined, [token types, H]
  LayerNorm embedding_norm_;
  Dropout embedding_dropout_;
  TransformerStack<EncoderLayer> encoder_;
  std::optional<Linear> pooler_;
};

/// A linear map from the hidden width, with the initial values of `options`.
Linear bert_linear(const Scope& scope, std::int64_t out, const BertOptions& options);

}  // namespace capstan::nn
