#include "data/sessions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"

namespace capstan::data {
namespace {

struct Csr {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  explicit Csr(const std::vector<std::vector<std::int32_t>>& sessions) {
    for (const auto& s : sessions) {
      items.insert(items.end(), s.begin(), s.end());
      offsets.push_back(static_cast<std::int64_t>(items.size()));
    }
  }
};

template <class T>
std::string text(std::span<const T> values) {
  std::string out;
  for (const auto v : values) out += join_text(out.empty() ? "" : " ", v);
  return out;
}

/// "sessions: inputs > targets, reset ..., kept ..." for each step.
std::vector<std::string> steps(SessionBatches& batches) {
  std::vector<std::string> all;
  for (SessionStep s; batches.next(s);) {
    all.push_back(join_text(text(s.sessions), ": ", text(s.inputs), " > ", text(s.targets), ", reset ", text(s.reset)));
    if (!s.kept.empty()) all.back() += join_text(", kept ", text(s.kept));
  }
  return all;
}

const Csr kExample({{1, 2, 3}, {4, 5}, {2, 6, 1, 3}, {5, 1}, {3, 4, 2}});

TEST(SessionBatches, TheExampleOfTheSpecification) {
  SessionBatches batches(kExample.offsets, kExample.items, 3);
  const std::vector<std::string> want{"0 1 2: 1 4 2 > 2 5 6, reset 1 1 1", "0 3 2: 2 5 6 > 3 1 1, reset 0 1 0",
                                      "4 2: 3 1 > 4 3, reset 1 0, kept 0 2", "4: 4 > 2, reset 0, kept 0"};
  EXPECT_EQ(steps(batches), want);
  SessionStep s;
  EXPECT_FALSE(batches.next(s));
  batches.seek(0);
  EXPECT_EQ(steps(batches), want);
}

TEST(SessionBatches, WithoutExtraNegativesASingleSlotIsNotRun) {
  SessionBatches batches(kExample.offsets, kExample.items, 3, 2);
  EXPECT_EQ(steps(batches).size(), 3u);
}

/// Sessions of 0 to 7 events whose items name session and place.
Csr random_sessions(std::uint64_t seed, int count) {
  Rng rng(random_key(seed, "sessions"));
  std::vector<std::vector<std::int32_t>> all(static_cast<std::size_t>(count));
  for (int s = 0; s < count; ++s) {
    auto& session = all[static_cast<std::size_t>(s)];
    session.resize(rng.below(8));
    std::iota(session.begin(), session.end(), 100 * s);
  }
  return Csr(all);
}

/// What a hidden row stands for: the session it is in and how many of its events it has seen.
struct Row {
  std::int64_t session = -1, seen = 0;
};

TEST(SessionBatches, EveryCaseOnceWithTheRightHiddenRowForAnyBatchSize) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Csr x = random_sessions(seed, 30);
    std::int64_t cases = 0;
    for (std::size_t s = 0; s + 1 < x.offsets.size(); ++s) cases += std::max<std::int64_t>(x.offsets[s + 1] - x.offsets[s] - 1, 0);
    for (const std::int64_t batch_size : {1, 2, 3, 8, 29, 30, 64}) {
      SessionBatches batches(x.offsets, x.items, batch_size);
      std::map<std::int32_t, int> seen;
      std::vector<Row> rows(static_cast<std::size_t>(std::min<std::int64_t>(batch_size, 30)));
      std::size_t slots = rows.size();
      bool first = true;
      for (SessionStep s; batches.next(s); first = false) {
        if (first) rows.resize(s.inputs.size());
        if (!s.kept.empty()) {
          ASSERT_FALSE(first);
          std::vector<Row> kept;
          for (const auto k : s.kept) kept.push_back(rows[static_cast<std::size_t>(k)]);
          rows = kept;
        }
        ASSERT_EQ(rows.size(), s.inputs.size());
        ASSERT_LE(s.inputs.size(), slots);
        slots = s.inputs.size();
        for (std::size_t i = 0; i < slots; ++i) {
          if (s.reset[i] != 0) rows[i] = {s.sessions[i], 0};
          ASSERT_EQ(rows[i].session, s.sessions[i]);
          ASSERT_EQ(s.inputs[i], 100 * rows[i].session + rows[i].seen) << "the row has seen exactly the events before";
          ASSERT_EQ(s.targets[i], s.inputs[i] + 1);
          ++rows[i].seen;
          ++seen[s.inputs[i]];
        }
      }
      EXPECT_EQ(static_cast<std::int64_t>(seen.size()), cases) << "seed " << seed << ", batch size " << batch_size;
      for (const auto& [item, times] : seen) EXPECT_EQ(times, 1);
    }
  }
}

TEST(SessionBatches, FreeSlotsTakeSessionsInOrder) {
  // Slot 0 holds a session of one event; it takes session 2 while slot 1 keeps session 1.
  const Csr x({{9}, {1, 2, 3}, {4, 5, 6}, {}, {7, 8}});
  SessionBatches batches(x.offsets, x.items, 2);
  EXPECT_EQ(steps(batches),
            (std::vector<std::string>{"2 1: 4 1 > 5 2, reset 1 1", "2 1: 5 2 > 6 3, reset 0 0", "4: 7 > 8, reset 1, kept 1"}));
}

TEST(SessionBatches, ResumesInTheMiddleOfAnEpoch) {
  const Csr x = random_sessions(7, 50);
  SessionBatches whole(x.offsets, x.items, 6);
  const auto want = steps(whole);
  ASSERT_EQ(whole.position(), static_cast<std::int64_t>(want.size()));
  for (std::size_t from = 0; from <= want.size(); ++from) {
    SessionBatches resumed(x.offsets, x.items, 6);
    resumed.seek(static_cast<std::int64_t>(from));
    EXPECT_EQ(resumed.position(), static_cast<std::int64_t>(from));
    EXPECT_EQ(steps(resumed), std::vector<std::string>(want.begin() + static_cast<std::ptrdiff_t>(from), want.end())) << from;
  }
  EXPECT_THROW(whole.seek(static_cast<std::int64_t>(want.size()) + 1), DataError);
}

TEST(SessionBatches, NothingToDo) {
  const Csr none({}), single({{1}, {2}});
  SessionBatches a(none.offsets, none.items, 3), b(single.offsets, single.items, 3);
  SessionStep s;
  EXPECT_FALSE(a.next(s));
  EXPECT_FALSE(b.next(s));
  EXPECT_THROW(SessionBatches(single.offsets, single.items, 0), ConfigError);
  EXPECT_THROW(SessionBatches(single.offsets, single.items, 1, 2), ConfigError);
  const std::vector<std::int64_t> wrong{0, 1};
  EXPECT_THROW(SessionBatches(wrong, single.items, 1), DataError);
}

}  // namespace
}  // namespace capstan::data
