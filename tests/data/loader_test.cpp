#include "data/loader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <string>

#include "autograd/core/rng.h"

namespace capstan::data {
namespace {

using std::chrono::milliseconds;

/// A batch that takes a different time each.
std::vector<std::uint64_t> slow_batch(std::int64_t position) {
  Rng rng(random_key(1, "batch", {static_cast<std::uint64_t>(position)}));
  std::this_thread::sleep_for(std::chrono::microseconds(rng.below(300)));
  return {static_cast<std::uint64_t>(position), rng.next64()};
}

TEST(Loader, SameBatchesInOrderForAnyNumberOfWorkers) {
  std::vector<std::vector<std::uint64_t>> expected;
  for (std::int64_t i = 5; i < 205; ++i) expected.push_back(slow_batch(i));
  for (const int workers : {0, 1, 2, 5}) {
    for (const int depth : {1, 2, 7}) {
      Loader<std::vector<std::uint64_t>> loader(slow_batch, 5, 205, workers, depth);
      std::vector<std::vector<std::uint64_t>> got;
      EXPECT_EQ(loader.position(), 5);
      while (auto batch = loader.next()) got.push_back(*batch);
      EXPECT_EQ(got, expected) << workers << " workers, depth " << depth;
      EXPECT_EQ(loader.position(), 205);
      EXPECT_EQ(loader.next(), std::nullopt);
    }
  }
}

TEST(Loader, HoldsAtMostDepthBatchesAhead) {
  std::atomic<std::int64_t> newest = -1;
  const auto make = [&](std::int64_t position) {
    for (auto n = newest.load(); n < position && !newest.compare_exchange_weak(n, position);) {
    }
    return position;
  };
  Loader<std::int64_t> loader(make, 0, 100, 3, 4);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_LE(newest, 3);
  for (std::int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(loader.next(), i);
    EXPECT_LE(newest, i + 4);
  }
}

TEST(Loader, WaitingEndsWithTheBatchOrThePatience) {
  std::atomic<bool> go = false;
  const auto make = [&](std::int64_t position) {
    while (position == 1 && !go) std::this_thread::sleep_for(milliseconds(1));
    return position;
  };
  Loader<std::int64_t> loader(make, 0, 2);
  EXPECT_TRUE(loader.wait_for(milliseconds(10000)));
  EXPECT_EQ(loader.next(), 0);
  EXPECT_FALSE(loader.wait_for(milliseconds(5)));
  EXPECT_GE(loader.wait_seconds(), 0.005);
  go = true;
  EXPECT_TRUE(loader.wait_for(milliseconds(10000)));
  EXPECT_EQ(loader.next(), 1);
  EXPECT_TRUE(loader.wait_for(milliseconds(10000))) << "the end is no reason to wait";
}

TEST(Loader, AnExceptionComesOutInItsPlace) {
  for (const int workers : {0, 1, 4}) {
    const auto make = [](std::int64_t position) {
      if (position == 7) throw std::runtime_error("bad batch 7");
      return position;
    };
    Loader<std::int64_t> loader(make, 0, 20, workers);
    for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(loader.next(), i);
    for (int again = 0; again < 2; ++again) {
      try {
        loader.next();
        ADD_FAILURE() << "no exception";
      } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "bad batch 7");
      }
    }
    EXPECT_EQ(loader.position(), 7);
  }
}

TEST(Loader, EndsCleanlyInTheMiddle) {
  std::atomic<int> alive = 0, made = 0;
  const auto make = [&](std::int64_t position) {
    ++made;
    ++alive;
    return std::shared_ptr<std::int64_t>(new std::int64_t(position), [&](std::int64_t* p) {
      delete p;
      --alive;
    });
  };
  for (int i = 0; i < 50; ++i) {
    Loader<std::shared_ptr<std::int64_t>> loader(make, 0, 1'000'000, 3, 5);
    for (int k = 0; k < i % 4; ++k) EXPECT_EQ(**loader.next(), k);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_LT(made, 50 * 10);
}

TEST(Loader, MoveOnlyBatches) {
  Loader<std::unique_ptr<int>> loader([](std::int64_t i) { return std::make_unique<int>(static_cast<int>(i)); }, 0, 3, 2);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(**loader.next(), i);
  EXPECT_FALSE(loader.next().has_value());
}

TEST(Loader, MeasuresTheWait) {
  const auto make = [](std::int64_t i) {
    std::this_thread::sleep_for(milliseconds(20));
    return i;
  };
  Loader<std::int64_t> starved(make, 0, 3, 1);
  while (starved.next()) {
  }
  EXPECT_GT(starved.wait_seconds(), 0.04);

  Loader<std::int64_t> fed(make, 0, 3, 1);
  std::this_thread::sleep_for(milliseconds(300));
  while (fed.next()) {
  }
  EXPECT_LT(fed.wait_seconds(), 0.04);
}

TEST(Loader, EmptyRangeAndBadOptions) {
  const auto make = [](std::int64_t i) { return i; };
  EXPECT_FALSE(Loader<std::int64_t>(make, 4, 4, 2).next().has_value());
  EXPECT_THROW(Loader<std::int64_t>(make, 0, 1, -1), ConfigError);
  EXPECT_THROW(Loader<std::int64_t>(make, 0, 1, 1, 0), ConfigError);
}

}  // namespace
}  // namespace capstan::data
