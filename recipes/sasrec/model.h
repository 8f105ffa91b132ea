#pragma once
// The SASRec network, as published (Kang and McAuley, "Self-attentive sequential recommendation", 2018, and its released code):
//
//     x = dropout(E[item] sqrt(d) + P[position])
//     each block:  q = LN1(x)                       only the query is normalised; keys and values come from x itself
//                  a = attention(q Wq + bq, x Wk + bk, x Wv + bv)      causal, dropout on the probabilities, no output projection
//                  y = LN2(a + q)                   the residual adds q, not x
//                  x = y + dropout(dropout(relu(y W1 + b1)) W2 + b2)   inner width d; the residual adds y
//     h = LN(x), score of item i = h . E[i]         input and output share one table; no bias
//
// Row 0 of E belongs to padding and is zero; it gets no gradient. LN: epsilon 1e-8. Start: Glorot uniform, each matrix by its own fans.
// The published code also zeroes padded positions after each block. They are neither keys nor part of any loss, so that changes no
// number at a real position, and this code does not do it: a packed batch and a padded one give the same hidden states.

#include <cstdint>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/sasrec/batch.h"
#include "recipes/sasrec/options.h"

namespace capstan::sasrec {

class Model {
 public:
  /// Throws ConfigError if hidden_size is not a multiple of heads.
  Model(const nn::Scope& scope, std::int64_t item_count, const ModelOptions& options);

  /// h of every token, packed or padded as the batch is: [tokens, d]. At padded positions it means nothing.
  Tensor hidden(const Batch& batch, const nn::Run& run) const;
  /// h of the real tokens, packed: [real tokens, d].
  Tensor real_hidden(const Batch& batch, const nn::Run& run) const;
  /// h of the newest item of each sequence: [sequences, d].
  Tensor last_hidden(const Batch& batch, const nn::Run& run) const;

  const Parameter& item_table() const { return items_; }          // [item_count + 1, d]
  const Parameter& position_table() const { return positions_; }  // [max_length, d]
  std::int64_t item_count() const { return items_.size(0) - 1; }

 private:
  struct Block {
    Block(const nn::Scope& scope, const ModelOptions& options);
    nn::LayerNorm attention_norm;
    nn::Linear query, key, value;
    nn::Dropout attention_dropout;
    nn::LayerNorm forward_norm;
    nn::Linear inner;
    nn::Dropout inner_dropout;
    nn::Linear outer;
    nn::Dropout outer_dropout;
  };
  static std::vector<Block> make_blocks(const nn::Scope& scope, const ModelOptions& options);
  Tensor attend(const Block& block, const Tensor& q, const Tensor& x, const Batch& batch, const nn::Run& run) const;

  ModelOptions options_;
  Parameter items_, positions_;
  nn::Dropout embedding_dropout_;
  std::vector<Block> blocks_;
  nn::LayerNorm last_norm_;
};

/// Multiply-adds of the matrix products of a forward pass over `sequences` full sequences, without the loss:
///     tokens * blocks * 5 d^2 (query, key, value, inner, outer) + sequences * blocks * L (L + 1) d (scores and mixing, causal half).
double forward_multiply_adds(const ModelOptions& options, std::int64_t sequences);

}  // namespace capstan::sasrec
