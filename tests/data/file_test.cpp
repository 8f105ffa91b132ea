#include "data/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using testing::HasSubstr;

std::string content(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> lines(const std::string& path) {
  LineReader reader(path);
  std::vector<std::string> all;
  for (std::string_view line; reader.next(line);) all.emplace_back(line);
  return all;
}

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
  const std::string path = dir.write("a", std::string(3'000'000, 'x') + "123456789");
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

TEST(LineReader, LineEndsAndMark) {
  const Scratch dir;
  EXPECT_EQ(lines(dir.write("a", "\xef\xbb\xbfone\r\n\ntwo\nlast")), (std::vector<std::string>{"one", "", "two", "last"}));
  EXPECT_TRUE(lines(dir.write("b", "")).empty());
  EXPECT_EQ(lines(dir.write("c", "\n")), std::vector<std::string>{""});
}

TEST(LineReader, LinesLongerThanTheBuffer) {
  const Scratch dir;
  const std::string a(3'000'001, 'a'), b(1'048'575, 'b'), c(1'048'576, 'c');
  EXPECT_EQ(lines(dir.write("a", a + "\n" + b + "\n" + c + "\nd\n")), (std::vector<std::string>{a, b, c, "d"}));
  LineReader reader(dir / "a", {.line_bytes = 1 << 20});
  std::string_view line;
  EXPECT_THROW(reader.next(line), DataError);
}

std::string gzip(const Scratch& dir, const std::string& name, const std::string& text) {
  const std::string path = dir / name;
  gzFile f = gzopen(path.c_str(), "wb9");
  gzwrite(f, text.data(), static_cast<unsigned>(text.size()));
  gzclose(f);
  return path;
}

TEST(LineReader, ReadsGzipWhateverItsName) {
  const Scratch dir;
  EXPECT_EQ(lines(gzip(dir, "a.txt", "one\ntwo\n")), (std::vector<std::string>{"one", "two"}));
}

TEST(LineReader, DamagedGzipIsADataError) {
  const Scratch dir;
  std::string text;
  for (int i = 0; i < 30000; ++i) text += std::to_string(i * 7919 % 10007) + "\n";
  auto bytes = content(gzip(dir, "a.gz", text));
  EXPECT_THROW(lines(dir.write("short.gz", bytes.substr(0, bytes.size() / 2))), DataError);
  EXPECT_THROW(lines(dir.write("no_trailer.gz", bytes.substr(0, bytes.size() - 8))), DataError);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
  EXPECT_THROW(lines(dir.write("flip.gz", bytes)), DataError);
}

TEST(LineReader, RefusesABomb) {
  const Scratch dir;
  const std::string path = gzip(dir, "bomb.gz", std::string(80'000'000, '\n'));
  LineReader by_ratio(path), by_size(path, {.inflated_bytes = 1'000'000, .inflation_ratio = 5000});
  const auto drain = [](LineReader& r) {
    for (std::string_view line; r.next(line);) {
    }
  };
  EXPECT_THROW(drain(by_ratio), DataError);
  EXPECT_THROW(drain(by_size), DataError);
}

TEST(LineReader, Where) {
  const Scratch dir;
  LineReader reader(dir.write("a", "x\ny\n"));
  std::string_view line;
  reader.next(line);
  reader.next(line);
  EXPECT_EQ(reader.where(), dir / "a:2: ");
  EXPECT_THROW(LineReader(dir / "absent"), IoError);
  EXPECT_THROW(LineReader{dir.path()}, IoError);
}

}  // namespace
}  // namespace capstan::data
