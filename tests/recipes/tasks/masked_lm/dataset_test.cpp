// Instances of a small text: what is a function of what, and how held-out ones are chosen.
#include "recipes/tasks/masked_lm/dataset.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/data/scratch.h"

namespace capstan::masked_lm {
namespace {

using engine::Split;

auto content(const data::Instance& x) { return std::tuple(x.ids, x.first_segment, x.random_next, x.positions, x.labels); }

struct MaskedLmDataset : testing::Test {
  data::Scratch scratch;
  Dataset dataset(InstanceKind kind, std::int64_t held_out) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "sentence number " + std::to_string(i) + " of many\n" + (i % 5 == 4 ? "\n" : "");
    DataOptions data;
    data.train = {scratch.write("text.txt", text)};
    data.form = data::TextForm::sentences;
    data.held_out = 0.6;
    data.vocab_size = 60;
    data.prepared = scratch / "prepared";
    return {data, {.kind = kind, .max_length = 24, .max_predictions = 4}, held_out, {.seed = 1}};
  }
};

TEST_F(MaskedLmDataset, TrainingInstancesFollowTheEpochWhereTheyAreDynamic) {
  const Dataset dynamic = dataset(InstanceKind::dynamic, 0), original = dataset(InstanceKind::original, 0);
  ASSERT_GT(dynamic.size(Split::train), 1);
  EXPECT_EQ(content(dynamic.instance(Split::train, 3, 1)), content(dynamic.instance(Split::train, 3, 1)));
  EXPECT_NE(content(dynamic.instance(Split::train, 3, 1)), content(dynamic.instance(Split::train, 4, 1)));
  EXPECT_EQ(content(original.instance(Split::train, 3, 1)), content(original.instance(Split::train, 4, 1)));
}

TEST_F(MaskedLmDataset, HeldOutInstancesAreTheSameInAllEpochsAndSpreadEvenly) {
  const Dataset all = dataset(InstanceKind::dynamic, 0), some = dataset(InstanceKind::original, 3);
  for (const Split split : {Split::validation, Split::test}) {
    const std::int64_t size = all.size(split);
    ASSERT_GT(size, 3);
    ASSERT_EQ(some.size(split), 3);
    for (std::int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(content(some.instance(split, 0, i)), content(all.instance(split, 0, i * size / 3)));
      EXPECT_EQ(content(some.instance(split, 5, i)), content(some.instance(split, 0, i)));
    }
  }
  EXPECT_NE(content(all.instance(Split::validation, 0, 0)), content(all.instance(Split::test, 0, 0)));
}

}  // namespace
}  // namespace capstan::masked_lm
