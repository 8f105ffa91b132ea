// `capstan sweep`: what a command line stands for, and whole sweeps whose runs are children of the test.
#include "recipes/engine/command/sweep.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recipes/engine/child_process.h"
#include "recipes/engine/report/run_result.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Values = std::vector<std::string>;

SweepSettings settings_of(const std::vector<std::string>& arguments) {
  ErasedConfig<Linear> config;
  return sweep_settings(config.table(), parse_arguments(arguments, {}, &config.table()).assignments);
}

TEST(SweepSettings, ValuesAreSeparatedByCommasThoseOfListsBySemicolons) {
  const SweepSettings s = settings_of({"optimizer.learning_rate=1e-3, 2e-3", "schedule.drops=0.5,0.7;0.3", "train.epochs=2",
                                       "optimizer.freeze=a,b", "run.data='a,b',c", "train.metric=\"x\""});
  ASSERT_EQ(s.axes.size(), 3u);
  EXPECT_EQ(s.axes[0].key, "optimizer.learning_rate");
  EXPECT_EQ(s.axes[0].short_name, "learning_rate");
  EXPECT_EQ(s.axes[0].values, (Values{"1e-3", "2e-3"}));
  EXPECT_EQ(s.axes[1].values, (Values{"0.5,0.7", "0.3"}));
  EXPECT_EQ(s.axes[2].values, (Values{"'a,b'", "c"})) << "quotes keep a value together";
  ASSERT_EQ(s.shared.size(), 3u);
  EXPECT_EQ(s.shared[1].value, "a,b") << "one list";
  const SweepSettings same = settings_of({"train.batch_size=1,2", "evaluate.batch_size=3,4", "train.epochs=1,2"});
  EXPECT_EQ(same.axes[0].short_name, "train.batch_size") << "the last part alone would not tell them apart";
  EXPECT_EQ(same.axes[2].short_name, "epochs");
}

TEST(SweepSettings, Refuses) {
  EXPECT_THAT(message_of<ConfigError>([] { settings_of({"train.epochs=1,,2"}); }), HasSubstr("train.epochs has an empty value in '1,,2'"));
  EXPECT_THAT(message_of<ConfigError>([] { settings_of({"schedule.drops=0.1;"}); }), HasSubstr("separated by semicolons"));
  EXPECT_THAT(message_of<ConfigError>([] { settings_of({"run.dir=a,b"}); }), HasSubstr("run.dir is one directory"));
}

TEST(SweepSettings, NamesOfDirectories) {
  using Named = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(sweep_directory_name(Named{{"learning_rate", "0.01"}, {"kind", "adamw"}}), "learning_rate=0.01,kind=adamw");
  EXPECT_EQ(sweep_directory_name(Named{{"drops", "0.5, 0.7"}, {"path", "../a b"}}), "drops=0.5_0.7,path=.._ab");
  const std::string a = sweep_directory_name(Named{{"path", std::string(300, 'a')}}),
                    b = sweep_directory_name(Named{{"path", std::string(301, 'a')}});
  EXPECT_LT(a.size(), 140u);
  EXPECT_NE(a, b);
}

TEST(ChildProcess, HandsOnLinesAndHowItEnded) {
  const auto run = [](const std::function<int()>& body, std::vector<std::string>& lines) {
    ChildProcess child(body);
    while (child.read([&](std::string_view line) { lines.emplace_back(line); })) continue;
    return child.wait();
  };
  std::vector<std::string> lines;
  std::printf("written before, and not flushed where stdout is no terminal\n");
  EXPECT_EQ(run(
                [] {
                  char c = 0;
                  const bool empty = ::read(STDIN_FILENO, &c, 1) == 0;
                  std::printf("out\n");
                  std::fflush(stdout);
                  std::fprintf(stderr, "err %d\nrest", empty ? 1 : 0);
                  return 7;
                },
                lines),
            7);
  EXPECT_THAT(lines, ElementsAre("out", "err 1", "rest"));
  EXPECT_EQ(run([] { return ::raise(SIGKILL); }, lines), 128 + SIGKILL);
}

