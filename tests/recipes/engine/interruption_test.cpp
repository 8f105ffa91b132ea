// What breaks training off: signals, errors, kill, a full disk, a second run in the directory. Nothing that was saved is lost.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/train/train.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// Runs `body` in a process of its own and returns its wait status.
template <class F>
int in_process(const F& body, const std::function<void(pid_t)>& meanwhile) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  meanwhile(child);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

struct InterruptionTest : ProgramTest {
  // Waits until the run has saved something.
  void wait_for_checkpoint() const {
    for (int i = 0; i < 2000 && !std::filesystem::exists(run + "/checkpoints/LATEST.json"); ++i) ::usleep(2000);
  }
  // Waits until the run has done this step.
  void wait_for_row(int step) const {
    const std::string row = "\"step\":" + std::to_string(step) + ",", path = run + "/metrics.jsonl";
    for (int i = 0; i < 5000; ++i, ::usleep(2000))
      if (std::filesystem::exists(path) && content(path).find(row) != std::string::npos) return;
    ADD_FAILURE() << "no step " << step;
  }
};

TEST_F(InterruptionTest, AStopIsSavedAndSaid) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    std::filesystem::remove_all(run);
    const int status = in_process(
        [&] {
          return train("linear", {"train.epochs=100000000", "checkpoint.every=3", "train.evaluate_every=1000000", "train.log_every=1000"});
        },
        [&](pid_t child) {
          wait_for_checkpoint();
          ::kill(child, number);
        });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + number);
    EXPECT_THAT(content(run + "/log.txt"), HasSubstr("stopped by a signal"));
    std::vector<CheckpointDirectory::Rejected> rejected;
    const auto newest = CheckpointDirectory(run + "/checkpoints", {}, Goal::minimize).find_newest([](const Checkpoint&) {}, rejected);
    ASSERT_TRUE(newest);
    const std::string said = "stopped at step " + std::to_string(newest->step()) + ": ";
    EXPECT_THAT(content(run + "/log.txt"), HasSubstr(said)) << "the last step is the saved one";
  }
}

TEST_F(InterruptionTest, AValidationCutShortCountsForNothingAndIsMadeGoodOnResume) {
  const std::vector<std::string> settings{"train.max_steps=8", "train.evaluate_every=4", "evaluate.batch_size=1"};  // 64 batches
  double seconds = 0;
  const int status = in_process(
      [&] {
        Trouble::evaluation = milliseconds(200);
        return train("linear", settings);
      },
      [&](pid_t child) {
        wait_for_row(4);
        const double start = wall_seconds();
        ::kill(child, SIGTERM);
        ::kill(child, SIGTERM);  // as `timeout` does: to the process, then to its group
        ::waitid(P_PID, static_cast<id_t>(child), nullptr, WEXITED | WNOWAIT);
        seconds = wall_seconds() - start;
      });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
  EXPECT_LT(seconds, 2);
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("stopped at step 4: stopped by a signal"));
  EXPECT_THAT(rows(), Not(HasSubstr("validation")));
  std::vector<std::string> again = settings;
  again.insert(again.end(), {"--resume", "auto"});
  ASSERT_EQ(train("linear", again), kOk) << err.str();
  const auto resumed = std::pair(rows(), tensors(checkpoint(8)));
  std::filesystem::remove_all(run);
  ASSERT_EQ(train("linear", settings), kOk) << err.str();
  EXPECT_EQ(resumed, std::pair(rows(), tensors(checkpoint(8))));
}

TEST_F(InterruptionTest, AStopDoesNotWaitForTheLoader) {
  double seconds = 0;
  const int status = in_process(
      [&] {
        Trouble::batch = milliseconds(1500);
        return train("linear", {"train.evaluate_every=1000000"});
      },
      [&](pid_t child) {
        wait_for_row(1);
        const double start = wall_seconds();
        ::kill(child, SIGHUP);
        wait_for_checkpoint();
        seconds = wall_seconds() - start;
      });
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGHUP);
  EXPECT_LT(seconds, 0.9);
}

TEST_F(InterruptionTest, ASecondSignalEndsAtOnce) {
  const int status = in_process(
      [&] {
        Trouble::evaluation = milliseconds(30000);
        return train("linear", {"train.max_steps=4"});
      },
      [&](pid_t child) {
        wait_for_row(4);
        ::usleep(50000);
        ::kill(child, SIGINT);
        ::usleep(50000);
        ::kill(child, SIGINT);
      });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  EXPECT_TRUE(checkpoints().empty());
}

TEST_F(InterruptionTest, AFailedSaveIsReportedBeforeTheNextOne) {
  const int status = in_process(
      [&] {
        ignore_write_signals();
        const rlimit small{.rlim_cur = 4000, .rlim_max = RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &small);
        Trouble::batch = milliseconds(20);
        return train("linear", {"train.max_steps=15", "checkpoint.every=6", "train.evaluate_every=1000"});
      },
      [&](pid_t child) {
        wait_for_row(11);  // a tenth of a second after the save began, and before the next one
        ::kill(child, SIGKILL);
      });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("the checkpoint of step 6 could not be saved, training goes on"));
}

