#pragma once
// Encoder or decoder layers in a row, with a normalisation at the end if wanted: pre-norm stacks need one, and torch.nn.Transformer has
// one after post-norm stacks too; BERT has none.
//     TransformerStack<EncoderLayer> encoder(scope, {.layers = 6, .layer = {.width = 512, .heads = 8, .inner = 2048}});
//     Tensor y = encoder(x, {.keys = real}, run);
//
// Parameters: <layer_name><number>/... of each layer, at the depths 1, 2, ... (Scope::at_depth), then norm/{weight, bias} behind them.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/decoder_layer.h"
#include "nn/decoding_state.h"
#include "nn/transformer_layer.h"

namespace capstan::nn {

struct TransformerStackOptions {
  std::int64_t layers = 0;
  TransformerLayerOptions layer = {};  ///< its stochastic_depth is that of the last layer; earlier layers have less, linearly to 0
  bool final_norm = true;
  std::string layer_name = "";  ///< what stands before the number in the path of a layer
};

/// Layer is EncoderLayer or DecoderLayer.
template <class Layer>
class TransformerStack {
 public:
  using Inputs = typename Layer::Inputs;  ///< an encoder's mask; a decoder's memory and masks
  TransformerStack(const Scope& scope, const TransformerStackOptions& options);

  /// x [B, T, width], or packed [N, width] -> the same shape.
  Tensor operator()(const Tensor& x, const Inputs& inputs, const Run& run) const;

  /// Row 0 of the same: [B, width], of a padded batch. The last layer then computes keys and values of all rows, and everything else,
  /// which is most of a layer's work, of that row alone. A template, so that the stack of decoder layers is instantiated without it.
  template <std::same_as<EncoderLayer> Encoder = Layer>
  Tensor first_token(const Tensor& x, const AttentionMask& mask, const Run& run) const;

  struct WithWeights {
    Tensor output;             ///< [B, T, width]
    AttentionWeights weights;  ///< of every layer
  };
  WithWeights with_weights(const Tensor& x, const Inputs& inputs, const Run& run) const;

  /// A state without tokens of `batch` sequences, with room for `capacity` tokens of each (more come at the price of a copy).
  template <std::same_as<EncoderLayer> Encoder = Layer>
  DecodingState begin_decoding(std::int64_t batch, std::int64_t capacity = 0) const;
  /// The same, of as many sequences as the memory [B, S, width] has; its keys and values are made here, once for each layer. real u8
  /// [B, S], 1 for a real row of the memory, absent: all are. Throws GraphError while a tape records.
  template <std::same_as<DecoderLayer> Decoder = Layer>
  DecodingState begin_decoding(const Tensor& memory, const Tensor& real = {}, std::int64_t capacity = 0) const;
  /// The causal stack of the next n tokens of each sequence, x [B, n, width] -> [B, n, width]: a prompt, then token by token. What the
  /// whole sequences at once give, up to rounding, for sequences padded on the left too: mask.keys, if any, is [B, n], 1 for a real token,
  /// and the state remembers it. mask.mask and mask.bias are of these queries and all tokens so far, [B, heads, n, position + n] when
  /// broadcast. No gradient: throws GraphError while a tape records. If it throws, the state is what it was.
  Tensor decode(const Tensor& x, DecodingState& state, const AttentionMask& mask, const Run& run) const;

  /// The result of every layer, x's shape, in pre-norm stacks the sums; the normalisation at the end is left out.
  std::vector<Tensor> all_layers(const Tensor& x, const Inputs& inputs, const Run& run) const;

  const std::vector<Layer>& layers() const { return layers_; }
  const LayerNorm* norm() const { return norm_ ? &*norm_ : nullptr; }  ///< at the end; nullptr: none

 private:
  struct Observed {
    AttentionWeights* weights = nullptr;
    std::vector<Tensor>* results = nullptr;
  };
  static std::vector<Layer> make_layers(const Scope& scope, const TransformerStackOptions& options);
  Residual::State begin(const Tensor& x) const;
  /// The layers before `end`.
  Residual::State through(std::size_t end, Residual::State state, const Inputs& inputs, const Run& run, const Observed& observed) const;
  /// One layer, and then the normalisation that follows it in a pre-norm stack.
  Residual::State layer(std::size_t index, const Residual::State& state, const Tensor& keys, const Inputs& inputs, const Run& run,
                        AttentionWeights* weights) const;
  Tensor finish(const Residual::State& state) const;
  /// The normalisation that layer `index` takes with its last sum; nullptr: none.
  const LayerNorm* norm_after(std::size_t index) const;

  std::vector<Layer> layers_;
  std::optional<LayerNorm> norm_;
  bool norm_follows_;  // the last sum: pre-norm layers take the normalisation at the end with it
  bool splits_first_token_;
};

extern template class TransformerStack<EncoderLayer>;
extern template class TransformerStack<DecoderLayer>;

}  // namespace capstan::nn
