#include "data/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using testing::HasSubstr;

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(directory)) names.push_back(e.path().filename());
  return names;
}

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Crc32c, ContinuesAndAgreesWithThePortableForm) {
  std::string text;
  for (int i = 0; i < 1003; ++i) text += static_cast<char>(i * 37);
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t cut = 0; cut < 40; ++cut) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes));
    EXPECT_EQ(detail::crc32c_portable(bytes.subspan(cut), 7), crc32c(bytes.subspan(cut), 7));
  }
}

TEST(Digest, OfFileAndOfMemoryAgree) {
  const Scratch dir;
  const std::string path = dir.write("a", std::string(3'000'000, 'x').append("123456789"));
  EXPECT_EQ(digest_file(path), digest_of(read_file(path)));
  EXPECT_EQ(to_text(digest_file(dir.write("b", "123456789"))), "9-e3069283-cbf43926");
  EXPECT_EQ(to_text(digest_file(dir.write("c", ""))), "0-00000000-00000000");
}

TEST(DurableWrite, ReplacesAndLeavesNothingElse) {
  const Scratch dir;
  write_file_durably(dir / "f", "first");
  write_file_durably(dir / "f", std::string(5'000'000, 'z'));
  EXPECT_EQ(content(dir / "f"), std::string(5'000'000, 'z'));
  write_file_durably(dir / "f", "");
  EXPECT_EQ(content(dir / "f"), "");
  EXPECT_EQ(files_in(dir.path()).size(), 1u);
}

TEST(DurableWrite, AStaleTemporaryOfOurNumberIsReplaced) {
  const Scratch dir;
  dir.write("f.tmp." + std::to_string(::getpid()), "left over");
  write_file_durably(dir / "f", "new");
  EXPECT_EQ(content(dir / "f"), "new");
  EXPECT_EQ(files_in(dir.path()).size(), 1u);
}

TEST(DurableWrite, ModesFollowTheUmask) {
  const Scratch dir;
  dir.write("f", "");
  for (const mode_t mask : {0002U, 0077U}) {
    const mode_t before = ::umask(mask);
    write_file_durably(dir / "f", "new");
    ::umask(before);
    struct stat info {};
    ASSERT_EQ(::stat((dir / "f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0666 & ~mask);
  }
}

TEST(DurableWrite, ReplacesALinkInsteadOfFollowingIt) {
  const Scratch dir;
  dir.write("target", "old");
  std::filesystem::create_symlink(dir / "target", dir / "link");
  write_file_durably(dir / "link", "new");
  EXPECT_EQ(content(dir / "target"), "old");
  EXPECT_EQ(content(dir / "link"), "new");
}

TEST(DurableWrite, FailureNamesPathStepAndReason) {
  const Scratch dir;
  const auto message_of = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const IoError& e) {
      return e.what();
    }
    return "no IoError";
  };
  EXPECT_THAT(message_of([&] { write_file_durably(dir / "no/f", "x"); }), HasSubstr("no/f.tmp."));
  EXPECT_THAT(message_of([&] { write_file_durably(dir / "no/f", "x"); }), HasSubstr("create failed: No such file or directory"));
  std::filesystem::create_directories(dir / "folder/inside");
  EXPECT_THAT(message_of([&] { write_file_durably(dir / "folder", "x"); }), HasSubstr("rename"));
  EXPECT_EQ(files_in(dir.path()).size(), 1u) << "the temporary file is removed";
  EXPECT_THAT(message_of([&] { read_file(dir / "absent"); }), HasSubstr("absent: open failed: No such file or directory"));
  EXPECT_THAT(message_of([&] { read_file(dir / "folder"); }), HasSubstr("Is a directory"));
}

TEST(DurableWrite, MakesAndRemovesWhatMayBeThereAlready) {
  const Scratch dir;
  create_directories_durably(dir / "a/b/c");
  create_directories_durably(dir / "a/b/c/");
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
  dir.write("a/file", "x");
  const auto message = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const IoError& e) {
      return e.what();
    }
    return "no IoError";
  };
  EXPECT_THAT(message([&] { create_directories_durably(dir / "a/file/d"); }),
              HasSubstr("a/file/d: cannot create the directory: Not a directory"));
  EXPECT_THAT(message([&] { create_directories_durably(dir / "a/file"); }), HasSubstr("there is a file of this name"));
  remove_durably(dir / "a/file");
  remove_durably(dir / "a/file");
  EXPECT_FALSE(std::filesystem::exists(dir / "a/file"));
  EXPECT_THAT(message([&] { remove_durably(dir / "a/b"); }), HasSubstr("a/b: removal failed"));
}

TEST(DurableWrite, WhatKilledProcessesLeftGoes) {
  const Scratch dir;
  for (const char* name : {"a.h5.tmp.12", "b.tmp.7", "b.tmp.", "b.tmp.x1", "tmp.7", "b"}) dir.write(name, "x");
  remove_unfinished(dir.path());
  EXPECT_THAT(files_in(dir.path()), testing::UnorderedElementsAre("b.tmp.", "b.tmp.x1", "tmp.7", "b"));
  remove_unfinished(dir / "none");
}

TEST(DurableWrite, AFullDiskKeepsTheOldFile) {
  const Scratch dir;
  write_file_durably(dir / "f", "old");
  // A file size limit in a child process stands for the full disk: the second half of the write fails.
  const auto child = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_durably(dir / "f", std::string(200'000, 'n'));
    } catch (const IoError& e) {
      std::_Exit(std::string(e.what()).find("write failed: File too large") == std::string::npos ? 1 : 42);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(42), "");
  EXPECT_EQ(content(dir / "f"), "old");
  EXPECT_EQ(files_in(dir.path()).size(), 1u);
}

}  // namespace
}  // namespace capstan::data
