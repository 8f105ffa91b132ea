// The processes of an MPI run, started by mpirun: what every Comm promises; or with an argument, a run that goes wrong in one way, which
// faults.sh looks at; or figures.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/launch.h"
#include "recipes/engine/distributed/mpi_comm.h"
#include "recipes/engine/distributed/watch.h"
#include "recipes/engine/system.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/distributed/comm_properties.h"

namespace capstan::engine::test {
namespace {

std::unique_ptr<Comm> all;
bool in_pieces = false;  // few elements at a time, as if MPI could count no more

TEST(Mpi, KeepsThePromises) { check_comm(*all); }

TEST(Mpi, LargeSumsByPartsGoStraightToTheirRank) {
  if (in_pieces) GTEST_SKIP() << "all are large";
  check_parts(*all, 600001);
}

TEST(Mpi, IsWatched) {
  Watch watch(*all, {.limits = {.silence_seconds = 10, .stall_seconds = 10}});
  check_comm(watch.comm());
}

TEST(Mpi, SizesThatDoNotAgreeAreNamed) {
  if (all->size() < 2) GTEST_SKIP() << "one process";
  std::vector<std::byte> buffer(2), place(3);
  std::vector<std::span<const std::byte>> to(static_cast<std::size_t>(all->size()));
  std::vector<std::span<std::byte>> from(to.size());
  if (all->rank() == 0) to[1] = buffer;
  if (all->rank() == 1) from[0] = place;
  const std::string message = message_of<InternalError>([&] { all->exchange(to, from); });
  EXPECT_EQ(message, all->rank() == 1 ? "exchange: rank 0 sends rank 1 2 bytes, and that expects 3" : "nothing was thrown");
}

TEST(Mpi, DifferentCallsAreFoundOnAllRanks) {
  if (all->size() < 2) GTEST_SKIP() << "one process";
  std::vector<double> data(3);
  EXPECT_THAT(message_of<InternalError>([&] { all->rank() == 0 ? all->barrier() : all->sum(data); }),
              testing::HasSubstr("the ranks do not make the same call: rank"));
  EXPECT_THAT(message_of<InternalError>([&] { all->sum(std::span(data).first(all->rank() == 0 ? 3 : 2)); }),
              testing::HasSubstr("is in sum of "));
  all->barrier();  // and they go on together
}

// A run of steps in which rank `size - 1` does `what` in the middle.
[[noreturn]] void run_with_fault(const std::string& what) {
  Watch watch(*all, {.limits = {.silence_seconds = 1.6, .stall_seconds = 2.4, .lost_seconds = 5}});
  const int victim = what.ends_with("-first") ? 0 : all->size() - 1;
  for (int step = 1;; ++step) {
    watch.note(step, "backward");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (step == 5 && all->rank() == victim) {
      if (what.starts_with("stop")) ::raise(SIGSTOP);
      if (what.starts_with("kill")) ::raise(SIGKILL);
      if (what.starts_with("hang")) ::pause();
      if (what.starts_with("abort")) watch.comm().abort(3);
    }
    std::vector<float> data(1000);
    watch.comm().sum(data);
  }
}

// Seconds of a sum, and what a rank costs that waits.
void figures() {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  for (const auto& [bytes, repetitions] : {std::pair<std::size_t, int>{4, 2000}, {64 << 10, 1000}, {1 << 20, 200}, {25 << 20, 20}}) {
    std::vector<float> data(bytes / 4);
    std::vector<double> times;
    for (int i = 0; i < repetitions; ++i) {
      all->barrier();
      const Clock::time_point start = Clock::now();
      all->sum(data);
      times.push_back(seconds_since(start));
    }
    std::ranges::sort(times);
    if (all->rank() == 0) std::printf("%zu bytes: median %.1f us, least %.1f us\n", bytes, times[times.size() / 2] * 1e6, times[0] * 1e6);
  }
  all->barrier();
  const ProcessUse before = process_use();
  const Clock::time_point start = Clock::now();
  volatile double sink = 1;
  for (int i = 0; all->rank() == 0 && i < 200'000'000; ++i) sink = sink * 1.0000001;
  const double computed = seconds_since(start);
  all->barrier();
  const ProcessUse after = process_use();
  std::printf("rank %d: computed %.2f s, used %.2f s of processor time until all were there\n", all->rank(), computed,
              after.user + after.system - before.user - before.system);
}

}  // namespace
}  // namespace capstan::engine::test

int main(int argc, char** argv) {
  using capstan::engine::test::all, capstan::engine::test::in_pieces;
  testing::InitGoogleTest(&argc, argv);
  const std::string what = argc > 1 ? argv[1] : "";
  // Pieces as small as this make every call take several.
  in_pieces = what == "pieces";
  all = capstan::engine::mpi_world(capstan::engine::find_launch(), in_pieces ? 500 : std::size_t{1} << 30);
  if (what == "figures") {
    capstan::engine::test::figures();
  } else if (!what.empty() && !in_pieces) {
    capstan::engine::test::run_with_fault(what);
  }
  const int code = what == "figures" ? 0 : RUN_ALL_TESTS();
  all.reset();
  return code;
}
