#include "data/splits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "tests/data/scratch.h"
#include "tests/data/shown.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Interactions read(const std::string& content) {
  const Scratch dir;
  return read_interactions(dir.write("f", content), {.header = Header::absent});
}

TEST(Filter, SinglePassIsNotACore) {
  const auto x = read("u1 a\nu1 b\nu2 a\nu2 c\nu3 c\n");
  EXPECT_THAT(shown(filter(x, 2, 2, FilterMode::once)), ElementsAre("u1: a", "u2: a c"));
  EXPECT_THAT(shown(filter(x, 2, 2, FilterMode::until_stable)), IsEmpty());
  // In turn: u3 goes, then b and c have one event each, then u1 and u2 are short.
  EXPECT_THAT(shown(filter(x, 2, 2, FilterMode::in_turn)), IsEmpty());
  EXPECT_THAT(shown(filter(x, 1, 2, FilterMode::in_turn)), ElementsAre("u1: a", "u2: a c", "u3: c"));
}

TEST(Filter, UntilStableHoldsBothRulesAndIsMaximal) {
  Rng rng(random_key(3, "core"));
  std::string text;
  for (int i = 0; i < 900; ++i) text += join_text("u", rng.below(150), " i", rng.below(120), "\n");
  const auto x = read(text);
  const auto y = filter(x, 4, 4, FilterMode::until_stable);
  ASSERT_GT(y.events(), 0);
  ASSERT_LT(y.events(), x.events());
  std::vector<int> support(static_cast<std::size_t>(y.item_count()), 0);
  for (const auto i : y.items) ++support[static_cast<std::size_t>(i)];
  for (std::int64_t s = 0; s < y.sequences(); ++s) EXPECT_GE(y.length(s), 4);
  for (const int n : support) EXPECT_TRUE(n == 0 || n >= 4);

  // A core does not depend on the order of removal: taking items first must end in the same events.
  const auto items_first = filter(filter(x, 1, 4, FilterMode::once), 4, 4, FilterMode::until_stable);
  EXPECT_EQ(shown(items_first), shown(y));
}

TEST(Filter, RepeatsAndGaps) {
  const auto x = read("u a 0\nu a 10\nu b 20\nu a 4000\nu a 4001\nv c 5\n");
  EXPECT_THAT(shown(drop_repeats(x)), ElementsAre("u: a b a", "v: c"));
  EXPECT_THAT(shown(cut_at_gaps(x, 3600)), ElementsAre("u: a a b", "u: a a", "v: c"));
  EXPECT_THAT(shown(cut_at_gaps(x, 3980)), ElementsAre("u: a a b a a", "v: c")) << "a gap of exactly the limit does not cut";
  EXPECT_THAT(shown(drop_short(cut_at_gaps(x, 3600), 3)), ElementsAre("u: a a b"));
}

TEST(Filter, OrderByStart) {
  const auto x = read("late a 50\nlate b 60\nearly c 10\nearly d 99\nsame e 10\n");
  const auto y = order_by_start(x);
  EXPECT_THAT(shown(y), ElementsAre("early: c d", "same: e", "late: a b"));
  EXPECT_THAT(y.times, ElementsAre(10, 99, 10, 50, 60));
}

TEST(Ids, CompactKeepsOrder) {
  const auto x = filter(read("u1 a\nu2 b\nu2 c\nu3 a\nu3 c\n"), 2, 2, FilterMode::once);
  const auto y = compact(x);
  EXPECT_EQ(shown(y), shown(x));
  EXPECT_THAT(y.items, ElementsAre(1, 0, 1));  // b has one event: a = 0, c = 1
  EXPECT_THAT(y.users, ElementsAre(0, 1));
  EXPECT_EQ(y.item_count(), 2);
  EXPECT_EQ(y.user_ids->size(), 2);
}

TEST(Ids, TranslateDropsAndCountsUnknownItems) {
  const auto train = read("u a\nu b\n");
  std::int64_t unknown = -1;
  const auto test = translate(read("v b\nv x\nv a\nw y\n"), train.item_ids, &unknown);
  EXPECT_THAT(shown(test), ElementsAre("v: b a"));
  EXPECT_THAT(test.items, ElementsAre(1, 0));
  EXPECT_EQ(unknown, 2);
}

TEST(Split, LeaveOneOut) {
  const auto x = read("1 5\n1 2\n1 9\n1 7\n2 4\n2 8\n3 1\n3 2\n3 3\n");
  const auto split = leave_one_out(x);
  EXPECT_THAT(shown(split.train), ElementsAre("1: 5 2", "2: 4 8", "3: 1"));
  const auto name = [&](std::int32_t i) { return i < 0 ? "-" : std::string((*x.item_ids)[i]); };
  EXPECT_EQ(name(split.valid[0]) + name(split.test[0]), "97");
  EXPECT_EQ(name(split.valid[1]) + name(split.test[1]), "--");
  EXPECT_EQ(name(split.valid[2]) + name(split.test[2]), "23");
}

constexpr auto kRsc15 =
    "1 A 0\n1 B 10\n1 A 20\n2 B 100\n2 C 110\n3 A 90000\n3 B 90010\n3 D 90020\n4 C 100000\n4 A 100010\n5 A 50\n6 C 13000\n6 B 13700\n";

TEST(Split, LastDayBySessionEnd) {
  const auto x = filter(read(kRsc15), 2, 2, FilterMode::in_turn);
  EXPECT_EQ(last_days(x, 1), 13610);
  const auto split = split_at(x, last_days(x, 1), SplitBy::session_end);
  EXPECT_THAT(shown(split.train), ElementsAre("1: A B A", "2: B C"));
  EXPECT_THAT(shown(split.test), ElementsAre("3: A B", "4: C A", "6: C B"));
  EXPECT_EQ(split.unknown_events, 0);
}

TEST(Split, LastDayBySessionStart) {
  const auto x = filter(read(kRsc15), 2, 2, FilterMode::in_turn);
  const auto split = split_at(x, last_days(x, 1), SplitBy::session_start);
  EXPECT_THAT(shown(split.train), ElementsAre("1: A B A", "2: B C"));
  EXPECT_THAT(shown(split.test), ElementsAre("3: A B", "4: C A"));
}

TEST(Split, TestKeepsOnlyItemsOfTrain) {
  const auto split = split_at(read("1 a 0\n1 b 1\n2 a 100\n2 x 101\n2 b 102\n3 x 100\n3 a 101\n"), 50, SplitBy::session_end);
  EXPECT_THAT(shown(split.test), ElementsAre("2: a b"));
  EXPECT_EQ(split.unknown_events, 2);
  EXPECT_EQ(split.train.item_count(), 2);
  EXPECT_EQ(split.test.item_ids, split.train.item_ids);
}

TEST(Split, NeedsTimes) {
  const auto x = read("1 a\n1 b\n");
  EXPECT_THROW(split_at(x, 0, SplitBy::session_end), DataError);
  EXPECT_THROW(last_days(x, 1), DataError);
  EXPECT_THROW(cut_at_gaps(x, 1), DataError);
  EXPECT_THROW(order_by_start(x), DataError);
}

}  // namespace
}  // namespace capstan::data
