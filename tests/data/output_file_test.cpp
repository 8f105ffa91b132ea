#include "data/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "data/file.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

template <class E, class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no error";
}

TEST(OutputFile, AFileIsReplacedWhenItIsWhole) {
  const Scratch dir;
  dir.write("f", "old");
  {
    OutputFile given_up(dir / "f");
    given_up.append("new");
  }
  EXPECT_EQ(content(dir / "f"), "old");
  write_output(dir / "f", "new");
  write_output(dir / "other", "made");
  EXPECT_EQ(content(dir / "f") + content(dir / "other"), "newmade");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 2);
}

TEST(OutputFile, ALinkStaysAndItsTargetIsReplaced) {
  const Scratch dir;
  fs::create_directory(dir / "results");
  dir.write("results/today", "old");
  fs::create_symlink("results/today", dir / "latest");
  fs::create_symlink("latest", dir / "second");
  fs::create_symlink("results/absent", dir / "dangling");
  write_output(dir / "second", "new");
  write_output(dir / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(dir / "latest") && fs::is_symlink(dir / "second") && fs::is_symlink(dir / "dangling"));
  EXPECT_EQ(content(dir / "results/today"), "new");
  EXPECT_EQ(content(dir / "results/absent"), "made");
  fs::create_symlink("circle", dir / "circle");
  EXPECT_THAT(message<IoError>([&] { write_output(dir / "circle", ""); }), HasSubstr("too many links"));
}

TEST(OutputFile, AFifoAndAnOpenDescriptorAreWrittenInto) {
  const Scratch dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = content(dir / "fifo"); });
  write_output(dir / "fifo", "through");
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(dir / "fifo"));

  const int fd = ::open(dir.write("log", "before ").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const std::string number = std::to_string(fd);
  fs::create_symlink("/proc/self/fd/" + number, dir / "link");
  write_output("/dev/fd/" + number, "one ");
  write_output(dir / "link", "two");
  ::close(fd);
  EXPECT_EQ(content(dir / "log"), "before one two");
  EXPECT_THAT(message<IoError>([&] { write_output("/dev/fd/" + number, ""); }), HasSubstr("Bad file descriptor"));
}

TEST(OutputFile, ADeviceIsWrittenInto) {
  write_output("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_THAT(message<IoError>([] { write_output("/dev/full", "x"); }), HasSubstr("/dev/full: write failed: No space left on device"));
}

TEST(OutputFile, ADirectoryIsRefused) {
  const Scratch dir;
  EXPECT_THAT(message<IoError>([&] { OutputFile file(dir.path()); }), HasSubstr("is a directory"));
}

TEST(OutputFile, ATrialLeavesEverythingAsItIs) {
  const Scratch dir;
  dir.write("there", "old");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  for (const char* name : {"there", "new", "fifo"}) EXPECT_NO_THROW(require_output(dir / name)) << name << ", and no reader is waited for";
  EXPECT_NO_THROW(require_output("/dev/null"));
  EXPECT_EQ(content(dir / "there"), "old");
  EXPECT_FALSE(fs::exists(dir / "new"));
  EXPECT_THAT(message<IoError>([&] { require_output(dir.path()); }), HasSubstr("is a directory"));
  EXPECT_THAT(message<IoError>([&] { require_output(dir / "missing/x"); }),
              HasSubstr("missing/x: the folder " + dir / "missing" + " is not there"));
}

TEST(OutputFile, AReaderThatHasGoneIsNoOrdinaryError) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ::close(ends[0]);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  EXPECT_THROW(write_output("/dev/fd/" + std::to_string(ends[1]), "x"), ClosedPipe);
  std::signal(SIGPIPE, before);
  ::close(ends[1]);
}

}  // namespace
}  // namespace capstan::data
