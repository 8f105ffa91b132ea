#include "optim/weight_average.h"

#include <gtest/gtest.h>

#include "autograd/core/error.h"

namespace capstan::optim {
namespace {

struct WeightAverageTest : testing::Test {
  Tensor weight = Tensor::from<float>({1, -2}, {2}), buffer = Tensor::from<double>({8}, {1});
  std::vector<Parameter> parameters{{"weight", weight}, {"mean", buffer, {.trainable = false}}};
};

TEST_F(WeightAverageTest, FollowsTheFormula) {
  WeightAverage average(parameters, 0.5);
  EXPECT_EQ(average.averages()[0].to_vector(), (std::vector<double>{1, -2}));
  weight.span<float>()[0] = 12;
  buffer.span<double>()[0] = 19;
  average.update(1);  // d = min(.5, 2 / 11): 1 + 9/11 (12 - 1) = 10, 8 + 9/11 (19 - 8) = 17
  EXPECT_FLOAT_EQ(average.averages()[0].span<float>()[0], 10);
  EXPECT_FLOAT_EQ(average.averages()[0].span<float>()[1], -2);
  EXPECT_DOUBLE_EQ(average.averages()[1].span<double>()[0], 17);
  average.update(1000);  // d = .5
  EXPECT_FLOAT_EQ(average.averages()[0].span<float>()[0], 11);
  EXPECT_DOUBLE_EQ(average.averages()[1].span<double>()[0], 18);
  average.restart();
  EXPECT_EQ(average.averages()[0].to_vector(), (std::vector<double>{12, -2}));
}

TEST_F(WeightAverageTest, SwappedShowsTheAveragesInThePlaceOfTheParameters) {
  WeightAverage average(parameters, 0.9);
  const Tensor shared = weight;  // a module's handle
  weight.span<float>()[1] = 5;
  {
    const WeightAverage::Swapped swapped(average);
    EXPECT_EQ(shared.to_vector(), (std::vector<double>{1, -2}));
    EXPECT_EQ(average.averages()[0].to_vector(), (std::vector<double>{1, 5}));
  }
  EXPECT_EQ(shared.to_vector(), (std::vector<double>{1, 5}));
  EXPECT_EQ(average.averages()[0].to_vector(), (std::vector<double>{1, -2}));
}

TEST_F(WeightAverageTest, SwappedReachesTheNarrowCopies) {
  WeightAverage average(parameters, 0.9);
  const Tensor copy = parameters[0].bf16().detach();
  parameters[0].write().span<float>()[1] = 5;
  {
    const WeightAverage::Swapped swapped(average);
    EXPECT_EQ(parameters[0].bf16().to_vector(), (std::vector<double>{1, -2}));
  }
  EXPECT_EQ(parameters[0].bf16().to_vector(), (std::vector<double>{1, 5}));
  EXPECT_TRUE(parameters[0].bf16().storage().same_as(copy.storage())) << "written anew where it was";
}

TEST_F(WeightAverageTest, RefusesWhatItCannotAverage) {
  EXPECT_THROW(WeightAverage(parameters, 1.0), ConfigError);
  EXPECT_THROW(WeightAverage(parameters, -0.1), ConfigError);
  parameters.push_back({"half", Tensor::zeros({1}, DType::bf16)});
  EXPECT_THROW(WeightAverage(parameters, 0.9), DTypeError);
}

}  // namespace
}  // namespace capstan::optim
