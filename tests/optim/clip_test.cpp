#include "optim/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace capstan::optim {
namespace {

Tensor ramp(std::int64_t n, DType dtype) {
  const Tensor t({n}, dtype);
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = std::sin(static_cast<double>(i));
    dtype == DType::f64 ? t.data<double>()[i] = v : t.data<float>()[i] = static_cast<float>(v);
  }
  return t;
}

TEST(Clip, CountsRowsAfterSummingRepeatedOnes) {
  const Tensor indices = Tensor::from({std::int64_t{2}, std::int64_t{0}, std::int64_t{2}}, {3});
  std::vector<Gradient> gradients{Tensor::from({3.0f}, {1}), Gradient(),
                                  Gradient::rows(indices, Tensor::from({1.0f, 2.0f, 0.0f, 4.0f, 1.0f, 2.0f}, {3, 2}), {5, 2})};
  const Clipped clipped = clip_global_norm(gradients, 2.5);  // rows [2, 4] and [0, 4]: 9 + 20 + 16
  EXPECT_DOUBLE_EQ(clipped.norm, std::sqrt(45.0));
  EXPECT_DOUBLE_EQ(clipped.scale, 2.5 / std::sqrt(45.0));
  EXPECT_EQ(gradients[2].indices().to_vector(), (std::vector<double>{2, 0}));
  EXPECT_EQ(gradients[2].row_values().to_vector(), (std::vector<double>{2, 4, 0, 4}));
  EXPECT_DOUBLE_EQ(clip_global_norm(gradients, 2.5).norm, clipped.norm);
}

TEST(Clip, LeavesSmallGradientsAlone) {
  std::vector<Gradient> gradients{Tensor::from({0.3, 0.4}, {2})};
  EXPECT_EQ(clip_global_norm(gradients, 1).scale, 1);
  EXPECT_EQ(clip_global_norm(gradients, std::numeric_limits<double>::infinity()).scale, 1);
  EXPECT_THROW(clip_global_norm(gradients, 0), ConfigError);
  EXPECT_EQ(global_norm({}), 0);
}

TEST(Clip, PropagatesNotANumber) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor bad = dtype == DType::f64 ? Tensor::from({1.0, std::nan("")}, {2}) : Tensor::from({1.0f, std::nanf("")}, {2});
    std::vector<Gradient> gradients{ramp(5, dtype), bad};
    const Clipped clipped = clip_global_norm(gradients, 1);
    EXPECT_TRUE(std::isnan(clipped.norm));
    EXPECT_TRUE(std::isnan(clipped.scale));
  }
}

TEST(Clip, IsExactAndRepeatsOnLongGradients) {
  std::vector<Gradient> single{ramp(300001, DType::f32)}, exact{ramp(300001, DType::f64)};
  const double norm = global_norm(single);
  EXPECT_NEAR(norm, global_norm(exact), 1e-6 * norm);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(global_norm(single), norm);
}

}  // namespace
}  // namespace capstan::optim
