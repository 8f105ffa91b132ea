#pragma once
// Images as tokens: what a vision transformer begins with.

#include <cstdint>
#include <utility>

#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct PatchEmbeddingOptions {
  std::int64_t channels = 0;  ///< of the images
  std::int64_t patch = 1;     ///< height and width of a patch
  std::int64_t width = 0;     ///< of the tokens
  bool bias = true;
  Initializer init = glorot_uniform();
  Initializer bias_init = zeros();
};

/// A convolution whose kernel is as large as its stride: each patch of an image becomes one token. Weight [width, channels, patch, patch].
///
/// Computed as one matrix product of all patches, copied to rows: the result is [B, N, width], what the encoder reads, where a convolution
/// would give [B, width, N] and reorder image and weights for windows that never overlap.
class PatchEmbedding {
 public:
  PatchEmbedding(const Scope& scope, const PatchEmbeddingOptions& options);

  /// images [B, channels, H, W] -> [B, N, width], patches row by row, or window by window of `window` x `window` patches and row by row
  /// within. Throws ShapeError if patch does not divide H and W, or window not their rows and columns.
  Tensor operator()(const Tensor& images, std::int64_t window = 1) const;

  /// Rows and columns of patches. Throws ShapeError if patch does not divide both sizes.
  std::pair<std::int64_t, std::int64_t> grid(std::int64_t height, std::int64_t width) const;

 private:
  std::int64_t patch_;
  Parameter weight_, bias_;
};

}  // namespace capstan::nn
