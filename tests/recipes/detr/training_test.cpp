// DETR through the command line: every configuration, interruption and resume to the bit, learning, prediction with pictures, a backbone of
// our own, another set of classes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/image/image.h"
#include "recipes/detr/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::detr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct DetrProgram : engine::test::RecipeProgram {
  DetrProgram() : RecipeProgram(detr::recipe()) {}

  /// The quickstart, small, with images of unlike sizes: 5 steps an epoch, everything random switched on.
  static Arguments small() {
    return {"run.threads=1",
            "shapes.train=20",
            "shapes.validation=6",
            "shapes.test=6",
            "shapes.size=24",
            "augment.sides=16, 20, 24",
            "augment.crop=0.5",
            "augment.crop_sides=24",
            "augment.crop_least=12",
            "augment.crop_most=20",
            "evaluate.side=24",
            "model.backbone.widths=8, 8, 8, 8",
            "model.backbone.stem_width=8",
            "model.width=8",
            "model.heads=2",
            "model.inner=16",
            "model.queries=5",
            "model.encoder_layers=1",
            "model.decoder_layers=2",
            "model.dropout=0.1",
            "train.batch_size=4",
            "train.epochs=4",
            "train.log_every=1"};
  }
};

TEST_F(DetrProgram, EveryConfigurationDryRuns) {
  const Arguments settings{"data.source=shapes",
                           "shapes.train=8",
                           "shapes.validation=2",
                           "shapes.test=2",
                           "model.backbone.block=basic",
                           "model.backbone.blocks=1, 1",
                           "model.backbone.widths=8, 8",
                           "model.backbone.stem_width=8",
                           "model.width=8",
                           "model.heads=2",
                           "model.inner=8",
                           "model.encoder_layers=1",
                           "model.decoder_layers=1",
                           "model.queries=5",
                           "optimizer.freeze=",
                           "model.classes=0",
                           "augment.sides=96",  // sizes of real images take their time
                           "augment.crop=0",
                           "evaluate.side=96"};
  check_every_configuration(5, settings,
                            [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("class_head/weight  f32[4, 8]")) << name; });
}

TEST_F(DetrProgram, KeepsWhatTheEnginePromises) {
  prove({.settings = joined(small(), {"train.ema_decay=0.9", "loader.workers=2"}),
         .steps = 12,
         .stops = {5, 7},
         .changed = {},  // every layer of the decoder reads memory and positions twice
         .input = "3\n1\n",
         .use = {"predict.input=indices", "predict.threshold=0"}});
}

TEST_F(DetrProgram, StartsFromABackboneOfOursAndFromOtherClasses) {
  ASSERT_EQ(train_quickstart("run", joined(small(), {"train.max_steps=2"})), engine::kOk) << err.str();
  // Another number of classes, known by their names: rows of those that both have are taken.
  ASSERT_EQ(train_quickstart("more", joined(small(), {"train.max_steps=1", "shapes.classes=5", "init.from=" + checkpoint("run")})),
            engine::kOk)
      << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "more/log.txt"),
              HasSubstr("class_head/weight by the names of its classes: 4 known, 2 at random"));
}

