// The tokenizer against reference_tokenizer.py, line by line, on public text and on random characters, and its speed. Needs
// python3; the public text also the environment variable CAPSTAN_DATA (see ../real_data_slow_test.cpp). Skipped without.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "data/line_reader.h"
#include "data/text/python_random.h"
#include "data/text/tokenizer.h"
#include "data/text/unicode.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

std::string data_file(const std::string& name) {
  const char* folder = std::getenv("CAPSTAN_DATA");
  const std::string path = folder == nullptr ? "" : std::string(folder).append("/").append(name);
  return std::filesystem::exists(path) ? path : "";
}

std::string vocabulary_file() { return data_file("bert-vocab/vocab.txt"); }

bool have_python() { return std::system("python3 -c 'import unicodedata as u; assert u.unidata_version == \"14.0.0\"' 2>/dev/null") == 0; }

struct Mode {
  TokenizerVariant variant;
  std::string name;
  bool lower_case;
};
const std::vector<Mode> kModes = {
    {TokenizerVariant::google, "google", true},   {TokenizerVariant::google, "google", false},
    {TokenizerVariant::hf_slow, "hf_slow", true}, {TokenizerVariant::hf_slow, "hf_slow", false},
    {TokenizerVariant::hf_fast, "hf_fast", true}, {TokenizerVariant::hf_fast, "hf_fast", false},
};

/// Tokenizes the lines of a plain file in both ways; counts lines and says the first that differs.
void compare(const std::string& text, const std::string& vocab, const Mode& mode) {
  SCOPED_TRACE(text + " " + mode.name + (mode.lower_case ? " uncased" : " cased"));
  const Scratch scratch;
  const std::string result = scratch / "pieces";
  const std::string command = "python3 " CAPSTAN_SOURCE_DIR "/tests/data/text/reference_tokenizer.py --vocab " + vocab + " --variant " +
                              mode.name + (mode.lower_case ? "" : " --cased") + " < " + text + " > " + result;
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto vocabulary =
      Vocabulary::load(vocab, mode.variant == TokenizerVariant::google ? Vocabulary::Lines::stripped : Vocabulary::Lines::kept_spaces);
  const Tokenizer tokenizer(vocabulary, {.lower_case = mode.lower_case, .variant = mode.variant});
  std::ifstream lines(text, std::ios::binary), expected(result, std::ios::binary);
  std::int64_t count = 0, pieces = 0, different = 0;
  for (std::string line, wanted; std::getline(lines, line); ++count) {
    ASSERT_TRUE(std::getline(expected, wanted));
    std::string got;
    for (const auto& piece : tokenizer.pieces(line)) {
      got.append(got.empty() ? "" : " ").append(piece);
      ++pieces;
    }
    if (got != wanted && ++different < 4)
      ADD_FAILURE() << "line " << count + 1 << ": " << line << "\n  got " << got << "\n  expected " << wanted;
  }
  EXPECT_EQ(different, 0);
  EXPECT_GT(count, 0);
  std::cout << mode.name << (mode.lower_case ? " uncased " : " cased ") << text << ": " << count << " lines, " << pieces << " pieces, "
            << different << " lines differ\n";
}

/// The content of a plain or gzip file as a plain one.
std::string unpacked(const std::string& path, const Scratch& scratch) {
  const std::string out = scratch / std::filesystem::path(path).stem().string();
  std::ofstream file(out, std::ios::binary);
  LineReader reader(path);
  for (std::string_view line; reader.next(line);) file << line << '\n';
  return out;
}

TEST(TokenizerReference, PublicTextGivesTheSamePieces) {
  if (!have_python()) GTEST_SKIP() << "no python3 with Unicode 14.0";
  if (vocabulary_file().empty()) GTEST_SKIP() << "CAPSTAN_DATA has no bert-vocab";
  const Scratch scratch;
  for (const std::string name :
       {"wikitext-2/train.txt.gz", "wikitext-2/valid.txt", "wikitext-2/test.txt", "multi30k-en-de/train.en.gz",
        "multi30k-en-de/train.de.gz", "multi30k-en-de/val.en.gz", "multi30k-en-de/val.de.gz", "multi30k-en-de/test_2016_flickr.de.gz",
        "multi30k-en-de/test_2016_flickr.en.gz", "multi30k-en-de/test_2017_flickr.de.gz", "multi30k-en-de/test_2017_flickr.en.gz"}) {
    const auto path = data_file(name);
    if (path.empty()) continue;
    const auto text = unpacked(path, scratch);
    for (const Mode& mode : kModes)
      if (mode.variant == TokenizerVariant::google) compare(text, vocabulary_file(), mode);
  }
}

TEST(TokenizerReference, RandomCharactersGiveTheSamePieces) {
  if (!have_python()) GTEST_SKIP() << "no python3 with Unicode 14.0";
  const Scratch scratch;
  // The vocabulary has most characters alone, in both places, so that pieces show the words.
  std::ofstream vocab(scratch / "vocab.txt", std::ios::binary);
  vocab << "[UNK]\n";
  for (char32_t c = 0x21; c < 0x32000; ++c) {
    if ((c >= 0xD800 && c < 0xE000) || c % 17 == 3 || unicode::is_python_space(c)) continue;
    const std::string one = unicode::to_utf8(std::u32string(1, c));
    vocab << one << "\n##" << one << '\n';
  }
  vocab.close();
  std::ofstream text(scratch / "text.txt", std::ios::binary);
  PythonRandom random(99);
  for (int line = 0; line < 6000; ++line) {
    std::string out;
    for (int i = 0; i < 60; ++i) {
      const auto kind = random.below(10);
      if (kind == 0) {
        out += ' ';
      } else if (kind == 1) {
        out += static_cast<char>(random.below(256));  // mostly not UTF-8
      } else {
        const std::uint64_t limit = kind < 4 ? 0x80 : kind < 6 ? 0x600 : kind < 8 ? 0x3100 : 0x110000;
        const auto c = static_cast<char32_t>(random.below(limit));
        if (c < 0xD800 || c >= 0xE000) unicode::append_utf8(out, c);
      }
    }
    std::erase(out, '\n');
    text << out << '\n';
  }
  text.close();
  for (const Mode& mode : kModes) compare(scratch / "text.txt", scratch / "vocab.txt", mode);
}

}  // namespace
}  // namespace capstan::data
