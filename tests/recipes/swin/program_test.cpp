// Swin through the command line: every configuration, interruption and resume to the bit, learning, prediction with pictures, models of
// other programs in and out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/image/image.h"
#include "recipes/swin/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::swin {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct SwinProgram : engine::test::RecipeProgram {
  SwinProgram() : RecipeProgram(swin::recipe()) {}

  /// The quickstart, small: 5 steps an epoch, everything random switched on; 5 x 5 and 3 x 3 tokens in padded windows of 3.
  static Arguments small() {
    return {"run.threads=1",
            "shapes.train=40",
            "shapes.validation=24",
            "shapes.test=24",
            "shapes.size=16",
            "model.image_size=10",
            "model.patch_size=2",
            "model.hidden_size=8",
            "model.window_size=3",
            "model.dropout=0.1",
            "model.attention_dropout=0.1",
            "model.stochastic_depth=0.2",
            "model.absolute_positions=yes",
            "train.batch_size=8",
            "train.epochs=4",
            "train.log_every=1",
            "augment.rand_layers=1",
            "augment.erase=0.3",
            "augment.mixup=0.4",
            "augment.mix_probability=0.5"};
  }
};

TEST_F(SwinProgram, EveryConfigurationDryRuns) {
  // Data of its own kind is not at hand, and full sizes take their time: generated shapes, narrow blocks.
  const Arguments settings{"data.source=shapes", "shapes.train=40",      "shapes.validation=6",  "shapes.test=6",
                           "data.held_out=0",    "model.hidden_size=24", "model.depths=1, 1, 2", "model.heads=1, 2, 4",
                           "model.mlp_ratio=2",  "model.classes=0",      "train.batch_size=2",   "train.micro_batch_size=2",
                           "model.image_size=64"};
  check_every_configuration(8, settings,
                            [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("head/weight  f32[6, 96]")) << name; });
}

TEST_F(SwinProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(small(), {"train.ema_decay=0.9", "loader.workers=2"}),
         .steps = 12,
         .stops = {5, 7},
         .input = "3\n1\n",
         .use = {"predict.input=indices"}});
}

TEST_F(SwinProgram, LearnsShapesAndIsUsed) {
  const Arguments options{"run.threads=1",  "shapes.train=600",  "shapes.classes=3",    "shapes.noise=4",
                          "shapes.test=90", "shapes.size=16",    "model.image_size=16", "model.patch_size=2",
                          "train.epochs=6", "augment.padding=1", "train.batch_size=16", "model.hidden_size=16"};
  ASSERT_EQ(train_quickstart("run", options), engine::kOk) << err.str();
  const std::string best = scratch / "run/checkpoints/best.h5";
  ASSERT_EQ(capstan(joined({"evaluate", config, "--checkpoint", best}, options)), engine::kOk) << err.str();
  EXPECT_GE(metric("accuracy"), 0.6) << "chance is .333";
  ASSERT_EQ(capstan(joined({"predict", config, "--checkpoint", best, "--input", "-", "--output", "-", "predict.input=indices",
                            "predict.pictures=" + scratch / "pictures", "predict.picture_size=64"},
                           options),
                    "5\n"),
            engine::kOk)
      << err.str();
  const data::Image heads = data::read_image(scratch / "pictures/0001-5-heads.png");
  EXPECT_EQ(heads.height, 2 * 32 + 4) << "two blocks of the last stage";
  EXPECT_EQ(heads.width, 4 * 32 + 3 * 4) << "four heads";
  EXPECT_EQ(data::read_image(scratch / "pictures/0001-5-rollout.png").height, 64);
}

TEST_F(SwinProgram, StartsFromModelsOfOthersAndGivesThemBack) {
  const std::string hf = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/swin_hf";
  const std::string plain =
      scratch.write("plain.cfg", "recipe = swin\n[data]\nsource = shapes\n[shapes]\ntrain = 12\nvalidation = 6\ntest = 6\nsize = 24\n");
  ASSERT_EQ(capstan({"train", plain, "run.dir=" + scratch / "run", "run.threads=1", "init.from=" + hf, "train.batch_size=6",
                     "train.max_steps=1", "evaluate.baselines=no"}),
            engine::kOk)
      << err.str();
  EXPECT_THAT(err.str(),
              AllOf(HasSubstr("as the model has it: "), HasSubstr("model.depths = 2, 1; "), HasSubstr("data.mean = 0.5, 0.4, 0.3")));
  for (const std::string form : {"hf", "original"}) {
    const std::string to = scratch / (form == "hf" ? "hf" : "original.safetensors");
    ASSERT_EQ(capstan({"export", checkpoint("run"), to, "--as", form}), engine::kOk) << err.str();
  }
  ASSERT_EQ(capstan({"export", scratch / "hf", scratch / "again", "--as", "hf"}), engine::kOk) << err.str();
  for (const std::string name : {"model.safetensors", "config.json", "preprocessor_config.json"})
    EXPECT_TRUE(engine::test::text_of(scratch / "again/" + name) == engine::test::text_of(scratch / "hf/" + name)) << name;
  ASSERT_EQ(capstan({"inspect", scratch / "hf"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("SwinForImageClassification"), HasSubstr("\"depths\": [2, 1]"), HasSubstr("\"square\": 1")));
  // A window of another size is the user's to choose.
  EXPECT_EQ(capstan({"train", plain, "--check", "init.from=" + hf, "model.window_size=4"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("is interpolated from [25, 2]"));
  const std::string timm = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/swin_timm";
  ASSERT_EQ(capstan({"export", timm, scratch / "timm", "--as", "timm"}), engine::kOk) << err.str();
  EXPECT_TRUE(engine::test::text_of(scratch / "timm/model.safetensors").size() > 1000);
}

}  // namespace
}  // namespace capstan::swin
