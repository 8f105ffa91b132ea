#include "nn/patch_embedding.h"

#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"

namespace capstan::nn {

PatchEmbedding::PatchEmbedding(const Scope& scope, const PatchEmbeddingOptions& o)
    : patch_(o.patch),
      weight_(scope.parameter("weight", {o.width, o.channels, o.patch, o.patch}, o.init)),
      bias_(o.bias ? scope.parameter("bias", {o.width}, o.bias_init, {.decay = false}) : Parameter()) {
  require<ConfigError>(o.patch > 0, scope.path(), ": the patch must be at least 1: ", o.patch);
}

std::pair<std::int64_t, std::int64_t> PatchEmbedding::grid(std::int64_t height, std::int64_t width) const {
  require(height % patch_ == 0 && width % patch_ == 0, "patch_embedding: the patch must divide height and width: height ", height,
          ", width ", width, ", patch ", patch_);
  return {height / patch_, width / patch_};
}

Tensor PatchEmbedding::operator()(const Tensor& images, std::int64_t window) const {
  require(images.rank() == 4 && images.size(1) == weight_.size(1),
          "patch_embedding: images must be [B, C, H, W] with the channels of the "
          "weight: images ",
          images, ", weight ", weight_);
  const auto [rows, columns] = grid(images.size(2), images.size(3));
  const std::int64_t batch = images.size(0), channels = images.size(1);
  require(rows % window == 0 && columns % window == 0, "patch_embedding: windows must divide the patches: rows ", rows, ", columns ",
          columns, ", window ", window);
  const Tensor parts = reshape(images, Shape{batch, channels, rows / window, window, patch_, columns / window, window, patch_});
  const Tensor patches = reshape(permute(parts, {0, 2, 5, 3, 6, 1, 4, 7}), Shape{batch, rows * columns, channels * patch_ * patch_});
  return linear(patches, flatten(weight_for(weight_, images), 1, -1), weight_for(bias_, images));  // [B, N, width]
}

}  // namespace capstan::nn