struct SweepTest : ProgramTest {
  std::string swept = run + "-sweep";  ///< the file of the configuration names `run`

  /// A sweep of the linear recipe whose runs are this program with its recipes.
  int sweep_linear(const std::vector<std::string>& arguments) {
    clear_stop_signal();
    out.str("");
    err.str("");
    std::istringstream in;
    const Console console{.in = in, .out = out, .err = err};
    try {
      return sweep(entry<Linear>(), {.command = "sweep", .config_path = config("linear"), .config_name = "linear", .arguments = arguments},
                   console, [&](std::span<const std::string> of_run) {
                     const int code = capstan({of_run.begin(), of_run.end()});
                     std::cerr << err.str() << out.str() << std::flush;
                     return code;
                   });
    } catch (const Error& e) {
      err << e.what();
      return exit_code_of(e);
    }
  }
  std::size_t runs_started() const {
    const std::string said = err.str();
    std::size_t count = 0;
    for (const char* word : {"  starts\n", "  goes on\n"})
      for (auto at = said.find(word); at != std::string::npos; at = said.find(word, at + 1)) ++count;
    return count;
  }
  std::vector<std::vector<std::string>> rows_of_table() const {
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(content(swept + "/sweep.tsv"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream cells(line);
      rows.emplace_back();
      for (std::string cell; std::getline(cells, cell, '\t');) rows.back().push_back(cell);
    }
    return rows;
  }
};

TEST_F(SweepTest, TrainsEveryCombinationAndRanksThem) {
  const Values arguments{"optimizer.learning_rate=1e-4,0.05", "train.batch_size=4,8", "train.epochs=2"};
  ASSERT_EQ(sweep_linear(arguments), kOk) << err.str();
  EXPECT_EQ(runs_started(), 4u);
  EXPECT_THAT(out.str(), AllOf(testing::StartsWith("learning_rate  batch_size "), HasSubstr(" mse "), Not(HasSubstr("[1/4]"))));
  const auto rows = rows_of_table();
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_THAT(rows[0],
              ElementsAre("optimizer.learning_rate", "train.batch_size", "mse", "at_step", "last_loss", "seconds", "state", "directory"));
  EXPECT_EQ(rows[1][0] + " " + rows[1][1], "0.05 4") << "the lowest error first";
  for (std::size_t i = 2; i < 5; ++i) EXPECT_LE(std::stod(rows[i - 1][2]), std::stod(rows[i][2]));
  EXPECT_EQ(rows[1][3], "20");
  EXPECT_EQ(rows[1][6], "done");
  EXPECT_TRUE(std::filesystem::exists(swept + "/" + rows[1][7] + "/checkpoints/best.h5"));
  const auto result = read_result(swept + "/" + rows[1][7]);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stopped, "all epochs done");
  EXPECT_EQ(result->best, std::stod(rows[1][2]));

  // Again: nothing is left to do, and the table is the same.
  const std::string table = out.str(), file = content(swept + "/sweep.tsv");
  ASSERT_EQ(sweep_linear(arguments), kOk) << err.str();
  EXPECT_EQ(runs_started(), 0u);
  EXPECT_EQ(out.str(), table);
  EXPECT_EQ(content(swept + "/sweep.tsv"), file);

