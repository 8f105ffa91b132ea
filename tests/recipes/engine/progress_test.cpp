// Progress, the run's records and what they need of the system.
#include "recipes/engine/terminal/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>

#include "autograd/core/error.h"
#include "data/file.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/configure.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/engine/terminal/metric_table.h"
#include "recipes/engine/terminal/terminal.h"
#include "tests/data/scratch.h"

namespace capstan::engine {
namespace {

using data::Scratch;
using testing::HasSubstr;

struct Pipe {
  std::array<int, 2> ends{};
  Pipe() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    close_reader();
    ::close(ends[1]);
  }
  void close_reader() {
    if (ends[0] >= 0) ::close(ends[0]);
    ends[0] = -1;
  }
  std::string read_all() {
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    std::string all;
    std::array<char, 4096> part{};
    for (ssize_t n; (n = ::read(ends[0], part.data(), part.size())) > 0;) all.append(part.data(), static_cast<std::size_t>(n));
    return all;
  }
};

std::string content(const std::string& path) {
  const auto bytes = data::read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Progress, OneLinePerIntervalWithoutATerminal) {
  Pipe pipe;
  Progress progress(pipe.ends[1], Progress::Mode::lines, 0, 10.0);
  const double start = wall_seconds();
  for (int i = 1; i <= 250; ++i)
    progress.update({.step = i, .total_steps = 1000, .epoch = 1, .epochs = 2, .loss = 2, .items = 32.0 * i, .loader_wait = .025 * i},
                    start + .1 * i);
  const std::string text = pipe.read_all();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_THAT(text, HasSubstr("epoch 1/2  step 1"));
  EXPECT_THAT(text, HasSubstr("/1000"));
  EXPECT_THAT(text, HasSubstr("loss 2"));
  EXPECT_THAT(text, HasSubstr("320 items/s  100.0 ms/step  loader 25%  left 1:20"));
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Progress, TheBarIsRewrittenTenTimesASecond) {
  Pipe pipe;
  Progress progress(pipe.ends[1], Progress::Mode::bar, 0);
  const double start = wall_seconds();
  for (int i = 1; i <= 1000; ++i) progress.update({.step = i, .loss = 1, .items = 1.0 * i}, start + .001 * i);
  const std::string text = pipe.read_all();
  EXPECT_NEAR(static_cast<double>(std::count(text.begin(), text.end(), '\r')), 10, 1);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  progress.message("saved");
  EXPECT_EQ(pipe.read_all(), "\r\x1b[Ksaved\n");
}

TEST(Progress, TheLossIsAnAverage) {
  Progress progress(-1, Progress::Mode::off, 0);
  progress.update({.step = 1, .loss = 4}, 0);
  progress.update({.step = 2, .loss = 2}, 0);
  EXPECT_DOUBLE_EQ(progress.loss_average(), 3);
}

TEST(Progress, AFullPipeDropsLinesAndAClosedOneDoesNotKill) {
  Pipe pipe;
  ::fcntl(pipe.ends[1], F_SETFL, O_NONBLOCK);
  const std::string block(4096, 'x');
  while (::write(pipe.ends[1], block.data(), block.size()) > 0) {
  }
  ::fcntl(pipe.ends[1], F_SETFL, 0);  // blocking again: a plain write would now wait for ever
  Progress progress(pipe.ends[1], Progress::Mode::lines, 0, 0.0);
  const double start = wall_seconds();
  for (int i = 1; i <= 1000; ++i) progress.update({.step = i}, start + i);
  EXPECT_LT(wall_seconds() - start, 5.0);
  pipe.close_reader();
  progress.update({.step = 1001}, start + 2000);  // the default action of SIGPIPE would end the test program
  progress.message("still here");
  EXPECT_EQ(Progress::mode_of(pipe.ends[1]), Progress::Mode::lines);
  EXPECT_EQ(Progress::mode_of(987), Progress::Mode::off);
}

TEST(Progress, TheBarTakesTheRoomThereIs) {
  Progress progress(-1, Progress::Mode::off, 0);
  const double start = wall_seconds();
  const ProgressState state{.step = 450, .total_steps = 1000, .epoch = 1, .epochs = 2, .loss = 2, .items = 14400};
  progress.update(state, start);
  progress.metric("recall@10 0.4512");
  const std::string wide = progress.bar(state, start, 120, false), narrow = progress.bar(state, start, 79, false);
  EXPECT_THAT(wide, testing::StartsWith("[########..........]  epoch 1/2  step 450/1000  45%  loss 2  recall@10 0.4512  run "));
  EXPECT_THAT(narrow, testing::StartsWith("[####......]  epoch 1/2  step 450/1000  45%  loss 2  recall@10 0.4512"));
  EXPECT_THAT(progress.bar(state, start, 120, true), testing::StartsWith("\u2595████████      "));
  for (std::size_t columns = 1; columns < 130; ++columns) EXPECT_LE(width_of(progress.bar(state, start, columns, true)), columns);
  EXPECT_EQ(progress.bar(state, start, 20, false), "step 450/1000  45%");
  EXPECT_EQ(EvaluationProgress::line("test", 30, 40, 6, 79, false), "test  [#############.....]  batch 30/40  75%  left 0:02");
  EXPECT_EQ(EvaluationProgress::line("test", 30, 0, 6, 79, false), "test  batch 30");
}

TEST(Terminal, NumbersHaveFourSignificantDigits) {
  EXPECT_EQ(short_number(0.45123456), "0.4512");
  EXPECT_EQ(short_number(0.5), "0.5000");
  EXPECT_EQ(short_number(1234.56), "1235");
  EXPECT_EQ(short_number(99999.7), "100000");
  EXPECT_EQ(short_number(6040), "6040");
  EXPECT_EQ(short_number(0.99999), "1.000");
  EXPECT_EQ(short_number(-0.0), "0");
  EXPECT_EQ(short_number(0.00001234567), "1.235e-05");
  EXPECT_EQ(short_number(std::nan("")), "nan");
}

TEST(Terminal, TextsAreCutAndHighlighted) {
  EXPECT_EQ(cut_to("Grüße aus der Ferne", 12), "Grüße aus...");
  EXPECT_EQ(width_of("Grüße"), 5u);
  EXPECT_EQ(padded("ü", 3, true), "  ü");
  EXPECT_EQ(highlighted("step 3  validation  (best)\nwarning: odd\nsaved\n"),
            "step 3  validation  \x1b[32m(best)\x1b[0m\n\x1b[33mwarning: odd\x1b[0m\nsaved\n");
  EXPECT_FALSE(shows_colour(-1));
}

TEST(MetricTable, SimpleMethodsAreColumns) {
  const Metrics metrics{
      {"full/recall@10", 0.45123}, {"cases", 6040}, {"popularity/full/recall@10", 0.03}, {"optimum/full/recall@10", 0.551}};
  EXPECT_EQ(to_text(metric_table(metrics), 80, "  "),
            "  metric           model  popularity  optimum\n"
            "  full/recall@10  0.4512     0.03000   0.5510\n"
            "  cases             6040\n");
  EXPECT_EQ(to_text(metric_table(metrics), 40),
            "metric           model  popularity\n"
            "full/recall@10  0.4512     0.03000\n"
            "cases             6040\n"
            "metric          optimum\n"
            "full/recall@10   0.5510\n"
            "cases\n");
  EXPECT_EQ(to_text(metric_table(metrics, false), 80), "full/recall@10  0.4512\ncases             6040\n");
}

TEST(RunLog, RowsAreJsonWithNanNamed) {
  EXPECT_EQ(to_json({{"step", std::int64_t{3}}, {"loss", 0.1}, {"split", std::string("a\"b\\\n")}, {"ok", true}}),
            R"({"step":3,"loss":0.1,"split":"a\"b\\\n","ok":true})");
  EXPECT_EQ(to_json({{"step", std::int64_t{1}}, {"loss", std::nan("")}, {"norm", -std::numeric_limits<double>::infinity()}}),
            R"({"step":1,"loss":null,"norm":null,"not_finite":{"loss":"nan","norm":"-inf"}})");
}

