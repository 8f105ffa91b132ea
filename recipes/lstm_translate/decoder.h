#pragma once
// LstmDecoder: an LSTM encoder-decoder as the search of nn/generation asks for it.
//
// Every step computes as many rows as there is room for, of which those that are not asked for mean nothing, and every source is read
// alone: so the products have the same shapes whatever stands side by side, and a row's logits depend on its own history alone.

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/generation/decoder.h"
#include "nn/models/lstm_seq2seq.h"
#include "recipes/tasks/translation/network.h"

namespace capstan::lstm_translate {

class LstmDecoder final : public nn::Decoder {
 public:
  struct Vocabularies {
    std::int64_t source = 0, target = 0;
  };
  /// Throws ConfigError for weights other than f32.
  LstmDecoder(std::shared_ptr<const nn::LstmSeq2Seq> model, const Vocabularies& vocabularies, const translation::DecoderSize& size);

  std::int64_t vocabulary() const override { return vocabularies_.target; }
  std::int64_t max_lines() const override { return size_.lines; }
  std::int64_t max_beams() const override { return size_.beams; }
  std::int64_t max_length() const override { return size_.max_length; }
  std::int64_t max_source() const override { return size_.max_source; }
  std::int64_t source_vocabulary() const override { return vocabularies_.source; }
  void begin(std::span<const Line> lines) override;
  std::span<float> step(std::span<const Row> asked) override;

 private:
  using State = nn::LstmSeq2Seq::State;
  using Memory = nn::LstmSeq2Seq::Memory;
  std::int64_t rows() const { return size_.lines * size_.beams; }

  std::shared_ptr<const nn::LstmSeq2Seq> model_;
  Vocabularies vocabularies_;
  translation::DecoderSize size_;
  Memory memory_;  // of the lines at their places, [lines, max_source, ...]
  State first_;    // [lines, d]
  State last_;     // of the rows of the step before, [rows, d]
  Tensor tokens_;  // i64 [rows]
  Tensor logits_;  // [rows, vocabulary]
};

}  // namespace capstan::lstm_translate