  // With more values, those are trained alone, some at a time. Other settings are refused.
  ASSERT_EQ(sweep_linear({"optimizer.learning_rate=1e-4,0.05,0.02,0.01", "train.batch_size=4,8", "train.epochs=2", "--jobs", "3"}), kOk)
      << err.str();
  EXPECT_EQ(runs_started(), 4u);
  EXPECT_EQ(sweep_linear({"optimizer.learning_rate=1e-4,0.05", "train.batch_size=4,8", "train.epochs=3"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("was run with other settings: train.epochs = 2, now 3"));
}

TEST_F(SweepTest, ARunThatFailsIsRecordedAndTheOthersFollow) {
  const Values arguments{"data.poison=3,-1", "train.epochs=2"};
  EXPECT_EQ(sweep_linear(arguments), kNumerical) << err.str();
  const auto rows = rows_of_table();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1][0], "-1");
  EXPECT_EQ(rows[1][5 + 0], "done") << rows[1][5];
  EXPECT_THAT(rows[2][5], HasSubstr("failed: train: the loss is not finite"));
  EXPECT_FALSE(read_result(swept + "/poison=3"));
  EXPECT_THAT(out.str(), AllOf(HasSubstr("failed: train: the loss"), HasSubstr("done")));
  EXPECT_EQ(sweep_linear(arguments), kNumerical) << "it is tried again";
  EXPECT_EQ(runs_started(), 1u);
}

TEST_F(SweepTest, EverythingIsReadBeforeTheFirstRun) {
  const auto refused = [&](const Values& arguments) {
    EXPECT_EQ(sweep_linear(arguments), kUsage) << arguments[0];
    EXPECT_FALSE(std::filesystem::exists(swept)) << arguments[0];
    return err.str();
  };
  EXPECT_THAT(refused({"train.epochs=1,two"}), HasSubstr("train.epochs must be"));
  EXPECT_THAT(refused({"train.epoch=1,2"}), HasSubstr("did you mean 'train.epochs'?"));
  EXPECT_THAT(refused({"train.epochs=2"}), HasSubstr("no key has several values"));
  EXPECT_THAT(refused({"optimizer.learning_rate=1e-3,0.001"}), HasSubstr("the same values stand twice: learning_rate=0.001"));
  EXPECT_THAT(refused({"train.epochs=1,2", "--train.epochs=3"}), HasSubstr("train.epochs is given twice"));
  EXPECT_THAT(refused({"optimizer.kind=adam,sgd", "optimizer.momentum=0.9"}), HasSubstr("only adagrad and sgd have one"));
  EXPECT_THAT(refused({"train.epochs=1,2", "--jobs", "0"}), HasSubstr("--jobs must be between 1 and 1024"));
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk);
  EXPECT_EQ(sweep_linear({"train.epochs=1,2", "run.dir=" + run}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("holds a run"));
}

// A signal saves the run that is under way; the same command then goes on, to the same end as a sweep that was not stopped.
TEST_F(SweepTest, ASignalStopsItAndTheSameCommandGoesOn) {
  const Values arguments{"optimizer.learning_rate=0.01,0.05", "train.epochs=10", "checkpoint.every=10", "train.evaluate_every=1000"};
  Trouble::batch = std::chrono::milliseconds(4);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(sweep_linear(arguments));
  const std::string first = swept + "/learning_rate=0.01";
  for (int i = 0; i < 2000 && !std::filesystem::exists(first + "/checkpoints/LATEST.json"); ++i) ::usleep(2000);
  ::kill(child, SIGTERM);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  Trouble::batch = std::chrono::milliseconds(0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
  EXPECT_THAT(content(first + "/log.txt"), HasSubstr("stopped by a signal"));
  EXPECT_FALSE(std::filesystem::exists(swept + "/learning_rate=0.05"));
  EXPECT_THAT(content(swept + "/sweep.tsv"),
              AllOf(HasSubstr("\tstopped\tlearning_rate=0.01\n"), HasSubstr("\tnot run\tlearning_rate=0.05\n")));

  ASSERT_EQ(sweep_linear(arguments), kOk) << err.str();
  EXPECT_THAT(err.str(), AllOf(HasSubstr("learning_rate=0.01  goes on"), HasSubstr("learning_rate=0.05  starts")));
  const auto resumed = tensors(first + "/checkpoints/step-000000050.h5");
  std::filesystem::remove_all(swept);
  ASSERT_EQ(sweep_linear(arguments), kOk) << err.str();
  EXPECT_EQ(tensors(first + "/checkpoints/step-000000050.h5"), resumed);
}

}  // namespace
}  // namespace capstan::engine::test
