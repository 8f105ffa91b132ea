// `capstan tokenize`: pieces on standard output, line by line, and its refusals.
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using ::testing::HasSubstr;

struct Tokenize : ProgramTest {
  std::string vocabulary =
      scratch.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##want\n##ed\n,\nrunn\n##ing\n[\n]\nmask\n我\n");
};

TEST_F(Tokenize, AnswersEachLineWithItsPieces) {
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary}, "\xEF\xBB\xBFUNwant\u00e9d,running\r\n\n \t\nx [MASK] \u6211un\xff\n我"), kOk)
      << err.str();
  EXPECT_EQ(out.str(), "un ##want ##ed , runn ##ing\n\n\n[UNK] [ mask ] 我 un\n我\n");
  ASSERT_EQ(capstan({"tokenize", "--cased", "--vocab=" + vocabulary}, "UNwant\u00e9d,running\nunwanted\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), "[UNK] , runn ##ing\nun ##want ##ed\n");
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary}, std::string(1 << 20, 'x') + "\nun\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), "[UNK]\nun\n");
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary}, "un\nun\xE9 un\n"), kOk);
  EXPECT_THAT(err.str(), ::testing::HasSubstr("warning: 1 line is not UTF-8, it is line 2 (byte 0xe9)"));
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--strip-accents", "no"}, "UNwant\u00e9d\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), "[UNK]\n");
  EXPECT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--strip-accents", "maybe"}, "un\n"), kUsage);
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary}, ""), kOk);
  EXPECT_EQ(out.str(), "");
}

// A word of 102 letters is cut by google and too long for the others.
TEST_F(Tokenize, FollowsAVariant) {
  std::string word = "un", pieces = "un";
  for (int i = 0; i < 50; ++i) word += "ed", pieces += " ##ed";
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--variant", "google"}, word + "\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), pieces + "\n");
  ASSERT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--variant", "hf_fast"}, word + "\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), "[UNK]\n");
  EXPECT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--variant", "hf"}, ""), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--variant must be google, hf_slow or hf_fast, got 'hf'"));
}

TEST_F(Tokenize, SaysWhatIsWrong) {
  EXPECT_EQ(capstan({"tokenize"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("needs --vocab FILE"));
  EXPECT_EQ(capstan({"tokenize", "--vocab", scratch / "none.txt"}), kIo);
  EXPECT_THAT(err.str(), HasSubstr("none.txt"));
  EXPECT_EQ(capstan({"tokenize", "--vocab", scratch.write("v.txt", "a\nb\n")}), kData);
  EXPECT_THAT(err.str(), HasSubstr("[UNK]"));
  EXPECT_EQ(capstan({"tokenize", "--vocab", vocabulary, "--case"}), kUsage);
  EXPECT_EQ(capstan({"tokenise", "--vocab", vocabulary}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("did you mean 'tokenize'?"));
  EXPECT_EQ(capstan({"tokenize", "--help"}), kOk);
  EXPECT_THAT(out.str(), HasSubstr("tokenize --vocab FILE"));
  EXPECT_THAT(out.str(), HasSubstr("--variant"));
}

}  // namespace
}  // namespace capstan::engine::test
