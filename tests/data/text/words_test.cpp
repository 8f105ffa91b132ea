// Vocabularies of whole words, and vectors of words from files of others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/text/tokenizer.h"
#include "data/text/word_counter.h"
#include "data/text/word_shape.h"
#include "data/text/word_vectors.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> tokens_of(const Vocabulary& v) {
  std::vector<std::string> out;
  for (std::int32_t i = 0; i < v.size(); ++i) out.push_back(v.token(i));
  return out;
}

TEST(WordCounter, RanksWordsByCountThenByTheirBytes) {
  WordCounter words({.min_count = 2});
  words.add("The cat, the dog");
  words.add("CAT and dog, the " + std::string(201, 'x') + " " + std::string(201, 'x'));
  EXPECT_EQ(words.distinct_words(), 5);
  EXPECT_THAT(tokens_of(words.vocabulary()), ElementsAre("[PAD]", "[UNK]", "[SEP]", "the", ",", "cat", "dog"));
}

TEST(WordCounter, KeepsToItsSizeAndSaysWhatIsMissing) {
  WordCounter words({.vocab_size = 4, .min_count = 1});
  EXPECT_THAT(message_of<DataError>([&] { words.vocabulary(); }), HasSubstr("none of 0 words comes 1 times"));
  words.add("b a a");
  EXPECT_THAT(tokens_of(words.vocabulary()), ElementsAre("[PAD]", "[UNK]", "[SEP]", "a"));
}

// What a tokenizer makes of it: a word is known whole, or unknown; beginnings of words are not.
TEST(WordCounter, AVocabularyOfWordsIsReadByTheTokenizer) {
  WordCounter words;
  words.add("un able caf\u00e9");
  const Vocabulary v = words.vocabulary();
  EXPECT_THAT(Tokenizer(v).pieces("Unable un-able CAFE"), ElementsAre("[UNK]", "un", "[UNK]", "able", "cafe"));
}

// Rare and unknown words by what can be seen of them: their lower-case form if that is known, or else their shape.
TEST(WordCounter, ShapesStandForWordsThatAreNotKnown) {
  for (const auto& [word, shape] : std::vector<std::pair<std::string, std::string>>{{"Goethe", "[UNK:C]"},
                                                                                    {"NATO", "[UNK:A]"},
                                                                                    {"I", "[UNK:C]"},
                                                                                    {"1967", "[UNK:0]"},
                                                                                    {"B52", "[UNK:C0]"},
                                                                                    {"running", "[UNK:-ing]"},
                                                                                    {"ring", "[UNK:]"},
                                                                                    {"\u00c4rzteFIGHTING", "[UNK:C-ing]"},
                                                                                    {"", "[UNK:]"}})
    EXPECT_EQ(shape_token(word), shape) << word;
  WordCounter words({.min_count = 2, .shapes = true, .tokenizer = {.lower_case = false}});
  words.add("the the Bach Haydn film film walking");
  const Vocabulary v = words.vocabulary();
  EXPECT_THAT(tokens_of(v), ElementsAre("[PAD]", "[UNK]", "[SEP]", "[UNK:C]", "[UNK:]", "film", "the"));
  EXPECT_THAT(Tokenizer(v, {.lower_case = false}).pieces("THE Mozart walking film"), ElementsAre("the", "[UNK:C]", "[UNK:]", "film"));
}

struct WordVectorsTest : testing::Test {
  Scratch scratch;
  const Vocabulary vocabulary{{"[PAD]", "[UNK]", "cat", ". .", "dog", "rare"}};
  std::string message(const std::string& content, std::int64_t width = 2) {
    const std::string path = scratch.write("v.txt", content);
    return message_of<DataError>([&] { load_word_vectors(path, vocabulary, width); });
  }
};

TEST_F(WordVectorsTest, ReadsBothForms) {
  for (const std::string head : {"", "6 2\n"}) {
    const WordVectors v = load_word_vectors(
        scratch.write("v.txt.gz", head + "bird 9 9\ndog -1e-1 2.5 \n. . 3\t4\r\ncat 5 6\nCat 7 7\ncat 8 8\n"), vocabulary, 2);
    EXPECT_EQ(v.width, 2);
    EXPECT_EQ(v.lines, 6);
    EXPECT_THAT(v.tokens, ElementsAre(4, 3, 2));
    EXPECT_THAT(v.values, ElementsAre(-.1f, 2.5f, 3.f, 4.f, 5.f, 6.f));
  }
}

TEST_F(WordVectorsTest, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(message("dog 1 2\ncat 1\n"), HasSubstr("v.txt:2: found a vector of 1 numbers, expected 2"));
  EXPECT_THAT(message("dog 1 2 3\n"), HasSubstr("v.txt:1: found a vector of 3 numbers, expected 2"));
  EXPECT_THAT(message("dog 1 2\ncat 1 2 3\n"), HasSubstr("v.txt:2: found a vector of 3 numbers, expected 2"));
  EXPECT_THAT(message("400000 300\ndog 1 2\n"), HasSubstr("v.txt:1: found a vector of 300 numbers, expected 2"));
  EXPECT_THAT(message("dog 1 2\ncat 1 x2\n"), HasSubstr("v.txt:2: expected a number in the vector of 'cat', found 'x2'"));
  EXPECT_THAT(message("cat 1 nan\n"), HasSubstr("found 'nan'"));
  EXPECT_EQ(message("bird 1 x2\n"), "nothing was thrown");  // nobody asked for it
  EXPECT_THAT(message("3 2\n"), HasSubstr("found no word vectors"));
}

}  // namespace
}  // namespace capstan::data
