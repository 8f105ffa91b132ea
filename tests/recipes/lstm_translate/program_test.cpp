// The recurrent translator from the command line. What the task does for any network is tested with recipes/translate.
#include "recipes/lstm_translate/recipe.h"

#include "tests/recipes/recipe_program.h"

namespace capstan::lstm_translate {
namespace {

using ::testing::HasSubstr;

struct LstmTranslateProgram : engine::test::RecipeProgram {
  LstmTranslateProgram() : RecipeProgram(lstm_translate::recipe()) {}
  const Arguments small{"data.generated=100",       "model.embedding=8",       "model.hidden_size=8", "model.embedding_dropout=0.1",
                        "model.output_dropout=0.1", "run.threads=1",           "train.batch_size=60", "train.epochs=2",
                        "evaluate.examples=1",      "generation.max_length=12"};
};

TEST_F(LstmTranslateProgram, EveryConfigurationDryRuns) {
  check_every_configuration(2,
                            {"data.origin=copy", "data.generated=100", "data.vocab_size=40", "model.embedding=8", "model.hidden_size=8"});
}

TEST_F(LstmTranslateProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(small, {"model.scheduled_sampling=0.5"}), .steps = 8, .stops = {3}, .input = "a b c\nd e\n"});
}

TEST_F(LstmTranslateProgram, ALineDependsOnNoOther) {
  ASSERT_EQ(train_quickstart("run", joined(small, {"train.max_steps=3"})), engine::kOk) << err.str();
  const auto translated = [&](const Arguments& more) {
    EXPECT_EQ(capstan(joined({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "run.threads=1"}, more),
                      "a b c\nd e\nf g h i j k\na\nc c c c\n"),
              engine::kOk)
        << err.str();
    return out.str();
  };
  const std::string together = translated({"generation.beams=3"});
  EXPECT_EQ(translated({"generation.beams=3", "predict.batch_size=1"}), together);
  EXPECT_EQ(translated({"generation.beams=3", "generation.lines=2"}), together);
  EXPECT_EQ(capstan({"predict", "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "generation.weights=int8"}, "a\n"),
            engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("lstm_translate: generation.weights and generation.cache must be f32"));
}

}  // namespace
}  // namespace capstan::lstm_translate
