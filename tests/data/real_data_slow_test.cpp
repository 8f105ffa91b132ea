// Counts of public data sets, against those that their publishers state. Needs the environment variable CAPSTAN_DATA to name a
// folder with the data sets; skipped without it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "data/splits.h"

namespace capstan::data {
namespace {

std::string data_file(const std::string& name) {
  const char* folder = std::getenv("CAPSTAN_DATA");
  const std::string path = folder == nullptr ? "" : std::string(folder).append("/").append(name);
  return std::filesystem::exists(path) ? path : "";
}

TEST(RealData, MovieLens1M) {
  const auto path = data_file("ml-1m/ml-1m.txt.gz");
  if (path.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no ml-1m";
  const auto x = read_interactions(path, {.order = IdOrder::numeric});
  EXPECT_EQ(x.sequences(), 6040);
  EXPECT_EQ(x.item_count(), 3416);
  EXPECT_EQ(x.events(), 999611);
  EXPECT_EQ((*x.item_ids)[3415], "3416");
  const auto split = leave_one_out(x);
  EXPECT_EQ(split.train.events(), 999611 - 2 * 6040);
}

TEST(RealData, MovieLens100kInteractionFile) {
  const auto path = data_file("ml-100k/ml-100k.inter");
  if (path.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no ml-100k";
  const auto x = read_interactions(path);
  EXPECT_EQ(x.sequences(), 943);
  EXPECT_EQ(x.item_count(), 1682);
  EXPECT_EQ(x.events(), 100000);
  EXPECT_TRUE(x.has_times());
}

TEST(RealData, Yoochoose64Sessions) {
  const auto train_path = data_file("yoochoose-1-64/train_sessions.txt"), test_path = data_file("yoochoose-1-64/test_sessions.txt");
  if (train_path.empty() || test_path.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no yoochoose-1-64";
  const auto train = read_session_lines(train_path), test = read_session_lines(test_path);
  EXPECT_EQ(train.sequences(), 116167);
  EXPECT_EQ(train.events(), 486026);
  EXPECT_EQ(train.item_count(), 17376);
  EXPECT_EQ(test.sequences(), 15324);
  EXPECT_EQ(test.events(), 71222);
}

TEST(RealData, Rsc15LastDay) {
  // The publishers split train_full once more by the same rule; doing that here must give their files.
  const auto path = data_file("rsc15-100k/yoochoose-clicks-100k_train_full.txt");
  if (path.empty()) GTEST_SKIP() << "CAPSTAN_DATA has no rsc15-100k";
  const auto x = read_interactions(path);
  EXPECT_EQ(x.sequences(), 17794);
  EXPECT_EQ(x.item_count(), 2933);
  const auto split = split_at(x, last_days(x, 1), SplitBy::session_end);
  EXPECT_EQ(split.train.events(), 53254);
  EXPECT_EQ(split.train.sequences(), 13629);
  EXPECT_EQ(split.test.events(), 16539);
  EXPECT_EQ(split.test.sequences(), 4084);
}

}  // namespace
}  // namespace capstan::data
