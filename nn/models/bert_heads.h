#pragma once
// What BERT is trained to say: an encoder (bert.h) with the head of a task.
//
//     pretraining     masked tokens:  h = LN(act(transform(x[masked])));  logits = h . word^T + output_bias      the table is tied
//                     next sentence:  logits = seq_relationship(pooled)
//     classification  logits = classifier(dropout(pooled))
//     spans           logits = qa_outputs(x), of each token to begin and to end the answer; there is no pooler
//
// Parameters beside the encoder's, with the names of the original and of HF transformers:
//     cls/predictions/{output_bias, transform/dense/{weight, bias}, transform/LayerNorm/{weight, bias}}
//     cls/seq_relationship/{weight, bias}      classifier/{weight, bias}      qa_outputs/{weight, bias}

#include <cstdint>

#include "nn/models/bert.h"

namespace capstan::nn {

class BertPretraining {
 public:
  BertPretraining(const Scope& scope, std::int64_t vocab_size, const BertOptions& options, DType precision = DType::f32);

  const BertEncoder& encoder() const { return encoder_; }
  /// Logits of "B follows A" and "B is random": [sequences, 2].
  Tensor next_sentence_logits(const Tensor& encoded, const TokenLayout& layout) const;
  /// h of some tokens, i64 [N]: [N, H]; their logits are h . word_table^T + output_bias. That product is the caller's: losses compute it
  /// block by block.
  Tensor transformed(const Tensor& encoded, const Tensor& tokens) const;
  const Parameter& word_table() const { return encoder_.word_table(); }  // [V, H]
  const Parameter& output_bias() const { return output_bias_; }          // [V]

 private:
  BertEncoder encoder_;
  Parameter output_bias_;  // [V]
  Linear transform_;
  LayerNorm transform_norm_;
  Linear seq_relationship_;
};

class BertClassifier {
 public:
  struct Head {
    std::int64_t classes = 2;  ///< 1 for a number
    double dropout = 0.1;      ///< of the pooled vector
    DType precision = DType::f32;
  };
  BertClassifier(const Scope& scope, std::int64_t vocab_size, const BertOptions& options, const Head& head);

  const BertEncoder& encoder() const { return encoder_; }
  /// [sequences, classes], f32 in either precision.
  Tensor logits(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;
  const Linear& classifier() const { return classifier_; }

 private:
  BertEncoder encoder_;
  Dropout dropout_;
  Linear classifier_;
};

class BertSpans {
 public:
  BertSpans(const Scope& scope, std::int64_t vocab_size, const BertOptions& options, DType precision = DType::f32);

  const BertEncoder& encoder() const { return encoder_; }
  /// [tokens, 2], f32 in either precision: of beginning and end, at padded positions too.
  Tensor logits(const Tensor& ids, const Tensor& segments, const TokenLayout& layout, const Run& run) const;

 private:
  BertEncoder encoder_;
  Linear outputs_;
};

}  // namespace capstan::nn
