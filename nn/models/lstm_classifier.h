#pragma once
// The bidirectional LSTM with attention that tells the class of a text (Zhou et al., "Attention-based bidirectional LSTM networks for
// relation classification", 2016; Yang et al., "Hierarchical attention networks", 2016, for the additive form):
//
//     x = dropout(embedding(tokens))                    in training some tokens are first replaced by the unknown one
//     H = LSTM(x), both directions, side by side or added
//     s = attention over the real tokens of H           nn/recurrent_attention.h
//     logits = classifier(dropout(s))
//
// Texts come padded, Align::left. Not for packed batches. Start: word vectors uniform in +-embedding_range, matrices Glorot uniform by
// gate, biases 0. Parameters: embedding/weight, lstm/<layer>/{forward, backward}/..., attention/..., classifier/{weight, bias}.

#include <cstdint>

#include "autograd/core/dtype.h"
#include "autograd/core/tensor.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/parameter_store.h"
#include "nn/recurrent.h"
#include "nn/recurrent_attention.h"
#include "nn/run.h"
#include "nn/token_layout.h"

namespace capstan::nn {

enum class DirectionMerge : std::uint8_t { concat, sum };

struct LstmClassifierOptions {
  std::int64_t embedding = 300, layers = 1, hidden_size = 128;
  DirectionMerge merge = DirectionMerge::concat;
  PoolingKind attention = PoolingKind::additive;
  std::int64_t attention_size = 0;
  double word_dropout = 0, embedding_dropout = 0.5, lstm_dropout = 0.3, output_dropout = 0.5, embedding_range = 0.1;

  template <class V>
  void visit(V& v) {
    v("embedding", embedding, "width of a word vector", V::between(1, 65536));
    v("layers", layers, "LSTM layers, of both directions", V::between(1, 64));
    v("hidden_size", hidden_size, "width of each direction", V::between(1, 65536));
    v("merge", merge, "what becomes of the two directions: side by side, or added (Zhou)",
      {{"concat", DirectionMerge::concat}, {"sum", DirectionMerge::sum}});
    v("attention", attention,
      "the weights of the tokens. additive: softmax(w . tanh(W h + b)); zhou: softmax(w . tanh(h)), with a tanh behind the sum; dot: "
      "softmax(h . last state)",
      {{"additive", PoolingKind::additive}, {"zhou", PoolingKind::zhou}, {"dot", PoolingKind::dot}});
    v("attention_size", attention_size, "rows of W of additive attention; 0: as wide as what the LSTM gives", V::between(0, 65536));
    v("word_dropout", word_dropout, "share of tokens replaced by [UNK] in training", V::fraction()).of_training();
    v("embedding_dropout", embedding_dropout, "share of the numbers of word vectors set to zero in training", V::fraction()).of_training();
    v("lstm_dropout", lstm_dropout, "the same of what the LSTM gives, each layer", V::fraction()).of_training();
    v("output_dropout", output_dropout, "the same of the vector that is classified", V::fraction()).of_training();
    v("embedding_range", embedding_range, "initial word vectors are uniform in this range around 0", V::positive()).of_training();
  }

  std::int64_t state_width() const { return merge == DirectionMerge::sum ? hidden_size : 2 * hidden_size; }
};

class LstmClassifier {
 public:
  struct Head {
    std::int64_t classes = 0;
    std::int64_t unknown = 0;      ///< the token that word dropout puts
    DType precision = DType::f32;  ///< of the matrix work, f32 or bf16
  };
  LstmClassifier(const Scope& scope, std::int64_t vocab_size, const LstmClassifierOptions& options, const Head& head);

  struct Result {
    Tensor logits;   ///< f32 [B, classes]
    Tensor weights;  ///< [B, T], 0 at padding
  };
  /// ids i64 [B * T], padded. Throws ShapeError for a packed batch.
  Result operator()(const Tensor& ids, const TokenLayout& layout, const Run& run) const;

  const Parameter& word_table() const { return words_.table(); }  // [V, embedding]
  const Linear& classifier() const { return classifier_; }

 private:
  Tensor with_words_dropped(const Tensor& ids, const Run& run) const;

  LstmClassifierOptions options_;
  Head head_;
  std::uint64_t word_dropout_place_;
  Embedding words_;
  Dropout embedding_dropout_;
  Lstm lstm_;
  Dropout lstm_dropout_;
  AttentionPooling attention_;
  Dropout output_dropout_;
  Linear classifier_;
};

}  // namespace capstan::nn