TEST(RunLog, ADiskThatGetsFullWithinARowLeavesNoHalfOfIt) {
  const Scratch scratch;
  const auto child = [&] {
    ignore_write_signals();
    RunLog log(scratch.path(), -1);
    const JsonRow row{{"step", std::int64_t{1}}, {"loss", 0.5}};
    const auto size = to_json(row).size() + 1;
    const rlimit limit{.rlim_cur = size + 5, .rlim_max = RLIM_INFINITY};  // the second row gets five bytes
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const bool first = log.row(row), second = log.row(row);
    const rlimit none{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &none);
    std::_Exit(first && !second && log.row(row) ? 42 : 1);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(42), "");
  EXPECT_EQ(data::content(scratch / "metrics.jsonl"), "{\"step\":1,\"loss\":0.5}\n{\"step\":1,\"loss\":0.5}\n");
}

TEST(RunLog, ResumeRemovesRowsPastTheRestoredStep) {
  const Scratch scratch;
  {
    RunLog log(scratch.path(), -1);
    for (std::int64_t s = 1; s <= 5; ++s) EXPECT_TRUE(log.row({{"step", s}, {"loss", 1.5}}));
    EXPECT_TRUE(log.text("first"));
  }
  {
    std::FILE* f = std::fopen((scratch / "metrics.jsonl").c_str(), "a");
    std::fputs("{\"step\":6,\"lo", f);  // a crash in the middle of a row
    std::fclose(f);
  }
  {
    RunLog log(scratch.path(), 3);
    EXPECT_TRUE(log.row({{"step", std::int64_t{4}}, {"loss", 2.5}}));
  }
  EXPECT_EQ(content(scratch / "metrics.jsonl"),
            "{\"step\":1,\"loss\":1.5}\n{\"step\":2,\"loss\":1.5}\n{\"step\":3,\"loss\":1.5}\n{\"step\":4,\"loss\":2.5}\n");
  EXPECT_THAT(content(scratch / "log.txt"), HasSubstr("first"));
  { RunLog log(scratch.path(), -1); }
  EXPECT_EQ(content(scratch / "metrics.jsonl"), "") << "a fresh run";
  EXPECT_THROW(RunLog(scratch / "missing", -1), IoError);
}

