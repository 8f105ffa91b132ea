#pragma once
// The transformer that turns one sequence of tokens into another (Vaswani et al., "Attention is all you need", 2017): embeddings and
// positions, an encoder, a decoder (nn/transformer_stack.h), and the table of output vectors.
//
//     x = dropout(sqrt(H) E[ids] + P[0 .. n - 1]);   memory = encoder(x);   h = decoder(y, memory);   logits = h . O^T
//
// Positions are sinusoids, or learned vectors. Tied: source, target and output share one table (a joint vocabulary), or target and output
// do. Both stacks end in a normalisation, as torch.nn.Transformer's. Start: embeddings normal with deviation H^-1/2, all matrices of the
// layers Glorot uniform, query, key and value as parts of one matrix.
//
// Parameters: source_embedding/weight, target_embedding/weight, embedding/weight where they are one, output/weight where it is its own,
// source_positions, target_positions where they are learned; encoder/<n>/..., encoder/norm/..., decoder/<n>/..., decoder/norm/...

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/ops/activation.h"
#include "nn/decoding_state.h"
#include "nn/dropout.h"
#include "nn/foreign_names.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

enum class PositionKind { sinusoidal, learned };

/// Which tables are one.
enum class TiedTables {
  all,     ///< source, target and output
  output,  ///< target and output
  none,
};

struct TransformerModelOptions {
  std::int64_t encoder_layers = 3, decoder_layers = 3, hidden_size = 256, heads = 4, kv_heads = 0, intermediate_size = 1024;
  Activation activation = Activation::relu;
  bool pre_norm = false, bias = true;
  double norm_epsilon = 1e-5;
  double dropout = 0.1, attention_dropout = 0.1, activation_dropout = 0.1;
  PositionKind positions = PositionKind::sinusoidal;
  std::int64_t max_positions = 256;
  TiedTables tied = TiedTables::all;

  template <class V>
  void visit(V& v) {
    v("encoder_layers", encoder_layers, "layers of the encoder", V::between(0, 1024));
    v("decoder_layers", decoder_layers, "layers of the decoder", V::between(1, 1024));
    v("hidden_size", hidden_size, "width of a token", V::between(1, 65536));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("kv_heads", kv_heads, "heads of keys and values, a divisor of heads; 0: as many", V::between(0, 1024));
    v("intermediate_size", intermediate_size, "inner width of the feed-forward part", V::between(1, 1e6));
    v("activation", activation, "of the feed-forward part; gelu: by erf",
      {{"relu", Activation::relu}, {"gelu", Activation::gelu}, {"gelu_tanh", Activation::gelu_tanh}});
    v("pre_norm", pre_norm, "normalise before each part instead of behind each sum");
    v("bias", bias, "projections and normalisations have biases");
    v("norm_epsilon", norm_epsilon, "epsilon of the layer normalisations", V::positive());
    v("dropout", dropout, "share of embeddings and of results of every part set to zero in training", V::fraction()).of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("activation_dropout", activation_dropout, "share of inner activations set to zero in training", V::fraction()).of_training();
    v("positions", positions, "sinusoidal: fixed sines and cosines; learned: a vector a position",
      {{"sinusoidal", PositionKind::sinusoidal}, {"learned", PositionKind::learned}});
    v("max_positions", max_positions, "longest sequence that the model can read or write, with its frame", V::between(4, 65536));
    v("tied", tied, "tables that are one: all, source, target and output (a joint vocabulary); output: those of target and output; none",
      {{"all", TiedTables::all}, {"output", TiedTables::output}, {"none", TiedTables::none}});
  }
  /// Throws ConfigError.
  void validate() const;
};

class TransformerModel {
 public:
  struct Vocabularies {
    std::int64_t source = 0, target = 0;  ///< of equal size where all tables are one
  };
  TransformerModel(const Scope& scope, const Vocabularies& vocabularies, const TransformerModelOptions& options,
                   DType precision = DType::f32);

  /// One side of a batch: tokens i64 [B, T], padding behind the real ones.
  struct Tokens {
    Tensor ids;
    Tensor real;  ///< u8 [B, T], 1 for a real token
    Tensor keys;  ///< i64 [B * T], numbers that name the tokens for dropout; may be absent
  };
  /// [B, S, H]; at padded positions it means nothing.
  Tensor encode(const Tokens& source, const Run& run) const;
  /// What the decoder makes of all target tokens, each seeing those before it and the memory: [B, T, H]. Its logits are h . output_table^T.
  Tensor decode(const Tokens& target, const Tensor& memory, const Tokens& source, const Run& run) const;
  /// The same with the attention to the memory in the last layer, [B, heads, T, S].
  std::pair<Tensor, Tensor> decode_with_attention(const Tokens& target, const Tensor& memory, const Tokens& source, const Run& run) const;

  const Parameter& source_table() const { return source_; }  // [V, H]
  const Parameter& target_table() const { return target_; }
  const Parameter& output_table() const { return output_; }
  const TransformerStack<EncoderLayer>& encoder() const { return encoder_; }
  const TransformerStack<DecoderLayer>& decoder() const { return decoder_; }
  const TransformerModelOptions& options() const { return options_; }
  /// The vectors of positions, [max_positions, H], f32, of either side.
  Tensor source_positions() const { return source_positions_.defined() ? source_positions_.value() : sinusoids_; }
  Tensor target_positions() const { return target_positions_.defined() ? target_positions_.value() : sinusoids_; }

 private:
  static DecoderInputs inputs_of(const Tensor& memory, const Tokens& source);
  Tensor embed(const Tokens& tokens, const Parameter& table, const Tensor& positions, const Dropout& dropout, const Run& run) const;

  TransformerModelOptions options_;
  DType precision_;
  Parameter source_, target_, output_;
  Parameter source_positions_, target_positions_;  // [P, H], or undefined
  Tensor sinusoids_;                               // [P, H], or undefined
  Dropout source_dropout_, target_dropout_;
  TransformerStack<EncoderLayer> encoder_;
  TransformerStack<DecoderLayer> decoder_;
};

}  // namespace capstan::nn
