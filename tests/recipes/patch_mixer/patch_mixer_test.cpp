// The recipe of recipes/guide/tutorial.md: it is what the page says, it learns, and what the engine promises holds for it.

#include "recipes/patch_mixer/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::patch_mixer {
namespace {

using ::testing::HasSubstr;

struct PatchMixerProgram : engine::test::RecipeProgram {
  PatchMixerProgram() : RecipeProgram(patch_mixer::recipe(), CAPSTAN_SOURCE_DIR "/tests/recipes/patch_mixer/shapes.cfg") {}
  const Arguments small{"shapes.train=240", "shapes.validation=60", "shapes.test=60",     "shapes.classes=2",
                        "model.width=16",   "model.layers=1",       "model.patch_size=8", "run.threads=1"};
};

TEST_F(PatchMixerProgram, StandsInTheTutorial) {
  const std::string own = CAPSTAN_SOURCE_DIR "/tests/recipes/patch_mixer/",
                    page = engine::test::text_of(CAPSTAN_SOURCE_DIR "/recipes/guide/tutorial.md");
  for (const char* name : {"recipe.h", "recipe.cpp", "shapes.cfg"})
    EXPECT_THAT(page, HasSubstr("\n" + engine::test::text_of(own + name) + "```\n")) << name;
  std::istringstream code(engine::test::text_of(own + "recipe.cpp"));
  int lines = 0;
  for (std::string line; std::getline(code, line);) lines += line.empty() || line.starts_with("#include") ? 0 : 1;
  EXPECT_LE(lines, 60);
}

TEST_F(PatchMixerProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(small, {"train.batch_size=24", "train.epochs=1"}), .steps = 6, .stops = {2, 5}});
}

TEST_F(PatchMixerProgram, LearnsToTellShapesApart) {
  ASSERT_EQ(train_quickstart("run", joined(small, {"train.batch_size=16", "train.epochs=12", "optimizer.learning_rate=0.01"})), engine::kOk)
      << err.str();
  ASSERT_EQ(capstan({"evaluate", "--checkpoint", checkpoint("run")}), engine::kOk) << err.str();
  EXPECT_GE(metric("accuracy"), 0.8);  // chance: .5
}

TEST_F(PatchMixerProgram, ComputesInBf16AndRefusesWhatDoesNotFit) {
  EXPECT_EQ(capstan(joined({"train", config, "--check", "train.precision=bf16"}, small)), engine::kOk) << err.str();
  for (const char* bad : {"model.patch_size=5", "data.image_size=48"}) {
    EXPECT_EQ(capstan(joined({"train", config, "--check"}, joined(small, {bad}))), engine::kUsage) << bad;
    EXPECT_THAT(err.str(), HasSubstr("they must have model.image_size = 32 pixels")) << bad;
  }
}

}  // namespace
}  // namespace capstan::patch_mixer
