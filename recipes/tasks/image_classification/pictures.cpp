#include "recipes/tasks/image_classification/pictures.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "data/image/contact_sheet.h"
#include "data/image/heat_map.h"
#include "data/image/resize.h"
#include "recipes/tasks/image_classification/rollout.h"

namespace capstan::image_classification {
namespace {

/// What a [T, T] matrix says about the patches: the class token's row, or the mean of all rows; divided by the largest.
std::vector<float> patch_weights(std::span<const float> matrix, std::int64_t tokens, bool class_token) {
  const std::int64_t first = class_token ? 1 : 0, rows = class_token ? 1 : tokens;
  std::vector<float> weights(static_cast<std::size_t>(tokens - first));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += matrix[static_cast<std::size_t>(r * tokens + first) + i];
  const float most = *std::ranges::max_element(weights);
  for (float& w : weights) w = most > 0 ? w / most : 0;
  return weights;
}

void check(std::span<const Tensor> probabilities) {
  require(!probabilities.empty(), "attention pictures: the model has no layers");
  for (const Tensor& p : probabilities)
    require(p.rank() == 4 && p.size(0) == 1 && p.size(2) == p.size(3), "attention pictures: need the probabilities of one image: ", p);
}

}  // namespace

std::vector<float> rollout_weights(std::span<const Tensor> probabilities, bool class_token) {
  check(probabilities);
  const Tensor rollout = attention_rollout(probabilities).contiguous();  // [1, T, T]
  const std::vector<double> values = rollout.to_vector();
  return patch_weights(std::vector<float>(values.begin(), values.end()), rollout.size(1), class_token);
}

AttentionPictures attention_pictures(const data::Image& shown, std::span<const Tensor> probabilities,
                                     std::pair<std::int64_t, std::int64_t> grid, bool class_token, std::int64_t size) {
  check(probabilities);
  const std::int64_t tokens = probabilities[0].size(2), heads = probabilities[0].size(1);
  const auto layers = static_cast<std::int64_t>(probabilities.size());
  require(grid.first * grid.second + (class_token ? 1 : 0) == tokens, "attention pictures: ", tokens, " tokens are not a grid of ",
          grid.first, " x ", grid.second, " patches", class_token ? " and a class token" : "");
  const data::Image rgb = data::with_channels(shown, 3);
  const data::Image large = data::resize(rgb, size, size, data::Filter::bilinear);
  const data::Image small = data::resize(rgb, size / 2, size / 2, data::Filter::bilinear);

  const auto mask_over = [&](const std::vector<float>& weights, std::int64_t side) {
    return data::mask_of(weights, grid.first, grid.second, side, side);
  };
  data::ContactSheet by_head(layers, heads, {.height = size / 2, .width = size / 2}), rollout(1, 3, {.height = size, .width = size});
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::vector<double> values = probabilities[static_cast<std::size_t>(layer)].to_vector();
    const std::vector<float> all(values.begin(), values.end());
    for (std::int64_t head = 0; head < heads; ++head) {
      const auto matrix =
          std::span(all).subspan(static_cast<std::size_t>(head * tokens * tokens), static_cast<std::size_t>(tokens * tokens));
      by_head.place(layer, head, data::masked(small, mask_over(patch_weights(matrix, tokens, class_token), size / 2)));
    }
  }
  const data::Image mask = mask_over(rollout_weights(probabilities, class_token), size);
  rollout.place(0, 0, large);
  rollout.place(0, 1, data::masked(large, mask));
  rollout.place(0, 2, data::heat_map(large, mask));
  return {.heads = by_head.page(), .rollout = rollout.page()};
}

}  // namespace capstan::image_classification
