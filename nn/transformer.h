#pragma once
// The encoder-decoder of torch.nn.Transformer (Vaswani et al. 2017), with all of its options: from embedded source and target to what a
// generator reads. Both stacks end in a normalisation, also those of post-norm layers. Embeddings, positions and the output layer are a
// model's (models/transformer.h).
//
//     Transformer transformer(scope, {.width = 512, .heads = 8});
//     Tensor y = transformer(source, target, {.source = {.key_padding_mask = p}, .target = {.is_causal = true},
//                                             .memory = {.key_padding_mask = p}}, run);
//
// Parameters: encoder/<n>/..., encoder/norm/..., decoder/<n>/..., decoder/norm/... (transformer_stack.h). Start: Glorot uniform, query,
// key and value as parts of one matrix. A query that may attend to nothing gets zeros, where PyTorch gives NaN or zeros.

#include <cstdint>
#include <functional>
#include <optional>

#include "nn/torch_mask.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

/// Instead of a stack: x and memory [B, T, width], [B, S, width].
using CustomEncoder = std::function<Tensor(const Tensor& source, const AttentionMask& mask, const Run& run)>;
using CustomDecoder = std::function<Tensor(const Tensor& target, const DecoderInputs& inputs, const Run& run)>;

/// Names and defaults are PyTorch's where they differ from ours in words only: width is d_model, inner dim_feedforward, pre_norm
/// norm_first.
struct TransformerOptions {
  std::int64_t width = 512, heads = 8, encoder_layers = 6, decoder_layers = 6, inner = 2048;
  double dropout = 0.1;  ///< of attention probabilities, inside feed-forward layers and of the results of all sublayers
  Activation activation = Activation::relu;
  bool pre_norm = false;
  double epsilon = 1e-5;     ///< of the normalisations
  bool bias = true;          ///< of projections and normalisations
  bool batch_first = false;  ///< tensors are [B, T, width]; else [T, B, width]
  CustomEncoder encoder = {};
  CustomDecoder decoder = {};
};

/// Masks in PyTorch's sense of self-attention of either side and of the attention of the target to the memory.
struct TransformerMasks {
  TorchMask source = {}, target = {}, memory = {};
};

class Transformer {
 public:
  /// Throws ConfigError for options that do not fit.
  Transformer(const Scope& scope, const TransformerOptions& options);

  /// source [B, S, width], target [B, T, width] (without batch_first the first two axes change places) -> target's shape.
  Tensor operator()(const Tensor& source, const Tensor& target, const TransformerMasks& masks, const Run& run) const;
  /// The memory alone, and the decoder over it. Shapes as above.
  Tensor encode(const Tensor& source, const TorchMask& mask, const Run& run) const;
  Tensor decode(const Tensor& target, const Tensor& memory, const TorchMask& mask, const TorchMask& memory_mask, const Run& run) const;

 private:
  std::int64_t heads_;
  bool batch_first_;
  CustomEncoder custom_encoder_;
  CustomDecoder custom_decoder_;
  std::optional<TransformerStack<EncoderLayer>> encoder_;
  std::optional<TransformerStack<DecoderLayer>> decoder_;
};

/// 0 on and below the diagonal, -inf above: [size, size], to be added (torch's generate_square_subsequent_mask).
Tensor square_subsequent_mask(std::int64_t size, DType dtype = DType::f32);

/// PE[pos, 2i] = sin(pos / 10000^(2i / width)), PE[pos, 2i + 1] = cos of the same; of an odd width the last cosine is left out. [rows,
/// width]
Tensor sinusoidal_positions(std::int64_t rows, std::int64_t width, DType dtype = DType::f32);

}  // namespace capstan::nn