TEST_F(InterruptionTest, AnErrorIsLoggedAndWhatWasLearntIsSaved) {
  const std::vector<std::string> settings{"train.max_steps=9", "train.evaluate_every=1000", "loader.depth=1"};
  for (const std::string recipe : {"linear", "drifting"}) {
    std::filesystem::remove_all(run);
    Trouble::broken_row = 20;  // of the third batch, or of another one in a permutation
    const int code = train(recipe, settings);
    Trouble::broken_row = -1;
    EXPECT_EQ(code, kData);
    EXPECT_THAT(err.str(), HasSubstr("row 20 cannot be read"));
    const std::string log = content(run + "/log.txt");
    EXPECT_THAT(log, HasSubstr("by an error: row 20 cannot be read"));
    const auto at = log.find("stopped at step ") + 16;
    const std::string step = log.substr(at, log.find(' ', at) - at);
    if (recipe == "drifting") {
      EXPECT_TRUE(checkpoints().empty()) << "its reader may have moved on: no state of a whole step";
      continue;
    }
    ASSERT_NE(step, "0");
    EXPECT_THAT(checkpoints(), testing::Contains("step-00000000" + step + ".h5"));
    std::vector<std::string> again = settings;
    again.insert(again.end(), {"--resume", "auto"});
    ASSERT_EQ(train(recipe, again), kOk) << err.str();
    const auto resumed = tensors(checkpoint(9));
    std::filesystem::remove_all(run);
    ASSERT_EQ(train(recipe, settings), kOk) << err.str();
    EXPECT_EQ(resumed, tensors(checkpoint(9)));
  }
}

TEST_F(InterruptionTest, KillingARunCostsNothingThatWasSaved) {
  const int status = in_process(
      [&] {
        return train("linear", {"train.epochs=100000000", "checkpoint.every=1", "train.evaluate_every=1000000"});
      },
      [&](pid_t child) {
        wait_for_checkpoint();
        ::usleep(30000);
        ::kill(child, SIGKILL);
      });
  ASSERT_TRUE(WIFSIGNALED(status));
  const CheckpointDirectory directory(run + "/checkpoints", {}, Goal::minimize);
  ASSERT_FALSE(directory.steps().empty());
  const std::int64_t saved = directory.steps()[0];
  const std::string until = "train.max_steps=" + std::to_string(saved + 5);
  ASSERT_EQ(train("linear", {"train.epochs=100000000", until, "train.evaluate_every=1000000", "--resume", "auto"}), kOk) << err.str();
  const auto resumed = tensors(checkpoint(saved + 5));
  std::filesystem::remove_all(run);
  ASSERT_EQ(train("linear", {"train.epochs=100000000", until, "train.evaluate_every=1000000"}), kOk);
  EXPECT_EQ(resumed, tensors(checkpoint(saved + 5)));
}

TEST_F(InterruptionTest, AFullDiskDoesNotStopTrainingUntilTheThirdFailure) {
  const auto limited = [&](const std::vector<std::string>& arguments) {
    return in_process(
        [&] {
          ignore_write_signals();
          const rlimit small{.rlim_cur = 4000, .rlim_max = RLIM_INFINITY};  // records fit, checkpoints do not
          ::setrlimit(RLIMIT_FSIZE, &small);
          return train("linear", arguments);
        },
        [](pid_t) {});
  };
  const std::vector<std::string> quiet{"train.evaluate_every=1000", "train.log_every=1000", "loader.workers=0"};
  std::vector<std::string> often = quiet, twice = quiet;
  often.insert(often.end(), {"train.max_steps=15", "checkpoint.every=2"});
  const int third = limited(often);
  ASSERT_TRUE(WIFEXITED(third));
  EXPECT_EQ(WEXITSTATUS(third), kIo);
  const std::string log = content(run + "/log.txt");
  EXPECT_THAT(log, HasSubstr("the checkpoint of step 2 could not be saved, training goes on"));
  EXPECT_THAT(log, HasSubstr("the checkpoint of step 4 could not be saved, training goes on"));

  std::filesystem::remove_all(run);
  twice.insert(twice.end(), {"train.max_steps=15", "checkpoint.every=10"});
  const int last = limited(twice);
  ASSERT_TRUE(WIFEXITED(last));
  EXPECT_EQ(WEXITSTATUS(last), kIo) << "a run whose last state is not saved has failed";
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("stopped at step 15"));
}

TEST_F(InterruptionTest, ASecondRunInTheDirectoryIsRefused) {
  std::filesystem::create_directories(run);
  const RunLock lock(run);
  EXPECT_EQ(train("linear"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("in use by process"));
}

}  // namespace
}  // namespace capstan::engine::test
