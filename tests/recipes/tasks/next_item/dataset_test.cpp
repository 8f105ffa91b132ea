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
  const auto validation = d.cases(Split::validation), test = d.cases(Split::test);
  EXPECT_THAT(validation, ElementsAre(Case{0, 2, 0}, Case{2, 1, 0})) << "of two items nothing is left out";
  EXPECT_THAT(test, ElementsAre(Case{0, 3, 0}, Case{2, 2, 0}));
  EXPECT_EQ(d.target(validation[0]), 9);
  EXPECT_EQ(d.target(test[0]), 7);
  EXPECT_THAT(values(d.history(validation[0])), ElementsAre(5, 2));
  EXPECT_THAT(values(d.history(test[0])), ElementsAre(5, 2, 9));
  EXPECT_THAT(values(d.train(1)), ElementsAre(4, 8));
  EXPECT_THAT(values(d.train_items(0)), ElementsAre(2, 5));
  EXPECT_THAT(d.popularity(), ElementsAre(0, 1, 1, 0, 1, 1, 0, 0, 1, 0));
  EXPECT_THAT(d.trainable_users(), ElementsAre(0, 1));
  EXPECT_EQ(d.training_users(), 3);
  EXPECT_EQ(d.cases(Split::test, 1, 1), d.cases(Split::test, 1, 1));
  EXPECT_EQ(d.cases(Split::test, 1, 1).size(), 1u);
  data::IdMap only;
  only.add("u2");
  only.add("nobody");
  EXPECT_THAT(d.cases(Split::test, 0, 0, only), ElementsAre(Case{2, 2, 0}));
}

TEST(NextItemDataset, SomeUsersValidateAndTheOthersTrainOnTheirSecondLastItem) {
  const data::Scratch scratch;
  engine::Setup setup{.seed = 3};
  setup.data_dir = scratch.path();
  DataOptions options;
  options.path = scratch.write("x.txt", "1 a\n1 b\n1 c\n2 a\n2 c\n2 b\n3 c\n3 a\n3 b\n4 b\n4 c\n");
  const Dataset all(options, {}, setup);
  options.validation_users = 1;
  const Dataset d(options, {}, setup);
  EXPECT_EQ(d.report().facts.back().text,
            "leave-one-out: the last item of 3 users tests, the one before it validates for 1 of them, drawn by run.seed, and trains for "
            "the others; users with fewer than three items only train");
  const auto validation = d.cases(Split::validation);
  ASSERT_EQ(validation.size(), 1u);
  EXPECT_EQ(d.cases(Split::test), all.cases(Split::test));
  for (std::int64_t u = 0; u < 3; ++u) EXPECT_EQ(d.train(u).size(), u == validation[0].user ? 1u : 2u);
  EXPECT_EQ(d.train(3).size(), 2u) << "of two items nothing is left out";
  EXPECT_EQ(Dataset(options, {}, setup).digest(), d.digest());
  EXPECT_NE(all.digest(), d.digest()) << "other items train";
  std::set<std::int64_t> drawn;
  for (setup.seed = 0; setup.seed < 20; ++setup.seed) drawn.insert(Dataset(options, {}, setup).cases(Split::validation)[0].user);
  EXPECT_EQ(drawn, (std::set<std::int64_t>{0, 1, 2})) << "any user who has three items may be drawn";
  options.validation_users = 3;
  EXPECT_EQ(Dataset(options, {}, setup).digest(), all.digest());

  Options refused;
  refused.data.validation_users = 5;
  refused.data.split = SplitRule::time;
  EXPECT_THAT(message_of([&] { refused.validate(); }), HasSubstr("data.validation_users = 5 is of data.split = leave_one_out alone"));
}

