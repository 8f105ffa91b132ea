#include "recipes/tasks/next_item/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "recipes/engine/config/options.h"
#include "tests/data/scratch.h"

namespace capstan::next_item {
namespace {

using engine::Split;
using ::testing::ElementsAre;

/// A task on a file, with a network that is never asked.
struct Files {
  data::Scratch scratch;
  Options options;
  engine::Setup setup{.seed = 7, .batch_size = 2, .batches_per_step = 1};
  nn::ParameterStore store;

  explicit Files(const std::string& content) {
    options.data.path = scratch.write("x.txt", content);
    options.loss.kind = LossKind::ce;
    options.evaluate.sampled_negatives = 0;
  }
  Task task() {
    return Task(options, setup, store.root(), [](const nn::Scope&, std::int64_t) { return Network{}; });
  }
};

TEST(NextItemTask, DrawsUsersWithReplacementOrInPasses) {
  Files files("a 1\na 2\na 3\na 4\nb 2\nb 3\nb 4\nb 5\nc 3\nd 3\nd 4\nd 5\nd 1\ne 4\ne 5\n");
  const Task uniform = files.task();
  EXPECT_EQ(uniform.size(Split::train), 4) << "one item cannot train";
  EXPECT_EQ(uniform.size(Split::validation), 3);
  EXPECT_EQ(uniform.samples_per_epoch(), 4) << "5 users make two steps of 2";
  const auto drawn = *uniform.order(0, 0, 400);
  EXPECT_EQ(drawn, uniform.order(0, 0, 400));
  EXPECT_NE(drawn, uniform.order(1, 0, 400));
  EXPECT_EQ(uniform.order(0, 100, 1)->front(), drawn[100]) << "a place has the same user however it is asked for";
  for (const std::int64_t u : {0, 1, 2, 3}) EXPECT_NEAR(static_cast<double>(std::ranges::count(drawn, u)), 100, 35) << u;

  files.options.data.sampling = Sampling::shuffled;
  const Task passes = files.task();
  EXPECT_EQ(passes.samples_per_epoch(), 4);
  EXPECT_EQ(passes.order(0, 0, 4), std::nullopt) << "the engine's permutation";
}

TEST(NextItemTask, EvaluationBatchesHoldHistories) {
  Files files("a 1\na 2\na 3\na 4\nb 2\nb 3\nc 3\nc 1\nc 2\n");
  const Task task = files.task();
  const std::vector<std::int64_t> both{0, 1};
  const Batch b = task.batch({.split = Split::test, .indices = both});
  EXPECT_THAT(b.cases, ElementsAre(Case{0, 3, 0}, Case{2, 2, 0})) << "b has no target";
  EXPECT_EQ(b.items.to_vector(), (std::vector<double>{1, 2, 3, 3, 1}));
  EXPECT_FALSE(b.targets.defined());
  EXPECT_EQ(task.batch({.split = Split::validation, .indices = both}).items.to_vector(), (std::vector<double>{1, 2, 3}));
}

}  // namespace
}  // namespace capstan::next_item
