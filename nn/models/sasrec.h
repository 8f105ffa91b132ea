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
// The port to PyTorch that is in wide use has a projection behind attention and, since 2025, the usual places of the normalisations, post
// or pre-norm (model.norm); weights of it run here:
//     post:  y = LN1(x + a(x, x));  x = LN2(y + f(y))              pre:  y = x + a(LN1(x), LN1(x));  x = y + f(LN2(y))
//
// Row 0 of E belongs to padding and is zero; it gets no gradient. LN: epsilon 1e-8. Start: Glorot uniform, each matrix by its own fans.
// The published code also zeroes padded positions after each block. They are neither keys nor part of any loss, so that changes no
// number at a real position, and this code does not do it: packed and padded sequences give the same hidden states.

#include <cstdint>
#include <optional>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/token_layout.h"

namespace capstan::nn {

/// Where a block normalises.
enum class SasrecNorm {
  query,  ///< the query, and behind attention: as published
  post,   ///< behind each residual sum
  pre,    ///< before each part
};

struct SasrecOptions {
  std::int64_t max_length = 50;
  std::int64_t hidden_size = 50;
  std::int64_t blocks = 2;
  std::int64_t heads = 1;
  SasrecNorm norm = SasrecNorm::query;
  bool output_projection = false;
  double dropout = 0.5;
  bool packed = true;

  template <class V>
  void visit(V& v) {
    v("max_length", max_length, "newest items of a user that are looked at", V::between(1, 65536));
    v("hidden_size", hidden_size, "width of item embeddings and hidden states", V::between(1, 65536));
    v("blocks", blocks, "self-attention blocks", V::between(0, 1024));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("norm", norm, "where a block normalises: the query alone, as published; or post or pre, as ports do",
      {{"query", SasrecNorm::query}, {"post", SasrecNorm::post}, {"pre", SasrecNorm::pre}});
    v("output_projection", output_projection, "a linear layer behind attention, which the published network lacks and ports have");
    v("dropout", dropout, "share of activations and attention weights set to zero in training", V::fraction()).of_training();
    v("packed", packed, "compute without padding; the results are the same either way").of_use();
  }
};

class Sasrec {
 public:
  /// Computes behind the embeddings in `precision`. Throws ConfigError if hidden_size is not a multiple of heads.
  Sasrec(const Scope& scope, std::int64_t item_count, const SasrecOptions& options, DType precision = DType::f32);

  /// h of every token: ids i64 [tokens], 1 .. item_count (0 at padding), laid out with Align::right in max_length -> [tokens, d] in
  /// `precision`. At padded positions it means nothing.
  Tensor hidden(const Tensor& ids, const TokenLayout& layout, const Run& run) const;

  const Parameter& item_table() const { return items_; }          // [item_count + 1, d]
  const Parameter& position_table() const { return positions_; }  // [max_length, d]
  std::int64_t item_count() const { return items_.size(0) - 1; }

 private:
  struct Block {
    Block(const Scope& scope, const SasrecOptions& options);
    LayerNorm attention_norm;
    Linear query, key, value;
    std::optional<Linear> output;
    Dropout attention_dropout;
    LayerNorm forward_norm;
    Linear inner;
    Dropout inner_dropout;
    Linear outer;
    Dropout outer_dropout;
  };
  static std::vector<Block> make_blocks(const Scope& scope, const SasrecOptions& options);
  Tensor attend(const Block& block, const Tensor& q, const Tensor& x, const TokenLayout& layout, const Run& run) const;
  Tensor inner(const Block& block, const Tensor& y, const Run& run) const;
  /// The blocks of each form, from x [tokens, d] to h.
  Tensor query_norm(Tensor x, const TokenLayout& layout, const Run& run) const;
  Tensor post_norm(Tensor x, const TokenLayout& layout, const Run& run) const;
  Tensor pre_norm(Tensor x, const TokenLayout& layout, const Run& run) const;
  /// The normalisation that follows block i where it is taken with its last sum.
  const LayerNorm& norm_after(std::size_t i) const { return i + 1 < blocks_.size() ? blocks_[i + 1].attention_norm : last_norm_; }

  SasrecOptions options_;
  DType precision_;
  Parameter items_, positions_;
  Dropout embedding_dropout_;
  std::vector<Block> blocks_;
  LayerNorm last_norm_;
};

}  // namespace capstan::nn
