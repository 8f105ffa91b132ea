// The losses, with a network whose logits are given.
#include "recipes/tasks/text_classification/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/scratch.h"

namespace capstan::text_classification {
namespace {

struct TaskTest : testing::Test {
  TaskTest() {
    options.data.vocabulary = scratch.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n");
    options.data.train = scratch.write("train.csv", "text,label\na,0\nb,1\na b,1\nb b b,1\n");
  }
  data::Scratch scratch;
  Options options;
  nn::ParameterStore store{1};

  /// The logits of a text are [its tokens, 1], or the number of its tokens where there is one output.
  Task task(bool packed = true) {
    return {options, {.batch_size = 2}, store.root(), [packed](const nn::Scope&, const Tokens& tokens, std::int64_t outputs) {
              EXPECT_EQ(tokens.count, 6);
              EXPECT_EQ(tokens.unknown, 1);
              Network network{.packed = packed, .logits = {}};
              network.logits = [outputs](const text::TokenBatch& batch, const nn::Run&) {
                std::vector<float> values;
                const auto ends = batch.layout.offsets.span<const std::int64_t>();
                for (std::size_t b = 0; b + 1 < ends.size(); ++b) {
                  values.push_back(static_cast<float>(ends[b + 1] - ends[b]));
                  if (outputs == 2) values.push_back(1);
                }
                return Tensor::from(values, {batch.layout.sequences, outputs});
              };
              return network;
            }};
  }
  static double mean_loss(const Task& task, const Batch& batch) { return task.loss(batch, {}).item() / task.loss_counts(batch)[0]; }
  static Batch all(const Task& task) {
    const std::vector<std::int64_t> indices{0, 1, 2, 3};
    return task.batch({.indices = indices});
  }
};

/// -log softmax([n, 1]) of class 0 and of class 1.
double of_first(double n) { return std::log(1 + std::exp(1 - n)); }
double of_second(double n) { return std::log(1 + std::exp(n - 1)); }

TEST_F(TaskTest, TakesTheMeanOverWeightsAsPyTorch) {
  const double first = of_first(3), others = of_second(3) + of_second(4) + of_second(5);
  {
    const Task t = task();
    EXPECT_NEAR(mean_loss(t, all(t)), (first + others) / 4, 1e-6);
  }
  options.data.class_weights = {"0=3", "1=0.5"};
  {
    const Task t = task();
    EXPECT_NEAR(mean_loss(t, all(t)), (3 * first + 0.5 * others) / 4.5, 1e-6);
  }
  options.data.class_weights = {"balanced"};  // 4 / (2 * 1) and 4 / (2 * 3)
  const Task t = task();
  EXPECT_NEAR(mean_loss(t, all(t)), (2 * first + 2.0 / 3 * others) / 4, 1e-6);
}

TEST_F(TaskTest, SmoothsLabelsInTraining) {
  options.loss.label_smoothing = 0.2;
  const double first = 0.9 * of_first(3) + 0.1 * of_second(3);
  double others = 0;
  for (const double n : {3.0, 4.0, 5.0}) others += 0.9 * of_second(n) + 0.1 * of_first(n);
  const Task t = task();
  EXPECT_NEAR(mean_loss(t, all(t)), (first + others) / 4, 1e-6);
  options.data.target = Target::number;
  EXPECT_THROW(options.validate(128), ConfigError);
}

TEST_F(TaskTest, TakesTheMeanSquaredError) {
  options.data.target = Target::number;
  const Task t = task();
  EXPECT_NEAR(mean_loss(t, all(t)), (9 + 4 + 9 + 16) / 4.0, 1e-6);  // 3 - 0, 3 - 1, 4 - 1, 5 - 1
}

TEST_F(TaskTest, OrdersOnlyWhatIsPadded) {
  EXPECT_FALSE(task(true).order(0, 0, 4).has_value());
  const Task padded = task(false);
  const auto order = padded.order(0, 0, 4);
  ASSERT_TRUE(order.has_value());
  EXPECT_THAT(*order, testing::UnorderedElementsAre(0, 1, 2, 3));
  EXPECT_EQ(padded.batch({.indices = std::vector<std::int64_t>{0, 3}}).tokens.layout.length, 5);
}

}  // namespace
}  // namespace capstan::text_classification
