#pragma once
// The BERT network with both heads of pretraining (Devlin, Chang, Lee, Toutanova, "BERT", 2019, and its released code):
//
//     x = dropout(LN(word[ids] + type[segments] + position[0 .. n - 1]))
//     each layer (post-norm):  x = LN(x + dropout(attention(x)));  x = LN(x + dropout(outer(act(inner(x)))))
//     masked tokens:  h = LN(act(transform(x[masked])));  logits = h . word^T + output_bias       the table is tied
//     next sentence:  logits = seq_relationship(tanh(pooler(x[CLS])))
//
// LN: epsilon 1e-12. Start: normal within two standard deviations of 0.02, biases 0. With relative positions there is no position
// table, and every layer has distance vectors (nn/relative_position.h). Parameters have the original's names down to the layer:
//     bert/embeddings/word_embeddings           bert/encoder/layer_N/attention/{query, key, value, output}/{weight, bias}
//     bert/embeddings/token_type_embeddings     bert/encoder/layer_N/attention_norm/{weight, bias}
//     bert/embeddings/position_embeddings       bert/encoder/layer_N/feed_forward/{inner, outer}/{weight, bias}
//     bert/embeddings/LayerNorm/{weight, bias}  bert/encoder/layer_N/feed_forward_norm/{weight, bias}
//     bert/pooler/dense/{weight, bias}          cls/predictions/{output_bias, transform/dense/..., transform/LayerNorm/...}
//                                               cls/seq_relationship/{weight, bias}

#include <cstdint>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/tensor.h"
#include "autograd/ops/loss.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/transformer_stack.h"
#include "recipes/bert/batch.h"
#include "recipes/bert/options.h"

namespace capstan::bert {

class Model {
 public:
  /// `precision` of the matrix work, f32 or bf16; what the store holds stays as it is.
  Model(const nn::Scope& scope, std::int64_t vocab_size, const ModelOptions& options, DType precision = DType::f32);

  /// The last layer: [tokens, H], packed or padded as the batch is. At padded positions it means nothing.
  Tensor encode(const Batch& batch, const nn::Run& run) const;
  /// The result of the embeddings and of every layer, each [tokens, H].
  std::vector<Tensor> all_layers(const Batch& batch, const nn::Run& run) const;
  /// What the encoder makes of a sequence as a whole: [sequences, H].
  Tensor pooled(const Tensor& encoded, const Batch& batch) const;
  /// Logits of "B follows A" and "B is random": [sequences, 2].
  Tensor next_sentence_logits(const Tensor& pooled) const { return seq_relationship_(pooled); }
  /// The decoder's input for some tokens, i64 [N]: [N, H].
  Tensor transformed(const Tensor& encoded, const Tensor& tokens) const;
  /// Logits over the vocabulary: [N, V].
  Tensor masked_lm_logits(const Tensor& transformed) const;

  struct Losses {
    Tensor masked_lm;      ///< the sum over predictions
    Tensor next_sentence;  ///< the sum over sequences
  };
  /// Both losses; the logits over the vocabulary are never stored whole.
  Losses losses(const Batch& batch, const nn::Run& run) const;

  std::int64_t vocab_size() const { return words_.size(0); }
  const ModelOptions& options() const { return options_; }

 private:
  struct EncoderInput {
    Tensor x;  ///< [tokens, H], or [B, T, H] of a padded batch
    nn::AttentionMask mask;
  };
  EncoderInput encoder_input(const Batch& batch, const nn::Run& run) const;
  Tensor embed(const Batch& batch, const nn::Run& run) const;

  ModelOptions options_;
  DType precision_;
  Parameter words_, positions_, types_;  // [V, H], [P, H] or undefined, [token types, H]
  nn::LayerNorm embedding_norm_;
  nn::Dropout embedding_dropout_;
  nn::TransformerStack<nn::EncoderLayer> encoder_;
  nn::Linear pooler_;
  Parameter output_bias_;  // [V]
  nn::Linear transform_;
  nn::LayerNorm transform_norm_;
  nn::Linear seq_relationship_;
};

/// Multiply-adds of the matrix products of a forward pass with its losses over full sequences of `length` tokens, `predictions` masked:
///     layers (tokens (4 H^2 + 2 H I) + sequences 2 length^2 H) + sequences (H^2 + 2 H + predictions (H^2 + V H)).
double forward_multiply_adds(const ModelOptions& options, std::int64_t vocab_size, std::int64_t sequences, std::int64_t length,
                             std::int64_t predictions);

}  // namespace capstan::bert
