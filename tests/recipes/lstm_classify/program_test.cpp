// The LSTM classifier through the command line: a vocabulary of the training texts, resume to the bit, a trained model that is used, word
// vectors of others, and what is refused.
#include "recipes/lstm_classify/recipe.h"

#include <cmath>
#include <filesystem>
#include <string>

#include "tests/recipes/recipe_program.h"

namespace capstan::lstm_classify {
namespace {

using engine::test::text_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
namespace fs = std::filesystem;

struct LstmClassifyProgram : engine::test::RecipeProgram {
  LstmClassifyProgram() : RecipeProgram(lstm_classify::recipe(), CAPSTAN_SOURCE_DIR "/recipes/lstm_classify/own.cfg") {}
  Arguments small(const Arguments& more = {}) {
    return joined({"run.data=" + scratch.path(), "run.threads=1", "data.max_length=16", "model.embedding=8", "model.hidden_size=6",
                   "model.layers=1", "train.batch_size=8", "train.log_every=1"},
                  more);
  }
  /// Texts with one of two words that tell the label, of different lengths.
  void write_texts(bool pairs = false) {
    std::string all = pairs ? "a,b,label\n" : "text,label\n";
    for (int i = 0; i < 48; ++i) {
      std::string text = i % 2 == 0 ? "the film was" : "the book is long and";
      text += i % 3 != 0 ? " good" : " bad";
      if (i % 5 == 0) text += " and short";
      all += text + (pairs ? ",the film," : ",") + (i % 3 != 0 ? "yes" : "no") + "\n";
    }
    scratch.write("train.csv", all);
  }
  int learn(const Arguments& more, const std::string& run = "run") {
    return train_quickstart(run, small(joined({"train.epochs=15", "optimizer.learning_rate=2e-2", "data.held_out=8"}, more)));
  }
};

TEST_F(LstmClassifyProgram, EveryConfigurationReadsItsPublishedForm) {
  scratch.write("TREC.train.all", "0 What is caf\xe9 ?\n1 the film\n");
  scratch.write("TREC.test.all", "1 the book\n");
  scratch.write("train.tsv", "sentence\tlabel\n\"good \t1\nbad \t0\n");
  scratch.write("dev.tsv", "sentence\tlabel\ngood \t1\n");
  scratch.write("train.csv", "text,label\n\"so, good\",yes\nbad,no\nbad,no\n");
  check_every_configuration(3, small({"data.min_count=1"}), [&](const std::string& name) {
    EXPECT_THAT(out.str(), HasSubstr("tokens: the words that come 1 time or more in the training texts"));
    const std::string said = name == "trec"   ? "train.all: 2 texts; 0 1, 1 1"
                             : name == "sst2" ? "train.tsv: 2 texts; 0 1, 1 1"
                                              : "train.csv";
    EXPECT_THAT(out.str(), HasSubstr(said)) << name;
  });
}

TEST_F(LstmClassifyProgram, KeepsThePromisesOfTheEngine) {
  write_texts();
  prove({.settings = small({"model.word_dropout=0.2", "model.layers=2", "data.min_count=2"}),
         .steps = 14,
         .stops = {3, 5},
         .input = "good\nunheard of\n"});
}

TEST_F(LstmClassifyProgram, LearnsLabelsAndIsUsed) {
  write_texts();
  for (const std::string attention : {"additive", "zhou", "dot"}) {
    ASSERT_EQ(learn({"model.attention=" + attention, "model.merge=sum"}, attention), engine::kOk) << err.str();
    const std::string best = scratch / attention + "/checkpoints/best.h5";
    fs::rename(scratch / "train.csv", scratch / "elsewhere.csv");  // predict needs the checkpoint alone
    ASSERT_EQ(capstan({"predict", "--checkpoint", best, "--input", "-", "--output", "-"},
                      "the film was bad\n\nTHE BOOK is good and unheard of\n"),
              engine::kOk)
        << err.str();
    EXPECT_THAT(out.str(), MatchesRegex(R"(\{"label":"no","probabilities":\{"no":0\.[0-9]+,"yes":0\.[0-9]+\}\}
\{"line":2,.*"error":"line 2: there is no text"\}
\{"label":"yes","probabilities":.*\}\}
)")) << attention;
    // A picture of every line that was answered, its words on the axis.
    ASSERT_EQ(capstan({"predict", "--checkpoint", best, "--attention", scratch / "pictures", "predict.format=tsv", "--input", "-",
                       "--output", scratch / "answers"},
                      "the film was bad\n\nTHE BOOK is unheard\n"),
              engine::kOk)
        << err.str();
    EXPECT_THAT(text_of(scratch / "pictures/0001.svg"), AllOf(HasSubstr(">film</text>"), HasSubstr(">bad</text>"), HasSubstr(">no 0.")));
    EXPECT_FALSE(fs::exists(scratch / "pictures/0002.svg"));
    EXPECT_THAT(text_of(scratch / "pictures/0003.svg"), AllOf(HasSubstr(">book</text>"), HasSubstr(">[UNK]</text>")));
    fs::rename(scratch / "elsewhere.csv", scratch / "train.csv");
    ASSERT_EQ(capstan({"evaluate", "--checkpoint", best, "--json"}), engine::kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("\"accuracy\":1,")) << attention;
  }
}

TEST_F(LstmClassifyProgram, ReadsPairs) {
  write_texts(/*pairs=*/true);
  ASSERT_EQ(learn({"data.text_column=a", "data.pair_column=b", "train.epochs=1"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-"}, "bad ||| the film\nbad\n"),
            engine::kOk);
  EXPECT_THAT(out.str(), MatchesRegex("\\{\"label\".*\n\\{\"line\":2,.*expected two texts.*\n"));
}

TEST_F(LstmClassifyProgram, StartsFromWordVectors) {
  write_texts();
  const std::string vectors = scratch.write("vectors.txt", "3 8\ngood 9 1 1 1 1 1 1 1\nfar 0 0 0 0 0 0 0 0\nbad -9 1 1 1 1 1 1 1\n");
  const Arguments frozen{"model.word_vectors=vectors.txt", "optimizer.freeze=embedding"};
  ASSERT_EQ(learn(joined(frozen, {"train.max_steps=2"})), engine::kOk) << err.str();
  EXPECT_THAT(text_of(scratch / "run/log.txt"),
              HasSubstr("vectors.txt: 3 words, of which 2 are among the 13 tokens; the others start at random"));
  const std::vector<double> table = tensors(checkpoint("run")).at("/model/embedding/weight");
  std::size_t taken = 0;
  for (std::size_t i = 0; i < table.size(); i += 8) taken += std::abs(table[i]) == 9 && table[i + 7] == 1;
  EXPECT_EQ(taken, 2U);

  // A run that goes on, and a model that is used, do not need the file any more.
  fs::remove(vectors);
  ASSERT_EQ(learn(joined(frozen, {"train.max_steps=4", "--resume", "auto"})), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run")}), engine::kOk) << err.str();

  scratch.write("vectors.txt", "good 1 2 3\n");
  EXPECT_EQ(learn(frozen, "narrow"), engine::kData);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("model.word_vectors: "), HasSubstr("vectors.txt:1: found a vector of 3 numbers, expected 8")));
  EXPECT_EQ(learn(joined(frozen, {"init.from=" + checkpoint("run")}), "both"), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("a run that starts from init.from has the word vectors of that model"));
}

// A model that is trained further keeps its words: those of the new texts are not learned.
TEST_F(LstmClassifyProgram, StartsFromAnotherRunWithItsVocabulary) {
  write_texts();
  ASSERT_EQ(learn({"train.max_steps=1"}), engine::kOk) << err.str();
  scratch.write("train.csv", "text,label\nan entirely other film,no\nanother book,yes\nnothing,no\nall,yes\n");
  ASSERT_EQ(train_quickstart("next", small({"train.max_steps=1", "data.held_out=1", "init.from=" + checkpoint("run")})), engine::kOk)
      << err.str();
  EXPECT_THAT(text_of(scratch / "run/log.txt"), HasSubstr("in the training texts"));
  EXPECT_THAT(text_of(scratch / "next/log.txt"), Not(HasSubstr("in the training texts")));
  EXPECT_EQ(tensors(checkpoint("next")).at("/model/embedding/weight").size(), 13U * 8);
}

}  // namespace
}  // namespace capstan::lstm_classify
