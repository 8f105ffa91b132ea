// `train --check`: what it says of a run, and that it leaves nothing. And how much room there is.
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/room.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

using CheckTest = ProgramTest;

TEST_F(CheckTest, SaysWhatARunWouldBeAndLeavesNoFile) {
  for (const char* recipe : {"linear", "drifting"}) {
    ASSERT_EQ(train(recipe, {"--check", "checkpoint.keep_last=3", "train.ema_decay=0.9", "evaluate.batch_size=16"}), kOk) << err.str();
    const std::string text = out.str();
    EXPECT_THAT(text, AllOf(HasSubstr("\nlayer"), HasSubstr("weight f32[4]\n"), HasSubstr("\n4 parameters in 1 tensor, computed in f32\n"),
                            HasSubstr("\nreads of a batch f32[8, 4] (squared_error), f32[8] (squared_error)\n")));
    EXPECT_THAT(text, AllOf(ContainsRegex("weights +16 B\n"), ContainsRegex("gradients +16 B\n"),
                            ContainsRegex("optimiser +32 B of adam\n"), ContainsRegex("averages +16 B\n"), HasSubstr("activations ")));
    EXPECT_THAT(text, AllOf(HasSubstr("checkpoint.keep_last = 3, checkpoint.keep_best = 1, one while it is written"),
                            HasSubstr(" for " + run + "\n"), Not(HasSubstr("warning"))));
    EXPECT_THAT(text, AllOf(HasSubstr("\ntime, an estimate from "), ContainsRegex("a step +[0-9.]+ ms, [0-9.]+ items/s"),
                            ContainsRegex("an epoch +5 steps of 8, "), HasSubstr("a validation "),
                            ContainsRegex("the run +15 steps .3 epochs. with 3 validations, ")));
    EXPECT_FALSE(std::filesystem::exists(run));
  }
}

// The numbers of a run do not depend on whether it was checked, and the first loss is that of the first step.
TEST_F(CheckTest, TheFirstLossIsThatOfTheRun) {
  ASSERT_EQ(train("linear", {"--check"}), kOk) << err.str();
  const std::string said = out.str();
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk) << err.str();
  const std::string row = rows();
  const auto loss = std::stod(row.substr(row.find("\"loss\":") + 7));
  const std::string before = "loss of the first batch ";
  EXPECT_NEAR(std::stod(said.substr(said.find(before) + before.size())), loss, 1e-5 * loss) << "of six digits";
}

TEST_F(CheckTest, CountsStepsAsTheRunWould) {
  ASSERT_EQ(train("linear", {"--check", "train.micro_batch_size=4", "train.max_steps=7", "train.evaluate_every=2", "train.patience=2"}),
            kOk);
  EXPECT_THAT(out.str(),
              AllOf(ContainsRegex("an epoch +5 steps of 8 in 2 batches, "),
                    ContainsRegex("the run +7 steps .train.max_steps. with 4 validations, .*; train.patience may end it sooner")));
  ASSERT_EQ(train("linear", {"--check", "data.rows=3"}), kOk) << "one batch an epoch: " << err.str();
  EXPECT_THAT(out.str(), ContainsRegex("an epoch +1 step of 8, "));
}

TEST_F(CheckTest, ListsParametersAndWarnsWhereFilesDoNotFit) {
  ASSERT_EQ(train("forgetful", {"--check", "--parameters", "checkpoint.keep_best=1000"}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("layer/weight  f32[4]\n"), HasSubstr("head/mean  f32[1]  fixed\n"),
                               HasSubstr("8 parameters in 4 tensors, 1 of them fixed, "), HasSubstr("does not depend on 2")));
  EXPECT_EQ(train("linear", {"--parameters"}), kUsage);
  EXPECT_EQ(train("linear", {"--check", "--profile", "1"}), kOk) << "nothing is profiled";
}

TEST_F(CheckTest, WhatFailsInTrainingFailsHere) {
  EXPECT_EQ(train("linear", {"--check", "data.poison=2"}), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the loss is not finite"));
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST(Room, IsTheLeastOfTheMachineAndTheControlGroups) {
  const data::Scratch dir;
  const auto file = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(dir / name).parent_path());
    dir.write(name, text);
  };
  EXPECT_FALSE(memory_room(dir.path()));
  file("proc/meminfo", "MemTotal:       4000 kB\nMemFree:         100 kB\nMemAvailable:   2000 kB\n");
  ASSERT_TRUE(memory_room(dir.path()));
  EXPECT_EQ(memory_room(dir.path())->bytes, 2048000);
  EXPECT_EQ(memory_room(dir.path())->limited_by, "the machine");

  file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
  file("proc/self/cgroup", "0::/user/job\n");
  file("sys/fs/cgroup/user/job/memory.max", "max\n");
  file("sys/fs/cgroup/user/job/memory.current", "900000\n");
  EXPECT_EQ(memory_room(dir.path())->limited_by, "the machine");
  file("sys/fs/cgroup/user/memory.max", "1000000\n");
  file("sys/fs/cgroup/user/memory.current", "900000\n");
  file("sys/fs/cgroup/user/memory.stat", "anon 500000\nactive_file 1\ninactive_file 300000\n");
  EXPECT_EQ(memory_room(dir.path())->bytes, 400000) << "of a group above, whose files may go";
  EXPECT_EQ(memory_room(dir.path())->limited_by, "a control group");

  file("proc/self/mountinfo", "31 30 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  file("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  file("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(memory_room(dir.path())->limited_by, "the machine") << "no limit, as version 1 writes it";
  file("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n");
  EXPECT_EQ(memory_room(dir.path())->bytes, 4000);

  EXPECT_GT(disk_room(dir / "not/there/yet").value_or(0), 0) << "of the directory that is";
}

}  // namespace
}  // namespace capstan::engine::test