/// A data set of these files: lines "user item time".
struct PartFiles {
  data::Scratch scratch;
  engine::Setup setup;
  DataOptions options;
  explicit PartFiles(const std::string& content) {
    setup.data_dir = scratch.path();
    options.path = scratch.write("data.txt", content);
  }
  Dataset read() const { return Dataset(options, {}, setup); }
  /// "user: history > target" of every case.
  static std::vector<std::string> shown(const Dataset& d, Split split) {
    std::vector<std::string> out;
    for (const Case& c : d.cases(split)) {
      out.push_back(std::string(d.user_name(c.user)) + ":");
      for (const auto item : d.history(c)) out.back() += " " + std::string(d.item_names()[item - 1]);
      out.back() += " > " + std::string(d.item_names()[d.target(c) - 1]);
    }
    return out;
  }
};

TEST(NextItemDataset, SplitsByTime) {
  constexpr int kDay = 86400;
  PartFiles f(join_text("u a 0\nu b 10\nv b 20\nv a 30\nu c ", kDay, "\nv a ", kDay + 1, "\nv b ", 2 * kDay, "\nu a ", 2 * kDay + 5,
                        "\nu b ", 2 * kDay + 6, "\nw b ", 2 * kDay + 7, "\nw a ", 2 * kDay + 8, "\n"));
  f.options.split = SplitRule::time;
  f.options.time_split = {.test_days = 1, .validation_days = 0.9};
  const Dataset d = f.read();
  EXPECT_EQ(d.item_count(), 2) << "c is not in training";
  EXPECT_THAT(f.shown(d, Split::validation), ElementsAre("v: b a > a"));
  EXPECT_THAT(f.shown(d, Split::test), ElementsAre("u: a b > a", "u: a b a > b", "v: b a a > b", "w: b > a"))
      << "an event of an unknown item is left out; the first item of a new user follows from nothing";
  EXPECT_EQ(d.training_users(), 2);
  f.options.time_split.validation_days = 0;
  EXPECT_TRUE(f.read().cases(Split::validation).empty());
  EXPECT_NE(f.read().digest(), d.digest());
  f.options.time_split.test_days = 9;
  EXPECT_THAT(message_of([&] { f.read(); }), HasSubstr("data.test_days = 9 puts all events into the test part\n  file"));
  f.options.table.time_column = "none";
  EXPECT_THAT(message_of([&] { f.read(); }), HasSubstr("data.split = time needs times"));
}