TEST_F(DetrProgram, StartsFromModelsOfOthersAndGivesThemBack) {
  const std::string hf = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/detr_hf";
  const std::string plain = scratch.write(
      "plain.cfg",
      "recipe = detr\n[data]\nsource = shapes\n[shapes]\ntrain = 4\nvalidation = 2\ntest = 2\nsize = 48\n[augment]\nsides = 48\n");
  ASSERT_EQ(capstan({"train", plain, "run.dir=" + scratch / "run", "run.threads=1", "init.from=" + hf, "train.batch_size=2",
                     "train.max_steps=1", "evaluate.side=48", "evaluate.baselines=no"}),
            engine::kOk)
      << err.str();
  EXPECT_THAT(err.str(),
              AllOf(HasSubstr("as the model has it: "), HasSubstr("model.width = 16; "), HasSubstr("model.backbone.blocks = 1, 1, 1, 2")));
  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "hf", "--as", "hf"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "original.safetensors", "--as", "original"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"export", scratch / "hf", scratch / "again", "--as", "hf"}), engine::kOk) << err.str();
  for (const std::string name : {"model.safetensors", "config.json", "preprocessor_config.json"})
    EXPECT_TRUE(engine::test::text_of(scratch / "again/" + name) == engine::test::text_of(scratch / "hf/" + name)) << name;
  // What somebody's directory holds is enough to answer with.
  const std::string picture = scratch / "a.png";
  data::write_png(picture, data::Image(30, 40, 3));
  ASSERT_EQ(
      capstan({"predict", "--checkpoint", hf, "--input", "-", "--output", "-", "predict.format=jsonl", "evaluate.side=48"}, picture + "\n"),
      engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("\"objects\":["));
  // And a classifier of theirs is a backbone, of which a run of ours knows the shape when it starts from that run again.
  const std::string resnet = CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/resnet_hf";
  ASSERT_EQ(
      capstan({"train", plain, "run.dir=" + scratch / "own", "run.threads=1", "init.from=" + resnet, "model.width=8", "model.heads=2",
               "model.inner=8", "model.queries=5", "train.batch_size=2", "train.max_steps=1", "evaluate.side=48", "evaluate.baselines=no"}),
      engine::kOk)
      << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "own/log.txt"), HasSubstr("at random: "));
  ASSERT_EQ(capstan({"train", plain, "--check", "init.from=" + checkpoint("own")}), engine::kOk) << err.str();
  EXPECT_THAT(err.str() + out.str(), HasSubstr("model.backbone.blocks = "));
}

TEST_F(DetrProgram, WritesResultsThatScoreAlike) {
  ASSERT_EQ(train_quickstart("run", joined(small(), {"train.max_steps=2"})), engine::kOk) << err.str();
  ASSERT_EQ(capstan(joined({"evaluate", config, "--checkpoint", checkpoint("run"), "evaluate.results=" + scratch / "results.json",
                            "evaluate.curves=" + scratch / "curves.svg"},
                           small())),
            engine::kOk)
      << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "results.json"), AllOf(HasSubstr("\"image_id\":"), HasSubstr("\"score\":")));
  EXPECT_THAT(engine::test::text_of(scratch / "curves.svg"),
              AllOf(HasSubstr(">precision</text>"), HasSubstr(">AP50 "), HasSubstr(">disc ")));
  for (const char* name : {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar@1", "ar@10", "ar@100", "ar_small", "ar_medium",
                           "ar_large", "loss", "typical_boxes/ap50"})
    EXPECT_NO_THROW(metric(name)) << name;
  ASSERT_EQ(capstan(joined({"predict", config, "--checkpoint", checkpoint("run"), "--input", "-", "--output", "-", "predict.input=indices",
                            "predict.threshold=0", "predict.pictures=" + scratch / "pictures"},
                           small()),
                    "5\n77\n"),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), HasSubstr("expected the number of a test image, 0 .. 5, found '77'"));
  EXPECT_THAT(engine::test::text_of(scratch / "pictures/0001-5-boxes.svg"), HasSubstr("<svg"));
  EXPECT_THAT(engine::test::text_of(scratch / "pictures/0001-5-attention.svg"), HasSubstr("where it looked"));
  ASSERT_EQ(train_quickstart("narrow", joined(small(), {"train.max_steps=1", "train.precision=bf16"})), engine::kOk) << err.str();
  ASSERT_EQ(capstan(joined({"predict", config, "--checkpoint", checkpoint("narrow"), "--input", "-", "--output", "-",
                            "predict.input=indices", "predict.threshold=0", "predict.pictures=" + scratch / "narrow_pictures"},
                           small()),
                    "2\n"),
            engine::kOk)
      << err.str();
}

}  // namespace
}  // namespace capstan::detr
