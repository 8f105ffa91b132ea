#pragma once
// An encoder and a decoder of LSTMs with attention and input feeding (Bahdanau, Cho, Bengio, 2015; Luong, Pham, Manning, 2015):
//
//     H = BiLSTM(source vectors)                                        [B, S, 2 h]; the decoder is d wide, h unless said otherwise
//     h0 = W_h [last forward; last backward],  c0 = W_c [...] of the cells
//     each step:  h, c = LSTMCell([target vector; o before], h, c)      o starts at 0 (input feeding)
//                 a = softmax(score(h, H)), padding 0;  context = sum a H
//                 o = dropout(tanh(W_u [h; context]));  logits = W_v o
//
// Sources and targets come padded, Align::left; ids of padding have a zero vector. What is decoded from what is decided by the caller: this
// knows no search, no loss and no text. Time and memory of a target grow linearly with its steps. Start: vectors normal with deviation
// embedding_deviation, all others Glorot uniform, of gates each on its own; biases 0. No bias but in the LSTMs. Parameters:
//     source_embedding/weight, target_embedding/weight
//     encoder/0/{forward, backward}/{input, state}/{weight, bias}, decoder/{input, state}/{weight, bias}
//     h_projection/weight, c_projection/weight, attention/... (nn/recurrent_attention.h), combined/weight, vocabulary/weight

#include <cstdint>
#include <vector>

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

struct LstmSeq2SeqOptions {
  std::int64_t embedding = 256, hidden_size = 256, decoder_size = 0;
  ScoreKind score = ScoreKind::general;
  std::int64_t attention_size = 0;
  double embedding_dropout = 0.2, output_dropout = 0.2, scheduled_sampling = 0, embedding_deviation = 0.1;

  template <class V>
  void visit(V& v) {
    v("embedding", embedding, "width of a word vector, source and target", V::between(1, 65536));
    v("hidden_size", hidden_size, "width of each direction of the encoder", V::between(1, 65536));
    v("decoder_size", decoder_size, "width of the decoder; 0: hidden_size. Dot scores need twice hidden_size", V::between(0, 65536));
    v("score", score,
      "how well a decoder state d fits an encoder state h. general: d . W h (Luong); additive: v . tanh(W1 h + W2 d) (Bahdanau)",
      {{"general", ScoreKind::general}, {"additive", ScoreKind::additive}, {"dot", ScoreKind::dot}});
    v("attention_size", attention_size, "rows of W1 and W2 of additive scores; 0: the width of the decoder", V::between(0, 65536));
    v("embedding_dropout", embedding_dropout, "share of the numbers of word vectors set to zero in training", V::fraction()).of_training();
    v("output_dropout", output_dropout, "the same of what a step gives, which the next step reads too", V::fraction()).of_training();
    v("scheduled_sampling", scheduled_sampling,
      "in training, probability of a step to read the best word of the step before instead of the target's", V::between(0, 1))
        .of_training();
    v("embedding_deviation", embedding_deviation, "standard deviation of the initial word vectors", V::positive()).of_training();
  }

  std::int64_t decoder_width() const { return decoder_size > 0 ? decoder_size : hidden_size; }
};

class LstmSeq2Seq {
 public:
  /// Numbers of tokens, and which of them are padding.
  struct Vocabularies {
    std::int64_t source = 0, target = 0;
    std::int64_t source_padding = 0, target_padding = 0;
  };
  LstmSeq2Seq(const Scope& scope, const Vocabularies& vocabularies, const LstmSeq2SeqOptions& options);

  /// What decoding reads of the sources, a row each.
  struct Memory {
    Tensor states;  ///< [B, S, 2 h]
    Tensor keys;    ///< what the scores read of them
    Tensor mask;    ///< u8 [B, S], 1 = real
  };
  /// What a step hands to the next one.
  struct State {
    LstmState cell;  ///< [B, d]
    Tensor output;   ///< o, [B, d]
  };
  struct Encoded {
    Memory memory;
    State first;
  };
  /// ids i64 [B * S], padded. Throws ShapeError for a packed batch.
  Encoded encode(const Tensor& ids, const TokenLayout& layout, const Run& run) const;

  struct Decoded {
    Tensor outputs;  ///< o of all steps, [B, T, d]
    Tensor weights;  ///< of attention, [B, T, S]
  };
  /// Teacher forcing: ids i64 [B * T] are what the steps read, padded. In training each step may read its own best word instead
  /// (options.scheduled_sampling), by a draw that depends on (seed, step, run.token_ids) alone.
  Decoded decode(const Encoded& source, const Tensor& ids, const TokenLayout& layout, const Run& run) const;

  struct Step {
    Tensor logits;   ///< [B, target]
    Tensor weights;  ///< [B, S]
    State state;
  };
  /// One step of each row, tokens i64 [B].
  Step step(const Tensor& tokens, const State& state, const Memory& memory) const;
  /// outputs [..., d] -> [..., target].
  Tensor logits(const Tensor& outputs) const { return vocabulary_(outputs); }

  const Parameter& source_table() const { return source_words_.table(); }
  const Parameter& target_table() const { return target_words_.table(); }
  const Parameter& vocabulary_weight() const { return vocabulary_.weight(); }

 private:
  struct Advanced {
    State state;
    Tensor weights;
  };
  /// `projection` [B, 4 d]: of the word alone.
  Advanced advanced(const Tensor& projection, const Tensor& feeding, const State& state, const Memory& memory, const Run& run) const;

  LstmSeq2SeqOptions options_;
  std::uint64_t sampling_place_;
  Embedding source_words_, target_words_;
  Dropout source_dropout_, target_dropout_;
  Lstm encoder_;
  RecurrentWeights decoder_;
  Linear h_projection_, c_projection_;
  AttentionScores attention_;
  Linear combined_;
  Dropout output_dropout_;
  Linear vocabulary_;
};

/// Rows of a state, or of a memory, by number: i64 [n] -> n rows. For beams.
LstmSeq2Seq::State rows_of(const LstmSeq2Seq::State& state, const Tensor& rows);
LstmSeq2Seq::Memory rows_of(const LstmSeq2Seq::Memory& memory, const Tensor& rows);

}  // namespace capstan::nn
