// Attention rollout against numbers computed by hand, and of a vision transformer against those of the well-known code.
#include "recipes/tasks/image_classification/rollout.h"

#include <gtest/gtest.h>

#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "nn/models/vit.h"
#include "tests/close.h"
#include "tests/nn/models/vit_formula.h"

namespace capstan::image_classification {
namespace {

const Tensor kFirst = Tensor::from({.5, .3, .2, .1, .8, .1, .2, .2, .6, .1, .7, .2, .3, .3, .4, .6, .2, .2}, {1, 2, 3, 3});
const Tensor kSecond = Tensor::from({.2, .5, .3, .4, .4, .2, .1, .1, .8, .6, .2, .2, .25, .5, .25, .3, .3, .4}, {1, 2, 3, 3});

TEST(AttentionRollout, MultipliesLayersLastOneLeftmost) {
  const Tensor rollout = attention_rollout(std::vector{kFirst, kSecond});
  EXPECT_EQ(rollout.shape(), (Shape{1, 3, 3}));
  expect_close(rollout.to_vector(), {.4975, .323125, .179375, .200625, .61375, .185625, .235, .1825, .5825}, 1e-12, "rollout");
  expect_rounded(rollout_mask(rollout).to_vector(), {1, .555126}, 6, "mask");
}

TEST(AttentionRollout, OfAVisionTransformer) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    nn::ParameterStore store(1, dtype);
    const nn::Vit model(store.root(), nn::kTiny);
    nn::fill_vit_by_formula(store);
    const auto seen = model.with_attention(cast(nn::cosine({1, 3, 8, 8}, 0), dtype), {});
    const std::vector<double> rollout = attention_rollout(seen.probabilities).to_vector();
    expect_close({rollout.begin(), rollout.begin() + 5}, {.515217, .141611, .119665, .107955, .115552}, 1e-5, "rollout");
  }
}

TEST(AttentionRollout, OfOneLayerIsItsMeanOverHeadsWithTheIdentity) {
  expect_close(attention_rollout(std::vector{kFirst}).to_vector(), {.65, .25, .1, .1, .775, .125, .2, .1, .7}, 1e-12, "one layer");
}

TEST(AttentionRollout, KeepsImagesApartAndTakesNarrowTypes) {
  std::vector<double> both = kFirst.to_vector(), second = kSecond.to_vector();
  both.insert(both.end(), second.begin(), second.end());
  const Tensor two = cast(Tensor::from(both, {2, 2, 3, 3}), DType::bf16);
  const Tensor rollout = attention_rollout(std::vector{two});
  std::vector<double> expected = attention_rollout(std::vector{kFirst}).to_vector(),
                      other = attention_rollout(std::vector{kSecond}).to_vector();
  expected.insert(expected.end(), other.begin(), other.end());
  expect_close(rollout.to_vector(), expected, 3e-3, "bf16");
  EXPECT_EQ(rollout_mask(rollout).shape(), (Shape{2, 2}));
}

TEST(AttentionRollout, RefusesWhatIsNoAttention) {
  EXPECT_THROW(attention_rollout({}), ShapeError);
  EXPECT_THROW(attention_rollout(std::vector{Tensor::zeros({1, 2, 3, 4})}), ShapeError);
  EXPECT_THROW(attention_rollout(std::vector{kFirst, Tensor::zeros({1, 2, 4, 4}, DType::f64)}), ShapeError);
  EXPECT_THROW(rollout_mask(Tensor::zeros({1, 3, 2})), ShapeError);
}

}  // namespace
}  // namespace capstan::image_classification
