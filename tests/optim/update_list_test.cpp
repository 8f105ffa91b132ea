#include "optim/update_list.h"

#include <gtest/gtest.h>

namespace capstan::optim {
namespace {

const kernels::rules::Sgd kRule{.learning_rate = 1};

TEST(UpdateList, ScalesTheLearningRateAndRefreshesTheShadowOfAParameter) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Parameter scaled{.name = "scaled", .value = Tensor::full({5}, 2, dtype)},
        plain{.name = "plain", .value = Tensor::full({3}, 2, dtype)};
    const Gradient of_scaled = Tensor::full({5}, 3, dtype), of_plain = Tensor::full({3}, 3, dtype);
    const UpdateExtras extras{.learning_rate_scale = .25, .shadow = Tensor::zeros({5}, DType::bf16)};
    UpdateList list;
    list.add(scaled, of_scaled, {}, SparsePolicy::dense, 0, extras);
    list.add(plain, of_plain, {}, SparsePolicy::dense, 0);
    list.run(kRule, .5);
    EXPECT_EQ(scaled.value.to_vector(), std::vector<double>(5, 1.625));  // 2 - .25 * .5 * 3
    EXPECT_EQ(plain.value.to_vector(), std::vector<double>(3, .5));
    EXPECT_EQ(extras.shadow.to_vector(), std::vector<double>(5, 1.625));
  }
}

TEST(UpdateList, RefreshesTheShadowOfNamedRows) {
  const Parameter table{.name = "table", .value = Tensor::full({3, 2}, 2)};
  const Tensor shadow = Tensor::zeros({3, 2}, DType::bf16);
  const Gradient g = Gradient::rows(Tensor::from<std::int64_t>({1}, Shape{1}), Tensor::full({1, 2}, 1), table.value.shape(), true);
  UpdateList list;
  list.add(table, g, {}, SparsePolicy::lazy, 0, {.shadow = shadow});
  list.run(kRule, 1);
  EXPECT_EQ(shadow.to_vector(), (std::vector<double>{0, 0, 1, 1, 0, 0}));
}

TEST(UpdateList, RefusesAShadowThatDoesNotFit) {
  const Parameter p{.name = "p", .value = Tensor::zeros({3})};
  const Gradient g = Tensor::zeros({3});
  for (const Tensor& shadow : {Tensor::zeros({3}), Tensor::zeros({4}, DType::bf16)}) {
    UpdateList list;
    EXPECT_THROW(list.add(p, g, {}, SparsePolicy::dense, 0, {.shadow = shadow}), InternalError);
  }
}

}  // namespace
}  // namespace capstan::optim
