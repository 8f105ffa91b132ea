#include "recipes/sasrec/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "recipes/sasrec/batch.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"
#include "tests/recipes/sasrec/fixtures.h"

namespace capstan::sasrec {
namespace {

using engine::Split;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> values(const Tensor& t) {
  const auto s = t.span<const std::int64_t>();
  return {s.begin(), s.end()};
}
std::vector<std::int32_t> values(std::span<const std::int32_t> s) { return {s.begin(), s.end()}; }

TEST(SasrecDataset, LeavesTheLastTwoItemsOut) {
  const Dataset d(interactions({{5, 2, 9, 7}, {4, 8}, {1, 2, 3}}, 9));
  EXPECT_THAT(values(d.train(0)), ElementsAre(5, 2));
  EXPECT_EQ(d.target(0, Split::validation), 9);
  EXPECT_EQ(d.target(0, Split::test), 7);
  EXPECT_THAT(values(d.history(0, Split::validation)), ElementsAre(5, 2));
  EXPECT_THAT(values(d.history(0, Split::test)), ElementsAre(5, 2, 9));
  EXPECT_THAT(values(d.train(1)), ElementsAre(4, 8));
  EXPECT_EQ(d.target(1, Split::test), 0);
  EXPECT_THAT(values(d.train_items(0)), ElementsAre(2, 5));
  EXPECT_THAT(d.popularity(), ElementsAre(0, 1, 1, 0, 1, 1, 0, 0, 1, 0));
  EXPECT_EQ(d.trainable_users(), 2);
  EXPECT_THAT(d.evaluated_users(0, 1), ElementsAre(0, 2));
  EXPECT_EQ(d.evaluated_users(1, 1), d.evaluated_users(1, 1));
  EXPECT_EQ(d.evaluated_users(1, 1).size(), 1u);
}

TEST(SasrecDataset, DrawsUsersWithReplacementOrInPasses) {
  const auto x = interactions({{1, 2, 3, 4}, {2, 3, 4, 5}, {3}, {3, 4, 5, 1}, {4, 5}}, 5);
  const Dataset uniform(x, Sampling::uniform, 7), passes(x, Sampling::shuffled, 7);
  const auto drawn = uniform.training_users(0, 0, 400);
  EXPECT_EQ(drawn, uniform.training_users(0, 0, 400));
  EXPECT_NE(drawn, uniform.training_users(1, 0, 400));
  EXPECT_EQ(uniform.training_users(0, 100, 1).front(), drawn[100]) << "a place has the same user however it is asked for";
  for (const std::int64_t u : {0, 1, 3, 4}) EXPECT_NEAR(static_cast<double>(std::ranges::count(drawn, u)), 100, 35) << u;
  EXPECT_EQ(std::ranges::count(drawn, 2), 0) << "one item cannot train";

  auto pass = passes.training_users(3, 0, 3);
  const auto rest = passes.training_users(3, 3, 3);
  EXPECT_EQ(rest.size(), 1u) << "the last batch of a pass is what is left";
  pass.insert(pass.end(), rest.begin(), rest.end());
  EXPECT_THAT(std::set<std::int64_t>(pass.begin(), pass.end()), ElementsAre(0, 1, 3, 4));
}

TEST(SasrecDataset, DrawsNegativesOutsideTraining) {
  const Dataset d(interactions({{1, 2, 3, 4, 5}}, 6), Sampling::uniform, 3);
  std::vector<std::int32_t> drawn(300);
  d.draw_negatives(0, 0, 0, drawn);
  EXPECT_THAT(std::set<std::int32_t>(drawn.begin(), drawn.end()), ElementsAre(4, 5, 6)) << "validation and test items may be negatives";
  std::vector<std::int32_t> again(300), other(300);
  d.draw_negatives(0, 0, 0, again);
  d.draw_negatives(0, 0, 1, other);
  EXPECT_EQ(drawn, again);
  EXPECT_NE(drawn, other);
  EXPECT_THAT(message_of([] { Dataset(interactions({{1, 2, 1, 2, 1}}, 2)).check_negatives(); }), HasSubstr("user 'u0' has all 2 items"));
}

TEST(SasrecDataset, AlignsTrainingSequencesRight) {
  const ModelOptions padded{.max_length = 3, .packed = false};
  const LossOptions ce{.kind = LossKind::ce};
  {
    const Dataset d(interactions({{5, 2, 9, 7, 1, 3}}, 9));  // trains on 5 2 9 7
    const Batch b = training_batch(d, padded, ce, 0, 0, 1);
    EXPECT_THAT(values(b.items), ElementsAre(5, 2, 9));
    EXPECT_THAT(values(b.targets), ElementsAre(2, 9, 7));
  }
  const Dataset d(interactions({{5, 2, 9, 7}}, 9));  // trains on 5 2
  const Batch b = training_batch(d, padded, ce, 0, 0, 1);
  EXPECT_THAT(values(b.items), ElementsAre(0, 0, 5));
  EXPECT_THAT(values(b.real), ElementsAre(2));
  EXPECT_THAT(values(b.targets), ElementsAre(2));
  EXPECT_THAT(values(b.last), ElementsAre(2));
  EXPECT_EQ(b.padding.to_vector(), (std::vector<double>{0, 0, 1}));
}

TEST(SasrecDataset, PacksTheSameTokens) {
  const Dataset d(interactions({{5, 2, 9, 7, 8, 1}, {4, 8, 3}, {1, 2, 3, 4}}, 9), Sampling::shuffled, 2);
  ModelOptions model{.max_length = 3, .packed = true};
  const LossOptions bce{.kind = LossKind::bce, .negatives = 2};
  const Batch packed = training_batch(d, model, bce, 0, 0, 3);
  model.packed = false;
  const Batch padded = training_batch(d, model, bce, 0, 0, 3);
  ASSERT_EQ(packed.real_tokens(), padded.real_tokens());
  const auto real = values(padded.real);
  for (std::size_t i = 0; i < real.size(); ++i) {
    const auto r = static_cast<std::size_t>(real[i]);
    EXPECT_EQ(values(packed.items)[i], values(padded.items)[r]);
    EXPECT_EQ(values(packed.positions)[i], values(padded.positions)[r]);
    EXPECT_EQ(values(packed.keys)[i], values(padded.keys)[r]);
  }
  EXPECT_EQ(values(packed.targets), values(padded.targets));
  EXPECT_EQ(values(packed.candidates), values(padded.candidates));
  EXPECT_EQ(packed.candidates.shape(), (Shape{packed.real_tokens(), 3}));
  for (std::size_t i = 0; i < real.size(); ++i) EXPECT_EQ(values(packed.candidates)[3 * i], values(packed.targets)[i]);
  const Batch shared = training_batch(d, model, {.kind = LossKind::gbce, .negatives = 4}, 0, 0, 3);
  const auto first = values(shared.candidates);
  EXPECT_EQ((std::vector<std::int64_t>(first.begin() + 1, first.begin() + 5)),
            (std::vector<std::int64_t>(first.begin() + 6, first.begin() + 10)))
      << "positions of a sequence share the negatives of gbce";
  EXPECT_THAT(values(packed.positions), ::testing::Contains(2)) << "the newest item is at the last position";
}

TEST(SasrecDataset, ReadsFilesAndKeepsPreparedOnes) {
  const data::Scratch scratch;
  scratch.write("x.inter", "user_id:token\titem_id:token\ttimestamp:float\nb\tq\t3\na\tq\t2\na\tp\t1\na\tr\t3\nb\tr\t4\nb\tp\t5\n");
  engine::Setup setup;
  setup.data_dir = scratch.path();
  DataOptions options;
  options.path = "x.inter";
  options.prepared = "x.h5";
  std::string why;
  const Dataset first(options, {}, setup, &why);
  EXPECT_FALSE(why.empty());
  const Dataset second(options, {}, setup, &why);
  EXPECT_TRUE(why.empty()) << why;
  EXPECT_EQ(first.digest(), second.digest());
  EXPECT_EQ(first.summary(), "2 users, 3 items, 6 interactions");
  EXPECT_EQ(first.item_names()[first.target(1, Split::test) - 1], "r") << "by time: p q r";
  options.min_support = 3;
  EXPECT_THAT(message_of([&] { Dataset(options, {}, setup, &why); }), HasSubstr("no interactions are left"));
}

TEST(SasrecDataset, TakesTheNumberingOfACheckpoint) {
  const data::Scratch scratch;
  engine::Setup setup;
  setup.data_dir = scratch.path();
  DataOptions options;
  options.path = scratch.write("x.txt", "1 c\n1 new\n1 a\n1 b\n");
  data::IdMap names;
  for (const char* n : {"a", "b", "c", "d"}) names.add(n);
  setup.artifacts = item_artifacts(names);
  const Dataset d(options, {}, setup);
  EXPECT_THAT(values(d.everything(0)), ElementsAre(3, 1, 2));
  EXPECT_EQ(d.item_count(), 4);
  EXPECT_THAT(d.summary(), HasSubstr("3 interactions, 1 others left out"));
  EXPECT_EQ(item_names_of({}), nullptr);
}

TEST(SasrecDataset, SaysWhatIsWrongWithAFile) {
  const data::Scratch scratch;
  engine::Setup setup;
  setup.data_dir = scratch.path();
  DataOptions options;
  const auto load = [&](const std::string& content) {
    options.path = "x.txt";
    scratch.write("x.txt", content);
    return message_of([&] { Dataset(options, {}, setup); });
  };
  std::string long_file;
  for (int i = 0; i < 12344; ++i) long_file += "1 " + std::to_string(i % 7 + 1) + "\n";
  EXPECT_THAT(load(long_file + "1\n"), HasSubstr("x.txt:12345: "));
  EXPECT_THAT(load(""), HasSubstr("x.txt"));
  options.path = "missing.txt";
  EXPECT_THAT(message_of([&] { Dataset(options, {}, setup); }), HasSubstr("missing.txt"));
  options.path = "";
  EXPECT_THAT(message_of([&] { Dataset(options, {}, setup); }), HasSubstr("data.path"));
  EXPECT_THAT(message_of([] {
                Dataset(interactions({{1}, {2}}, 2)).training_users(0, 0, 1);
              }),
              HasSubstr("no user has two training items"));
}

}  // namespace
}  // namespace capstan::sasrec