TEST(RunLog, AFullDiskIsCountedNotThrown) {
  const Scratch scratch;
  ASSERT_EQ(::symlink("/dev/full", (scratch / "log.txt").c_str()), 0);
  RunLog log(scratch.path(), -1);
  EXPECT_FALSE(log.text("lost"));
  EXPECT_EQ(log.dropped(), 1);
  EXPECT_TRUE(log.row({{"step", std::int64_t{1}}}));
}

TEST(System, TextOfSizesAndTimes) {
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1500), "1.5 kB");
  EXPECT_EQ(bytes_text(2.34e11), "234 GB");
  EXPECT_EQ(duration_text(59.6), "1:00");
  EXPECT_EQ(duration_text(3723), "1:02:03");
  EXPECT_EQ(duration_text(std::nan("")), "-");
  EXPECT_GT(peak_rss_bytes(), 1000000);
  EXPECT_GE(usable_cores(), 1);
}

TEST(System, HomeIsTheFirstPartOfAPath) {
  ASSERT_EQ(::setenv("HOME", "/home/ada", 1), 0);
  EXPECT_EQ(expand_home("~/runs/a"), "/home/ada/runs/a");
  EXPECT_EQ(expand_home("$HOME/runs"), "/home/ada/runs");
  EXPECT_EQ(expand_home("${HOME}"), "/home/ada");
  for (const char* path : {"", "runs/~/a", "/a/$HOME", "./~", "./$HOME/x"}) EXPECT_EQ(expand_home(path), path);
  engine::Setup setup;
  setup.data_dir = "~";
  EXPECT_EQ(setup.data_path("photos"), "/home/ada/photos");
  setup.data_dir = "data";
  EXPECT_EQ(setup.data_path("$HOME/photos"), "/home/ada/photos");
  EXPECT_EQ(run_directory("~/runs/a", "runs/b", "vit", "tiny.cfg"), "/home/ada/runs/a");
  EXPECT_EQ(run_directory("", "~/runs/b", "vit", "tiny.cfg"), "/home/ada/runs/b");
  EXPECT_EQ(run_directory("", "", "vit", "some/tiny.cfg"), "runs/vit-tiny");
  EXPECT_EQ(run_directory("", "", "vit", ""), "") << "there is none";
  for (const char* path : {"~bob/runs", "$SCRATCH/runs", "${SCRATCH}/x"}) EXPECT_THROW(expand_home(path), ConfigError) << path;
}

TEST(System, ThreadsFollowTheEnvironmentAndSayWhy) {
  EXPECT_EQ(choose_threads(3).count, 3);
  EXPECT_EQ(choose_threads(3).reason, "3 threads (run.threads)");
  for (const char* value : {"1", " 1 ", "1,8"}) {
    ::setenv("OMP_NUM_THREADS", value, 1);
    EXPECT_EQ(choose_threads(0).count, 1) << value;
  }
  if (usable_cores() > 1) {
    EXPECT_THAT(choose_threads(0).reason, HasSubstr("1 thread (OMP_NUM_THREADS=1,8, "));
  }
  for (const char* value : {"", "abc", "-1", "0", "4096"}) {
    ::setenv("OMP_NUM_THREADS", value, 1);
    EXPECT_LE(choose_threads(0).count, usable_cores()) << value;
  }
  ::unsetenv("OMP_NUM_THREADS");
  EXPECT_LE(choose_threads(0).count, usable_cores());
}

TEST(System, QuotasOfBothVersionsOfControlGroups) {
  const Scratch dir;
  const auto file = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(dir / name).parent_path());
    dir.write(name, text);
  };
  EXPECT_EQ(cpu_quota(dir.path()), std::nullopt);
  file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
  file("proc/self/cgroup", "0::/user/job\n");
  file("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota(dir.path()), std::nullopt);
  file("sys/fs/cgroup/user/job/cpu.max", "250000 100000\n");
  EXPECT_EQ(cpu_quota(dir.path()), 2.5);
  file("sys/fs/cgroup/user/cpu.max", "150000 100000\n");
  EXPECT_EQ(cpu_quota(dir.path()), 1.5) << "a group above";

  file("proc/self/mountinfo", "31 30 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  file("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cpu_quota(dir.path()), std::nullopt);
  file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(cpu_quota(dir.path()), 1.0);
}

}  // namespace
}  // namespace capstan::engine
