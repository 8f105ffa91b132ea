#include "optim/update_list.h"

#include <gtest/gtest.h>

namespace capstan::optim {
namespace {

const kernels::rules::Sgd kRule{.learning_rate = 1};

TEST(UpdateList, ScalesTheLearningRateOfAParameter) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Parameter scaled("scaled", Tensor::full({5}, 2, dtype), {.learning_rate_scale = .25}),
        plain("plain", Tensor::full({3}, 2, dtype));
    const Gradient of_scaled = Tensor::full({5}, 3, dtype), of_plain = Tensor::full({3}, 3, dtype);
    UpdateList list;
    list.add(scaled, of_scaled, {}, SparsePolicy::dense, 0);
    list.add(plain, of_plain, {}, SparsePolicy::dense, 0);
    list.run(kRule, .5);
    EXPECT_EQ(scaled.value().to_vector(), std::vector<double>(5, 1.625));  // 2 - .25 * .5 * 3
    EXPECT_EQ(plain.value().to_vector(), std::vector<double>(3, .5));
  }
}

TEST(UpdateList, KeepsTheNarrowCopyOfAParameterUpToDate) {
  const Parameter p("p", Tensor::full({5}, 2)), unused("unused", Tensor::full({5}, 2));
  const void* const memory = p.bf16().data<bfloat16>();
  const std::uint64_t before = p.version();
  const Gradient g = Tensor::full({5}, 1.00390625);
  UpdateList list;
  list.add(p, g, {}, SparsePolicy::dense, 0);
  list.add(unused, g, {}, SparsePolicy::dense, 0);
  EXPECT_GT(p.version(), before);
  list.run(kRule, 1);
  EXPECT_EQ(p.bf16().data<bfloat16>(), memory);
  EXPECT_EQ(p.bf16().to_vector(), std::vector<double>(5, 0.99609375));
  EXPECT_EQ(unused.bf16().to_vector(), std::vector<double>(5, 0.99609375)) << "made when it is first asked for";
}

TEST(UpdateList, KeepsTheNarrowCopyOfNamedRowsUpToDate) {
  const Parameter table("table", Tensor::full({3, 2}, 2));
  const bfloat16* const copy = table.bf16().data<bfloat16>();
  const Gradient g = Gradient::rows(Tensor::from<std::int64_t>({1}, Shape{1}), Tensor::full({1, 2}, 1), table.shape(), true);
  UpdateList list;
  list.add(table, g, {}, SparsePolicy::lazy, 0);
  list.run(kRule, 1);
  EXPECT_EQ(table.bf16().data<bfloat16>(), copy);
  EXPECT_EQ(table.bf16().to_vector(), (std::vector<double>{2, 2, 1, 1, 2, 2}));
}

}  // namespace
}  // namespace capstan::optim
