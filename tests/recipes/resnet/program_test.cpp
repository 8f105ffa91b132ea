// ResNet through the command line: every configuration, interruption and resume to the bit with running statistics, learning.

#include <algorithm>

#include "recipes/resnet/recipe.h"
#include "tests/recipes/engine/distributed/together.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::resnet {
namespace {

using ::testing::HasSubstr;

/// The quickstart, small: 5 steps an epoch.
std::vector<std::string> small() {
  return {"run.threads=1",       "shapes.train=80",   "shapes.validation=24",  "shapes.test=24",     "shapes.size=16",
          "model.image_size=16", "model.blocks=1, 1", "model.widths=8, 16",    "model.stem_width=8", "train.batch_size=16",
          "train.epochs=4",      "train.log_every=1", "augment.rand_layers=1", "augment.padding=1"};
}

struct ResNetProgram : engine::test::RecipeProgram {
  ResNetProgram() : RecipeProgram(resnet::recipe()) {}
};

TEST_F(ResNetProgram, EveryConfigurationDryRuns) {
  // Data of its own kind is not at hand, and full sizes take their time: generated shapes, narrow stages.
  const Arguments settings{"data.source=shapes", "shapes.train=8",     "shapes.validation=6", "shapes.test=6",
                           "data.held_out=0",    "model.blocks=1, 1",  "model.classes=0",     "model.widths=8, 16",
                           "model.stem_width=8", "train.batch_size=4", "model.image_size=32", "train.micro_batch_size=2"};
  check_every_configuration(5, settings,
                            [&](const std::string& name) { EXPECT_THAT(out.str(), HasSubstr("head/weight  f32[6, 16]")) << name; });
}

TEST_F(ResNetProgram, KeepsWhatTheEnginePromises) {
  prove(
      {.settings = joined(small(), {"loader.workers=2"}), .steps = 12, .stops = {5, 7}, .input = "3\n", .use = {"predict.input=indices"}});
}

TEST_F(ResNetProgram, KeepsWhatTheEnginePromisesFrozen) {
  prove({.settings = joined(small(), {"model.norm=frozen", "model.block=bottleneck", "model.dilate_last=yes", "loader.workers=0"}),
         .steps = 6,
         .stops = {3}});
}

TEST_F(ResNetProgram, LearnsShapes) {
  const Arguments options{"shapes.train=360",   "shapes.classes=3",      "shapes.noise=4",
                          "shapes.test=90",     "augment.rand_layers=0", "optimizer.learning_rate=.05",
                          "train.log_every=20", "train.epochs=6"};
  ASSERT_EQ(train_quickstart("run", joined(small(), options)), engine::kOk) << err.str();
  ASSERT_EQ(capstan(joined(joined({"evaluate", config, "--checkpoint", scratch / "run/checkpoints/best.h5"}, small()), options)),
            engine::kOk)
      << err.str();
  EXPECT_GE(metric("accuracy"), .7) << "chance is .333";
}

struct ResNetTogether : engine::test::TogetherTest {
  std::vector<engine::RecipeEntry> recipes() const override { return {resnet::recipe()}; }

  std::map<std::string, std::vector<double>> after_five_steps(int ranks, const std::string& reduce) {
    const std::string at = scratch / ("of" + std::to_string(ranks));
    std::vector<std::string> arguments = small();
    arguments.insert(arguments.begin(), {"train", CAPSTAN_SOURCE_DIR "/recipes/resnet/quickstart.cfg"});
    arguments.insert(arguments.end(), {"run.dir=" + at, "train.max_steps=5", "train.micro_batch_size=8", "train.reduce=" + reduce,
                                       "train.parts=2", "evaluate.baselines=no"});
    EXPECT_EQ(together(ranks, arguments), engine::kOk) << err.str();
    return tensors(at + "/checkpoints/step-000000005.h5");
  }
};

TEST_F(ResNetTogether, RunningStatisticsMoveInTheOrderOfTheParts) {
  const auto alone = after_five_steps(1, "ordered");
  const auto moved = std::ranges::find_if(alone, [](const auto& t) { return t.first.ends_with("running_mean") && t.second[0] != 0; });
  EXPECT_NE(moved, alone.end());
  for (const int ranks : {2, 3}) EXPECT_EQ(after_five_steps(ranks, "ordered"), alone) << ranks << " ranks, of which two have parts";
}

}  // namespace
}  // namespace capstan::resnet
