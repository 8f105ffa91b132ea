#include "data/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::EndsWith;

std::vector<std::string> lines(const std::string& path) {
  LineReader reader(path);
  std::vector<std::string> all;
  for (std::string_view line; reader.next(line);) all.emplace_back(line);
  return all;
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

std::string read_refusal(const std::string& path) {
  return message_of<DataError>([&] { lines(path); });
}

TEST(LineReader, RefusesWhatIsNoTextByName) {
  const Scratch dir;
  const std::pair<std::string_view, std::string_view> kinds[] = {
      {std::string_view("PK\x03\x04\x14\0\0\0\x08", 9), "a zip archive (a .docx, .xlsx or .npz file too): unpack it"},
      {std::string_view("\xFD\x37zXZ\0\0\x04", 8), "an xz file: unpack it by xz -d"},
      {"BZh91AY&SY\xC9", "a bzip2 file: unpack it by bzip2 -d"},
      {"\x28\xB5\x2F\xFD\x04", "a zstd file: unpack it by zstd -d"},
      {"%PDF-1.7\n%\xE2\xE3\n", "a PDF document: export it as text"},
      {"\x89HDF\r\n\x1A\n", "an HDF5 file: export it as text"},
      {"\x89PNG\r\n\x1A\n", "a PNG picture: it does not belong among text"},
      {"\xFF\xD8\xFF\xE0", "a JPEG picture: it does not belong among text"},
      {"GIF89a", "a GIF picture: it does not belong among text"},
      {"RIFF....WEBPVP8 ", "a WebP picture: it does not belong among text"},
      {"\x7F"
       "ELF\x02\x01",
       "an ELF program: it does not belong among text"},
  };
  for (const auto& [start, message] : kinds) {
    const std::string bytes = std::string(start) + "text all the same\n";
    EXPECT_THAT(read_refusal(dir.write("a", bytes)), EndsWith("a: is " + std::string(message)));
    EXPECT_THAT(read_refusal(gzip(dir, "b", bytes)), EndsWith("b: is gzip of " + std::string(message)));
  }
  std::string tar(512, '\0');
  tar.replace(0, 5, "a.txt").replace(257, 6, std::string("ustar\0", 6));
  EXPECT_THAT(read_refusal(gzip(dir, "b", tar + "text\n")), EndsWith("b: is gzip of a tar archive: unpack it by tar -xf"));
  EXPECT_THAT(read_refusal(dir.write("a", std::string(98, 'a') + std::string("\0\0\n", 3))), testing::HasSubstr("binary data"));
  EXPECT_EQ(lines(dir.write("a", std::string("a NUL\0may stand\n", 16))).size(), 1u);
  EXPECT_EQ(lines(dir.write("a", "GIF and RIFF are words, WEBP too\nPK BZh %PDF\n")).size(), 2u);
  EXPECT_FALSE(not_text_file(dir.write("a", "a text without any line end")).has_value());
  EXPECT_FALSE(not_text_file(dir.write("a", "")).has_value());
  EXPECT_EQ(not_text_file(gzip(dir, "b", "GIF89a"))->what, "gzip of a GIF picture");
}

std::string wide(std::u32string_view text, int width, bool big, bool mark) {
  std::string out;
  const auto put = [&](char32_t c) {
    for (int i = 0; i < width; ++i) out += static_cast<char>(c >> 8 * (big ? width - 1 - i : i) & 0xFF);
  };
  if (mark) put(0xFEFF);
  for (const char32_t c : text) put(c);
  return out;
}

TEST(LineReader, RefusesWideEncodingsByName) {
  const Scratch dir;
  std::u32string chinese;
  for (int i = 0; i < 40; ++i) chinese += U"今天天气很好我们去公园散步吧他说\n";
  for (const std::u32string& text : {std::u32string(U"a line\nß\n"), chinese})
    for (const bool big : {false, true})
      for (const int width : {2, 4}) {
        const std::string name = width == 2 ? "UTF-16" : "UTF-32", order = big ? "BE" : "LE";
        const auto expected = [](const std::string& n) {
          return EndsWith("a: is " + n + " text: convert it by iconv -f " + n + " -t UTF-8");
        };
        EXPECT_THAT(read_refusal(dir.write("a", wide(text, width, big, true))), expected(name));
        EXPECT_THAT(read_refusal(dir.write("a", wide(text, width, big, false))), expected(name + order));
      }
}

TEST(LineReader, RefusesLineEndsOfCrAlone) {
  const Scratch dir;
  EXPECT_THAT(read_refusal(dir.write("a", "one\rtwo\r")),
              EndsWith(R"(a: is text whose lines end in CR alone, as of old Macs: convert it by tr '\r' '\n')"));
  EXPECT_EQ(lines(dir.write("a", "one\r")), std::vector<std::string>{"one"});
  EXPECT_EQ(lines(dir.write("a", "one\rtwo\n")), std::vector<std::string>{"one\rtwo"});
}

TEST(LineReader, CountsLinesThatAreNotUtf8) {
  const Scratch dir;
  LineReader reader(dir.write("a",
                              "good\nd\xC3\xA9"
                              "j\xC3\xA0\nnot in order: d\xE9j\xE0\n\xE9\n\xEF\xBF\xBD\n"));
  for (std::string_view line; reader.next(line);) {
  }
  EXPECT_EQ(reader.not_utf8().lines, 2);
  EXPECT_EQ(to_text(reader.not_utf8()),
            "2 lines are not UTF-8, the first is line 3 (byte 0xe9): convert the file, such as by iconv -f LATIN1 -t UTF-8");
}

}  // namespace
}  // namespace capstan::data
