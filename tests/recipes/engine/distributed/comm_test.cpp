#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <stdexcept>
#include <string>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/launch.h"
#include "recipes/engine/distributed/thread_comm.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/distributed/comm_properties.h"

namespace capstan::engine::test {
namespace {

using testing::HasSubstr;

TEST(Comm, AProcessAlone) {
  SelfComm comm;
  check_comm(comm);
}

TEST(Comm, Threads) {
  for (const int ranks : {1, 2, 3, 4}) run_ranks(ranks, check_comm);
}

TEST(Comm, SumsOfThreadsAreTakenInTheOrderOfTheRanks) {
  run_ranks(3, [](Comm& comm) {
    std::vector<float> data{comm.rank() == 0 ? 1.0F : comm.rank() == 1 ? 1e8F : -1e8F};
    comm.sum(data);
    EXPECT_EQ(data[0], (1.0F + 1e8F) - 1e8F);
  });
}

TEST(Comm, ARankThatThrowsFreesTheOthers) {
  std::atomic<int> freed = 0;
  const auto run = [&] {
    run_ranks(4, [&](Comm& comm) {
      comm.barrier();
      if (comm.rank() == 2) throw DataError("line 7 makes no sense");
      try {
        comm.barrier();
      } catch (const Error& e) {
        ++freed;
        EXPECT_STREQ(e.what(), "barrier: another rank has failed");
        EXPECT_THAT(message_of([&] { comm.gather({}); }), HasSubstr("another rank has failed")) << "calls to come";
        throw;
      }
    });
  };
  EXPECT_EQ(message_of<DataError>(run), "line 7 makes no sense");
  EXPECT_EQ(freed, 3);
}

TEST(Comm, ARankThatAbortsEndsAll) {
  try {
    run_ranks(3, [](Comm& comm) {
      if (comm.rank() == 1) comm.abort(5);
      std::vector<double> data(10);
      comm.sum(data);
    });
    FAIL() << "nothing was thrown";
  } catch (const RankAborted& e) {
    EXPECT_EQ(e.rank(), 1);
    EXPECT_EQ(e.exit_code(), 5);
    EXPECT_STREQ(e.what(), "rank 1 has ended the run with code 5");
  }
}

TEST(Comm, ARankThatReturnsTooEarlyIsAnError) {
  const auto run = [] {
    run_ranks(2, [](Comm& comm) {
      if (comm.rank() == 0) comm.barrier();
    });
  };
  EXPECT_EQ(message_of<InternalError>(run), "barrier: rank 0 waits for rank 1, which has returned");
}

TEST(Comm, WhatRanksDoNotAgreeOnIsAnError) {
  const auto error = [](const std::function<void(Comm&)>& body) { return message_of<InternalError>([&] { run_ranks(3, body); }); };
  EXPECT_EQ(error([](Comm& c) {
              std::vector<float> data(c.rank() == 2 ? 5 : 4);
              c.sum(data);
            }),
            "sum of floats: sizes must be equal on all ranks: 4 on rank 0, 5 on rank 2");
  EXPECT_EQ(error([](Comm& c) { c.rank() == 1 ? c.barrier() : c.broadcast({}, 0); }), "rank 0 calls broadcast and rank 1 barrier");
  EXPECT_EQ(error([](Comm& c) { c.broadcast({}, c.rank() == 2 ? 1 : 0); }),
            "broadcast: the root must be the same on all ranks: 0 on rank 0, 1 on rank 2");
  EXPECT_EQ(error([](Comm& c) { c.broadcast({}, 3); }), "broadcast: root 3 is none of 3 ranks");
  EXPECT_EQ(error([](Comm& c) {
              std::vector<float> data(4);
              c.sum_parts(data, std::vector<std::size_t>{1, 1, 1});
            }),
            "sum_parts: the parts must add up to the whole: 3, whole 4");
  EXPECT_EQ(error([](Comm& c) {
              c.gather_parts({}, std::vector<std::size_t>{0, 0});
            }),
            "gather_parts: a part for each rank: 2 parts, 3 ranks");
  EXPECT_EQ(error([](Comm& c) {
              std::vector<std::byte> buffer(2);
              std::vector<std::span<const std::byte>> to(3);
              std::vector<std::span<std::byte>> from(3);
              if (c.rank() == 1) to[2] = buffer;
              c.exchange(to, from);
            }),
            "exchange: rank 1 sends rank 2 2 bytes, and that expects 0");
}

// The environment that a launcher makes, for a function without state.
std::map<std::string, std::string> environment;
Launch launch_in(std::map<std::string, std::string> variables) {
  environment = std::move(variables);
  return find_launch([](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Comm, LaunchersAreKnownByTheirVariables) {
  EXPECT_TRUE(launch_in({}).alone());
  const Launch open_mpi =
      launch_in({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "2"}, {"PMIX_RANK", "2"}, {"SLURM_STEP_NUM_TASKS", "1"}});
  EXPECT_EQ(open_mpi.size, 4);
  EXPECT_EQ(open_mpi.rank, 2);
  EXPECT_EQ(open_mpi.by, "OMPI_COMM_WORLD_SIZE=4");
  EXPECT_TRUE(launch_in({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}}).alone())
      << "mpirun -np 1 in a job of two nodes";
  EXPECT_EQ(launch_in({{"PMI_SIZE", "3"}, {"PMI_RANK", "0"}}).size, 3);
  EXPECT_EQ(launch_in({{"SLURM_STEP_NUM_TASKS", "8"}, {"SLURM_PROCID", "7"}, {"SLURM_NTASKS", "8"}}).rank, 7) << "srun";
  EXPECT_TRUE(launch_in({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "11"}}).alone()) << "a batch script";
  const Launch pmix = launch_in({{"PMIX_RANK", "1"}});
  EXPECT_FALSE(pmix.alone());
  EXPECT_EQ(pmix.size, std::nullopt);
  EXPECT_TRUE(launch_in({{"OMPI_COMM_WORLD_SIZE", "many"}}).alone());
}

}  // namespace
}  // namespace capstan::engine::test
