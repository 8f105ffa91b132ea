#include "recipes/tasks/next_item/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "recipes/tasks/next_item/batch.h"
#include "recipes/tasks/recommendation/item_names.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"
#include "tests/recipes/tasks/next_item/fixtures.h"

namespace capstan::next_item {
namespace {

using engine::Split;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> values(const Tensor& t) {
  const auto s = t.span<const std::int64_t>();
  return {s.begin(), s.end()};
}
std::vector<std::int32_t> values(std::span<const std::int32_t> s) { return {s.begin(), s.end()}; }

TEST(NextItemDataset, LeavesTheLastTwoItemsOut) {
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
  EXPECT_THAT(d.trainable_users(), ElementsAre(0, 1));
  EXPECT_THAT(d.evaluated_users(0, 1), ElementsAre(0, 2));
  EXPECT_EQ(d.evaluated_users(1, 1), d.evaluated_users(1, 1));
  EXPECT_EQ(d.evaluated_users(1, 1).size(), 1u);
}

TEST(NextItemDataset, DrawsNegativesOutsideTraining) {
  const Dataset d(interactions({{1, 2, 3, 4, 5}}, 6), 3);
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

TEST(NextItemDataset, AlignsTrainingSequencesRight) {
  const SequenceForm padded{.max_length = 3, .packed = false};
  const LossOptions ce{.kind = LossKind::ce};
  {
    const Dataset d(interactions({{5, 2, 9, 7, 1, 3}}, 9));  // trains on 5 2 9 7
    const Batch b = training_batch(d, padded, ce, 0, 0, std::vector<std::int64_t>{0});
    EXPECT_THAT(values(b.items), ElementsAre(5, 2, 9));
    EXPECT_THAT(values(b.targets), ElementsAre(2, 9, 7));
  }
  const Dataset d(interactions({{5, 2, 9, 7}}, 9));  // trains on 5 2
  const Batch b = training_batch(d, padded, ce, 0, 0, std::vector<std::int64_t>{0});
  EXPECT_THAT(values(b.items), ElementsAre(0, 0, 5));
  EXPECT_THAT(values(b.layout.real), ElementsAre(2));
  EXPECT_THAT(values(b.targets), ElementsAre(2));
  EXPECT_THAT(values(b.layout.last), ElementsAre(2));
  EXPECT_EQ(b.layout.padding.to_vector(), (std::vector<double>{0, 0, 1}));
}

TEST(NextItemDataset, PacksTheSameTokens) {
  const Dataset d(interactions({{5, 2, 9, 7, 8, 1}, {4, 8, 3}, {1, 2, 3, 4}}, 9), 2);
  SequenceForm model{.max_length = 3, .packed = true};
  const LossOptions bce{.kind = LossKind::bce, .negatives = 2};
  const Batch packed = training_batch(d, model, bce, 0, 0, d.trainable_users());
  model.packed = false;
  const Batch padded = training_batch(d, model, bce, 0, 0, d.trainable_users());
  ASSERT_EQ(packed.layout.real_tokens(), padded.layout.real_tokens());
  const auto real = values(padded.layout.real);
  for (std::size_t i = 0; i < real.size(); ++i) {
    const auto r = static_cast<std::size_t>(real[i]);
    EXPECT_EQ(values(packed.items)[i], values(padded.items)[r]);
    EXPECT_EQ(values(packed.layout.positions)[i], values(padded.layout.positions)[r]);
    EXPECT_EQ(values(packed.layout.keys)[i], values(padded.layout.keys)[r]);
  }
  EXPECT_EQ(values(packed.targets), values(padded.targets));
  EXPECT_EQ(values(packed.candidates), values(padded.candidates));
  EXPECT_EQ(packed.candidates.shape(), (Shape{packed.layout.real_tokens(), 3}));
  for (std::size_t i = 0; i < real.size(); ++i) EXPECT_EQ(values(packed.candidates)[3 * i], values(packed.targets)[i]);
  const Batch shared = training_batch(d, model, {.kind = LossKind::gbce, .negatives = 4}, 0, 0, d.trainable_users());
  const auto first = values(shared.candidates);
  EXPECT_EQ((std::vector<std::int64_t>(first.begin() + 1, first.begin() + 5)),
            (std::vector<std::int64_t>(first.begin() + 6, first.begin() + 10)))
      << "positions of a sequence share the negatives of gbce";
  EXPECT_THAT(values(packed.layout.positions), ::testing::Contains(2)) << "the newest item is at the last position";
}

TEST(NextItemDataset, ReadsFilesAndKeepsPreparedOnes) {
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

TEST(NextItemDataset, TakesTheNumberingOfACheckpoint) {
  const data::Scratch scratch;
  engine::Setup setup;
  setup.data_dir = scratch.path();
  DataOptions options;
  options.path = scratch.write("x.txt", "1 c\n1 new\n1 a\n1 b\n");
  data::IdMap names;
  for (const char* n : {"a", "b", "c", "d"}) names.add(n);
  recommendation::store_items(setup.artifacts, names);
  const Dataset d(options, {}, setup);
  EXPECT_THAT(values(d.everything(0)), ElementsAre(3, 1, 2));
  EXPECT_EQ(d.item_count(), 4);
  EXPECT_THAT(d.summary(), HasSubstr("3 interactions, 1 others left out"));
  EXPECT_EQ(recommendation::stored_items({}), nullptr);
}

TEST(NextItemDataset, SaysWhatIsWrongWithAFile) {
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
}

}  // namespace
}  // namespace capstan::next_item