TEST(NextItemDataset, TakesPartsFromFiles) {
  PartFiles f("u a\nu b\nv b\nv a\n");
  f.options.table.header = data::Header::absent;
  f.options.validation = f.scratch.write("validation.txt", "u a\n");
  f.options.test = f.scratch.write("test.txt", "u b\nv new\nv b\nw a\nw b\n");
  const Dataset d = f.read();
  EXPECT_THAT(values(d.train(0)), ElementsAre(1, 2)) << "whole";
  EXPECT_THAT(f.shown(d, Split::validation), ElementsAre("u: a b > a"));
  EXPECT_THAT(f.shown(d, Split::test), ElementsAre("u: a b a > b", "v: b a > b", "w: a > b"));
  EXPECT_THAT(d.summary(), HasSubstr("1 others left out"));
  f.options.test = f.scratch.write("floats.txt", "u a.0\nu b.0\n");
  EXPECT_THAT(message_of([&] { f.read(); }),
              HasSubstr("none of the 2 events of the test part is of a known item: items here are 'a.0', 'b.0'"));

  // A test file alone, for a model that names its items.
  f.options.path = f.options.validation = "";
  f.options.test = "test.txt";
  f.setup.purpose = engine::Purpose::evaluate;
  EXPECT_THAT(message_of([&] { f.read(); }), HasSubstr("data.path"));
  recommendation::store_items(f.setup.artifacts, d.item_names());
  EXPECT_THAT(f.shown(f.read(), Split::test), ElementsAre("w: a > b"));
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

std::vector<TrainingWindow> newest(const Dataset& d) { return training_windows(d, Windows::last, 3); }

TEST(NextItemDataset, OlderItemsTrainInWindowsOfTheirOwn) {
  const Dataset d(interactions({{1, 2, 3, 4, 5, 6, 7, 8, 9, 1}, {5, 6, 7, 8}, {1, 2, 3, 4, 5}, {6, 7}}, 9));  // trains on 8, 2, 3 and 2
  using W = TrainingWindow;
  EXPECT_THAT(training_windows(d, Windows::last, 3), ElementsAre(W{0, 8}, W{1, 2}, W{2, 3}, W{3, 2}));
  const std::vector<W> all = training_windows(d, Windows::all, 3);
  EXPECT_THAT(all, ElementsAre(W{0, 8}, W{0, 5}, W{0, 2}, W{1, 2}, W{2, 3}, W{3, 2}));
  const Batch b = training_batch(d, {.max_length = 3, .packed = true}, {.kind = LossKind::ce}, 0, 0, std::span(all).first(3));
  EXPECT_THAT(values(b.targets), ElementsAre(6, 7, 8, 3, 4, 5, 2)) << "each but the first, once";
  EXPECT_THAT(values(b.items), ElementsAre(5, 6, 7, 2, 3, 4, 1));
  EXPECT_THAT(training_windows(d, Windows::all, 7), ElementsAre(W{0, 8}, W{1, 2}, W{2, 3}, W{3, 2})) << "what fits has one";
}

TEST(NextItemDataset, AlignsTrainingSequencesRight) {
  const SequenceForm padded{.max_length = 3, .packed = false};
  const LossOptions ce{.kind = LossKind::ce};
  {
    const Dataset d(interactions({{5, 2, 9, 7, 1, 3}}, 9));  // trains on 5 2 9 7
    const Batch b = training_batch(d, padded, ce, 0, 0, newest(d));
    EXPECT_THAT(values(b.items), ElementsAre(5, 2, 9));
    EXPECT_THAT(values(b.targets), ElementsAre(2, 9, 7));
  }
  const Dataset d(interactions({{5, 2, 9, 7}}, 9));  // trains on 5 2
  const Batch b = training_batch(d, padded, ce, 0, 0, newest(d));
  EXPECT_THAT(values(b.items), ElementsAre(0, 0, 5));
  EXPECT_THAT(values(b.layout.real), ElementsAre(2));
  EXPECT_THAT(values(b.targets), ElementsAre(2));
  EXPECT_THAT(values(b.layout.last), ElementsAre(2));
  EXPECT_EQ(b.layout.padding.to_vector(), (std::vector<double>{0, 0, 1}));
}

TEST(NextItemDataset, ANetworkMayAskForPaddingBehind) {
  const Dataset d(interactions({{5, 2, 9, 7}, {1, 2, 3, 4, 5, 6, 7, 8}}, 9));
  const SequenceForm form{.max_length = 3, .packed = false, .align = nn::Align::left};
  const Batch b = training_batch(d, form, {.kind = LossKind::ce}, 0, 0, newest(d));
  EXPECT_THAT(values(b.items), ElementsAre(5, 0, 0, 3, 4, 5)) << "the newest of a longer one";
  EXPECT_THAT(values(b.targets), ElementsAre(2, 4, 5, 6));
  EXPECT_THAT(values(b.layout.real), ElementsAre(0, 3, 4, 5));
  EXPECT_THAT(values(b.layout.last), ElementsAre(0, 5));
  EXPECT_THAT(values(b.layout.positions), ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(NextItemDataset, PacksTheSameTokens) {
  const Dataset d(interactions({{5, 2, 9, 7, 8, 1}, {4, 8, 3}, {1, 2, 3, 4}}, 9), 2);
  SequenceForm model{.max_length = 3, .packed = true};
  const LossOptions bce{.kind = LossKind::bce, .negatives = 2};
  const Batch packed = training_batch(d, model, bce, 0, 0, newest(d));
  model.packed = false;
  const Batch padded = training_batch(d, model, bce, 0, 0, newest(d));
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
  const Batch shared = training_batch(d, model, {.kind = LossKind::gbce, .negatives = 4}, 0, 0, newest(d));
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
  EXPECT_EQ(PartFiles::shown(first, Split::test).back(), "a: p q > r");
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
  EXPECT_EQ(d.report().facts.back().text,
            "leave-one-out: the last item of 1 users tests, the one before it validates; users with fewer than three items only train");
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
