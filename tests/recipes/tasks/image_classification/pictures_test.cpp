// Attention pictures.

#include "recipes/tasks/image_classification/pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"

namespace capstan::image_classification {
namespace {

using ::testing::HasSubstr;

TEST(AttentionPictures, ShowThePatchThatIsAttendedTo) {
  // One layer, two heads, class token and 2 x 2 patches: head 0 looks at the patch on the lower left, head 1 at all alike.
  const Tensor p = Tensor::full(Shape{1, 2, 5, 5}, 0.2);
  for (std::int64_t i = 0; i < 5; ++i) p.data<float>()[i] = i == 3 ? 0.96f : 0.01f;
  data::Image white(8, 8, 3);
  for (auto& v : white.pixels) v = 200;
  const AttentionPictures made = attention_pictures(white, std::span(&p, 1), {2, 2}, true, 64);
  ASSERT_EQ(made.heads.height, 32);
  ASSERT_EQ(made.heads.width, 2 * 32 + 4);
  EXPECT_EQ(made.heads.at(30, 1, 0), 200);
  EXPECT_LT(made.heads.at(1, 1, 0), 10);
  EXPECT_LT(made.heads.at(30, 30, 0), 10);
  EXPECT_EQ(made.heads.at(1, 33, 0), 255) << "the gap";
  for (const std::int64_t y : {1, 30})
    for (const std::int64_t x : {37, 66}) EXPECT_EQ(made.heads.at(y, x, 1), 200);
  ASSERT_EQ(made.rollout.width, 3 * 64 + 8);
  EXPECT_EQ(made.rollout.at(1, 1, 0), 200) << "the image itself";
  EXPECT_EQ(made.rollout.at(60, 68 + 3, 0), 200) << "the image times the mask";
  EXPECT_LT(made.rollout.at(3, 68 + 3, 0), 60);
  EXPECT_GT(made.rollout.at(60, 136 + 3, 0), made.rollout.at(3, 136 + 3, 0)) << "the mask in colours";
  // Rollout of the published rule: the mean of heads is .58 for that patch and .105 for the others; the identity and the division by the
  // row's sum do not change their ratio.
  EXPECT_NEAR(rollout_weights(std::span(&p, 1), true)[2], 1, 1e-6);
  EXPECT_NEAR(rollout_weights(std::span(&p, 1), true)[0], 0.105 / 0.58, 1e-5);
  try {
    attention_pictures(white, std::span(&p, 1), {2, 3}, true, 64);
    ADD_FAILURE() << "accepted";
  } catch (const ShapeError& e) {
    EXPECT_THAT(e.what(), HasSubstr("5 tokens are not a grid of 2 x 3 patches and a class token"));
  }
}

TEST(AttentionPictures, WithoutAClassTokenRowsAreAveraged) {
  const Tensor p = Tensor::zeros(Shape{1, 1, 4, 4});
  for (std::int64_t r = 0; r < 4; ++r) p.data<float>()[4 * r + 1] = 1;  // everybody looks at patch 1
  EXPECT_THAT(rollout_weights(std::span(&p, 1), false), ::testing::ElementsAre(0.2f, 1, 0.2f, 0.2f));
}

}  // namespace
}  // namespace capstan::image_classification
