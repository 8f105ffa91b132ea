// The recipe that recipes/README.md shows: it is what the README says, it learns, and what the engine promises holds for it.

#include "recipes/text_average/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::text_average {
namespace {

using ::testing::HasSubstr;

struct TextAverageProgram : engine::test::RecipeProgram {
  TextAverageProgram() : RecipeProgram(text_average::recipe(), CAPSTAN_SOURCE_DIR "/tests/recipes/text_average/trec.cfg") {
    // Questions whose class only a pair of words gives away: "who is" and "is who" have the same words.
    const std::vector<std::string> fillers{"the king", "that man", "a bird", "my friend", "this one", "some queen", "our dog"};
    std::string lines;
    for (int i = 0; i < 280; ++i)
      lines += (i % 2 == 0 ? "name who is " : "echo is who ") + fillers[static_cast<std::size_t>(i) % 7] + " of " +
               fillers[static_cast<std::size_t>(i / 7) % 7] + "\n";
    settings = {"data.train=" + scratch.write("train.txt", lines), "data.test=" + scratch.write("test.txt", lines), "run.threads=1",
                "train.log_every=1"};
  }
  Arguments settings;
};

TEST_F(TextAverageProgram, StandsInTheReadme) {
  const std::string own = CAPSTAN_SOURCE_DIR "/tests/recipes/text_average/",
                    readme = engine::test::text_of(CAPSTAN_SOURCE_DIR "/recipes/README.md");
  std::ptrdiff_t lines = 0;
  for (const char* name : {"recipe.h", "recipe.cpp", "trec.cfg"}) {
    const std::string text = engine::test::text_of(own + name);
    EXPECT_THAT(readme, HasSubstr("\n" + text + "```\n")) << name;
    lines += std::ranges::count(text, '\n');
  }
  EXPECT_LE(lines, 150);
}

TEST_F(TextAverageProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(settings, {"train.epochs=3"}),
         .steps = 20,
         .stops = {7, 8},
         .input = "who is the king of a bird\nis who my friend of our dog\n"});
}

TEST_F(TextAverageProgram, TellsClassesApartByPairsOfWords) {
  ASSERT_EQ(train_quickstart("run", joined(settings, {"train.epochs=10"})), engine::kOk) << err.str();
  ASSERT_EQ(capstan(joined({"evaluate", config, "--checkpoint", checkpoint("run")}, settings)), engine::kOk) << err.str();
  EXPECT_EQ(metric("accuracy"), 1);
  ASSERT_EQ(capstan(joined({"predict", config, "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-"}, settings),
                    "who is nobody\nis who\n"),
            engine::kOk)
      << err.str();
  EXPECT_EQ(out.str(), "name\necho\n");
  EXPECT_EQ(
      capstan(joined({"predict", config, "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-"}, settings), "is who\n \n"),
      engine::kOk);
  EXPECT_EQ(out.str(), "echo\n \t-\tline 2: is empty\n");
}

TEST_F(TextAverageProgram, GoesOnWithItsOwnDataAlone) {
  ASSERT_EQ(train_quickstart("run", joined(settings, {"train.max_steps=3"})), engine::kOk) << err.str();
  const std::string fewer = scratch.write("fewer.txt", "name who is the king\necho who is my friend\nname a bird\n");
  EXPECT_EQ(train_quickstart("run", joined(settings, {"data.train=" + fewer, "train.max_steps=6", "--resume", "auto"})),
            engine::kBadCheckpoint)
      << err.str();
  EXPECT_THAT(err.str(), HasSubstr("was trained on other data"));
}

TEST_F(TextAverageProgram, ErrorsNameTheKeyThatLedToTheFile) {
  EXPECT_EQ(train_quickstart("bad", {"data.train=/nowhere/x.txt"}), engine::kIo);
  EXPECT_THAT(err.str(), HasSubstr("data.train: /nowhere/x.txt"));
  EXPECT_EQ(train_quickstart("bad", {"data.train="}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("data.train: no path is given"));
  EXPECT_EQ(train_quickstart("bad", joined(settings, {"data.test=" + scratch.write("bad.txt", "name x\nnew x\n")})), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("bad.txt:2: the label 'new' is none of the 2 known ones"));
}

}  // namespace
}  // namespace capstan::text_average
