#pragma once
// Pictures of attention over an image.
//
//     heads    a grid, one row a layer and one column a head: the image, each patch as bright as the class token's attention to it
//     rollout  three panels: the image; the image times the attention rollout's mask; the mask in colours over the grey image
//
// Brightness is relative to the brightest patch of its panel. A model without a class token shows the mean over all patches' rows.
// Attention says what was mixed into a token, not what decided; see rollout.h.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/image.h"

namespace capstan::image_classification {

struct AttentionPictures {
  data::Image heads, rollout;  ///< RGB
};

/// `shown` is the image as the model saw it, `probabilities` of each layer [1, heads, T, T], `grid` the rows and columns of patches. Panels
/// have `size` pixels a side, those of `heads` half of it. Throws ShapeError if tokens and grid do not fit.
AttentionPictures attention_pictures(const data::Image& shown, std::span<const Tensor> probabilities,
                                     std::pair<std::int64_t, std::int64_t> grid, bool class_token, std::int64_t size);

/// What the rollout draws from each patch, divided by the largest: [patches].
std::vector<float> rollout_weights(std::span<const Tensor> probabilities, bool class_token);

}  // namespace capstan::image_classification
