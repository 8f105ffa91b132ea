#include "recipes/engine/distributed/watch.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "recipes/engine/distributed/thread_comm.h"

namespace capstan::engine::test {
namespace {

using std::chrono::milliseconds;

constexpr WatchJudge::Limits kLimits{.silence_seconds = 60, .stall_seconds = 600, .lost_seconds = 5};

struct WatchJudgeTest : testing::Test {
  WatchJudge judge{{"north", "east", "south"}, {0, 1, 2}, kLimits};
  std::vector<SignOfLife> signs{3};

  WatchJudgeTest() {
    for (SignOfLife& s : signs) s = {.step = 41, .doing = "backward", .notes = 7, .entered = 10, .finished = 10};
  }
  // Seconds pass, with a sign of each of these ranks every second.
  std::optional<std::string> pass(int seconds, const std::vector<int>& alive) {
    for (int i = 0; i < seconds; ++i) {
      for (const int r : alive) judge.heard(r, signs[static_cast<std::size_t>(r)]);
      if (auto fault = judge.pass(1)) return fault;
    }
    return std::nullopt;
  }
};

TEST_F(WatchJudgeTest, SilenceIsAFault) {
  EXPECT_EQ(pass(100, {0, 1, 2}), std::nullopt);
  EXPECT_EQ(pass(59, {0, 2}), std::nullopt);
  EXPECT_EQ(pass(1, {0, 2}), "rank 1 on east has not answered for 60 s (last sign of life: step 41, backward)");
}

TEST_F(WatchJudgeTest, ASignEndsSilence) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pass(59, {0, 2}), std::nullopt);
    EXPECT_EQ(pass(1, {0, 1, 2}), std::nullopt);
  }
}

TEST_F(WatchJudgeTest, SeveralAreNamed) {
  EXPECT_EQ(pass(100, {0}),
            "rank 1 on east has not answered for 60 s (last sign of life: before its first step); "
            "rank 2 on south has not answered for 60 s (last sign of life: before its first step)");
}

TEST_F(WatchJudgeTest, TimeInWhichTheWatchItselfWasStoppedDoesNotCount) {
  EXPECT_EQ(pass(10, {0, 1, 2}), std::nullopt);
  EXPECT_EQ(judge.pass(3600), std::nullopt);
  EXPECT_EQ(pass(50, {0, 1, 2}), std::nullopt);
}

TEST_F(WatchJudgeTest, AConnectionThatEndedIsAFaultAfterAWhile) {
  EXPECT_EQ(pass(10, {0, 1, 2}), std::nullopt);
  judge.lost(1);
  EXPECT_EQ(pass(4, {0, 2}), std::nullopt);
  EXPECT_EQ(pass(1, {0, 2}), "rank 1 on east has ended, or its connection has, without a word (last sign of life: step 41, backward)");
}

TEST_F(WatchJudgeTest, WhoSaidGoodbyeIsNotMissed) {
  judge.left(1);
  judge.lost(1);
  EXPECT_EQ(pass(1000, {0, 2}), std::nullopt);
}

TEST_F(WatchJudgeTest, WhoKeepsOthersWaitingWithoutProgressHangs) {
  EXPECT_EQ(pass(2000, {0, 1, 2}), std::nullopt) << "nobody waits";
  signs[0].entered = signs[2].entered = 11;
  EXPECT_EQ(pass(599, {0, 1, 2}), std::nullopt);
  EXPECT_EQ(pass(1, {0, 1, 2}), "rank 1 on east has made no progress for 600 s (step 41, backward) while others wait for it");
}

TEST_F(WatchJudgeTest, WhoIsLateButMovesIsNotAFault) {
  signs[0].entered = signs[2].entered = 11;
  for (int i = 0; i < 10; ++i) {
    ++signs[1].notes;
    EXPECT_EQ(pass(599, {0, 1, 2}), std::nullopt);
  }
}

TEST_F(WatchJudgeTest, OfThoseThatAreLateTheOneThatDoesNotWaitIsNamed) {
  EXPECT_EQ(pass(1, {0, 1, 2}), std::nullopt);
  signs[0].entered = 12, signs[0].finished = 11;  // the root of a broadcast is through before the others have come
  signs[1].entered = 11;
  EXPECT_EQ(pass(600, {0, 1, 2}), "rank 2 on south has made no progress for 600 s (step 41, backward) while others wait for it");
}

TEST_F(WatchJudgeTest, AllInOneCallThatDoesNotEnd) {
  for (SignOfLife& s : signs) ++s.entered;
  EXPECT_EQ(pass(599, {0, 1, 2}), std::nullopt);
  EXPECT_EQ(pass(2, {0, 1, 2}),
            "no rank has made progress for 600 s: all are in the same exchange of data (step 41, backward), and it does not end");
}

TEST_F(WatchJudgeTest, OtherRanksJudgeOnlyRankZeroAndOnlyItsSilence) {
  WatchJudge other({"north", "east"}, {0}, kLimits);
  for (int i = 0; i < 2000; ++i) {
    other.heard(0, {.step = 3, .doing = "exchange", .notes = 1, .entered = 4, .finished = 3});
    ASSERT_EQ(other.pass(1), std::nullopt);
  }
  std::optional<std::string> fault;
  for (int i = 0; i < 60; ++i) fault = other.pass(1);
  EXPECT_EQ(fault, "rank 0 on north has not answered for 60 s (last sign of life: step 3, exchange)");
}

TEST(Watch, NobodyIsMissedInARunThatGoesWell) {
  run_ranks(4, [](Comm& bare) {
    Watch watch(bare, {.limits = {.silence_seconds = 0.4, .stall_seconds = 0.4, .lost_seconds = 0.1},
                       .on_fault = [](const std::string& fault) { ADD_FAILURE() << fault; }});
    Comm& comm = watch.comm();
    EXPECT_EQ(comm.size(), bare.size());
    EXPECT_EQ(comm.rank(), bare.rank());
    for (int step = 0; step < 20; ++step) {
      watch.note(step, "forward");
      std::this_thread::sleep_for(milliseconds(10 * comm.rank()));
      std::vector<float> data{1};
      comm.sum(data);
      EXPECT_EQ(data[0], 4);
    }
    // Ranks end when they are done, one long after the other.
    std::this_thread::sleep_for(milliseconds(150 * comm.rank()));
  });
}

TEST(Watch, ARankThatHangsIsNamed) {
  std::mutex mutex;
  std::vector<std::string> faults;
  std::atomic<bool> found = false;
  run_ranks(3, [&](Comm& bare) {
    Watch watch(bare,
                {.limits = {.silence_seconds = 5, .stall_seconds = 0.3, .lost_seconds = 1}, .on_fault = [&](const std::string& fault) {
                   const std::lock_guard lock(mutex);
                   faults.push_back(fault);
                   found = true;
                 }});
    watch.note(3, "forward");
    watch.comm().barrier();
    watch.note(4, "backward");
    // Returns when the fault is found, for at most this long.
    for (int i = 0; i < 500 && bare.rank() == 2 && !found; ++i) std::this_thread::sleep_for(milliseconds(10));
    watch.comm().barrier();
  });
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_THAT(faults[0],
              testing::MatchesRegex("rank 2 on .* has made no progress for 0.[0-9] s \\(step 4, backward\\) while others wait for it"));
}

TEST(Watch, AProcessAloneIsNotWatched) {
  SelfComm self;
  Watch watch(self, {});
  watch.note(1, "forward");
  EXPECT_EQ(&watch.comm(), &self);
}

}  // namespace
}  // namespace capstan::engine::test
