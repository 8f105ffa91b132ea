#pragma once
// Stacks of transformer layers as a Decoder: an encoder with a decoder, or a causal stack alone (a language model). What the layers do is
// written down once as a step program (autograd/inference/step_program.h), with weights packed for few rows; keys and values stay in caches
// by (slot, position), and beams refer to them by an index table. Logits are those of the layers' own operator() in f32, up to rounding
// (of keys and values too, where they are kept in bf16).
//
// It holds copies of the weights, in f32, bf16 or int8, as they are when it is made; tables of embeddings and positions it shares.
// Post- and pre-norm, layer and RMS normalisation, any activation or gate, with and without biases, grouped heads, rotary positions; no
// relative positions.

#include <cstdint>
#include <vector>

#include "autograd/inference/step_program.h"
#include "nn/generation/decoder.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

/// What stands before and behind the layers of a stack. All f32.
struct TransformerTables {
  Tensor embedding;         ///< [vocabulary, width]
  double scale = 1;         ///< of the embedding's vectors
  Tensor positions = {};    ///< [positions, width], added; absent: none
  Tensor output = {};       ///< [vocabulary, width], the logits' weights; the embedding itself if they are tied; not for an encoder
  Tensor output_bias = {};  ///< [vocabulary], or absent
};

struct TransformerDecoderOptions {
  std::int64_t lines = 32;        ///< side by side
  std::int64_t beams = 1;         ///< of a line, at most
  std::int64_t max_length = 256;  ///< tokens of a line, the prompt among them
  std::int64_t max_source = 256;  ///< tokens of a source
  WeightStorage weights = WeightStorage::f32;
  DType cache = DType::f32;  ///< what keys and values are kept in: f32 or bf16
};

class TransformerDecoder final : public Decoder {
 public:
  /// An encoder and a decoder that attends to it. Throws ArgumentError for layers that it cannot run and for sizes that do not fit.
  TransformerDecoder(const TransformerStack<EncoderLayer>& encoder, const TransformerTables& source,
                     const TransformerStack<DecoderLayer>& decoder, const TransformerTables& target,
                     const TransformerDecoderOptions& options);
  /// A language model.
  TransformerDecoder(const TransformerStack<EncoderLayer>& decoder, const TransformerTables& tables,
                     const TransformerDecoderOptions& options);

  std::int64_t vocabulary() const override { return vocabulary_; }
  std::int64_t max_lines() const override { return options_.lines; }
  std::int64_t max_beams() const override { return options_.beams; }
  std::int64_t max_length() const override { return options_.max_length; }
  std::int64_t max_source() const override { return options_.max_source; }
  std::int64_t source_vocabulary() const override { return source_vocabulary_; }
  std::int64_t weight_bytes() const override { return program_.weight_bytes(); }
  double weight_error() const override { return program_.weight_error(); }
  void begin(std::span<const Line> lines) override;
  std::span<float> step(std::span<const Row> rows) override;

  /// Bytes of the caches of keys and values.
  std::int64_t cache_bytes() const;

 private:
  /// Slot of a place's beam.
  std::int32_t slot(std::int64_t place, std::int64_t beam) const { return static_cast<std::int32_t>(place * options_.beams + beam); }
  std::int64_t max_rows() const { return options_.lines * options_.beams; }
  void prepare(const TransformerTables& target);
  /// Reads sources and keeps their keys and values.
  void encode(std::span<const Line> lines);
  /// Keeps keys and values of the tokens before a line's first row.
  void prefill(const Line& line);
  void run_prompt(std::int64_t place, std::span<const std::int64_t> tokens, std::int64_t first);
  /// The first stages on tokens whose positions and places stand in the lists of the step.
  void run(std::span<const std::int64_t> tokens, std::size_t stages);

  TransformerDecoderOptions options_;
  std::int64_t vocabulary_ = 0, source_vocabulary_ = 0;
  std::vector<StepCache> caches_, memory_caches_;  // of each layer
  StepProgram encoder_, program_;
  std::size_t body_ = 0;  // the stages before the logits
  RowBuffer logits_;
  std::vector<std::int64_t> memory_size_;  // of each place

  // The rows of the step before, and which slot holds each of their positions: [max_rows, max_length]. Two tables, by turns.
  std::vector<Row> last_rows_;
  std::vector<std::int32_t> history_, last_history_;
  // Lists of one step.
  std::vector<std::int64_t> tokens_, positions_, line_begin_, memory_sizes_;
  std::vector<std::int32_t> slots_, memories_;
};

}  // namespace capstan::nn
