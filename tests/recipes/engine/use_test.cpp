// The use of a checkpoint: its configuration is enough, and decides.
#include "recipes/engine/checkpoint/checkpoint.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct UseTest : ProgramTest {
  std::string evaluated(const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"evaluate"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.emplace_back("--json");
    EXPECT_EQ(capstan(all), kOk) << err.str();
    return out.str();
  }
  std::string answer(const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"predict", "--input", "-", "--output", "-"};
    all.insert(all.begin() + 1, arguments.begin(), arguments.end());
    EXPECT_EQ(capstan(all, "1\n2\n"), kOk) << err.str();
    return out.str();
  }
  /// A file of weights alone, with this configuration.
  std::string weights(const std::string& configuration) const {
    nn::ParameterStore store(3);
    store.root().parameter("layer/weight", {4}, [](const Tensor& t, std::uint64_t) {
      for (float& v : t.span<float>()) v = 2;
    });
    const CheckpointMeta meta{.recipe = "linear", .config = configuration, .data_digest = "rows-40", .threads = 1, .precision = "f32"};
    data::write_file_durably(scratch / "weights.h5", checkpoint_image(meta, store, nullptr, {}, {}));
    return scratch / "weights.h5";
  }
};

TEST_F(UseTest, ACheckpointIsEnough) {
  for (const std::string recipe : {"linear", "drifting"}) {
    std::filesystem::remove_all(run);
    ASSERT_EQ(train(recipe, {"model.width=6", "run.seed=5", "evaluate.batch_size=16"}), kOk) << err.str();
    const std::string file = checkpoint(15), as_trained = evaluated({run + "/config.cfg", "--checkpoint", file});
    EXPECT_EQ(evaluated({"--checkpoint", file}), as_trained);
    EXPECT_EQ(evaluated({"run.threads=1", "--checkpoint=" + file}), as_trained);
    EXPECT_EQ(evaluated({config(recipe), "--checkpoint", file}), as_trained) << "what a file leaves open is the checkpoint's";
    EXPECT_EQ(err.str(), "");
    const std::string answers = answer({run + "/config.cfg", "--checkpoint", file});
    EXPECT_EQ(answer({"--checkpoint", file}), answers);
    EXPECT_EQ(answer({"predict.batch_size=1", "--checkpoint", file}), answers);
    ASSERT_EQ(capstan({"evaluate", "--checkpoint", file, "--print-config"}), kOk) << err.str();
    EXPECT_THAT(out.str(), AllOf(HasSubstr("width = 6 "), HasSubstr(file + ":/meta/config:")));
    ASSERT_EQ(capstan({"evaluate", "--checkpoint", file, "--help"}), kOk) << err.str();
    EXPECT_THAT(out.str(), HasSubstr("model.width = 6 (default 4)"));
  }
  EXPECT_EQ(capstan({"generate", "--checkpoint", checkpoint(15), "--prompt", "1"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("generate: the recipe drifting does not go on with a text"));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", checkpoint(15), "evaluate.batch_sice=4"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("`capstan evaluate --checkpoint " + checkpoint(15) + " --help` shows the flags and keys"));
  EXPECT_EQ(capstan({"evaluate"}), kUsage);
  EXPECT_THAT(err.str(),
              HasSubstr("must be CONFIG, a file or one of the names that `capstan list` shows, where --checkpoint FILE is not given"));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint"}), kUsage);
  EXPECT_EQ(capstan({"evaluate", checkpoint(15)}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("a checkpoint is used by --checkpoint " + checkpoint(15)));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", checkpoint(15), "model.wdith=6"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("did you mean 'model.width'?"));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", scratch.path()}), kIo);
  EXPECT_THAT(err.str(), HasSubstr("is a directory; the checkpoint must be a file, or best or latest with run.dir = "));
}

TEST_F(UseTest, WhatWouldChangeTheModelIsRefusedAllAtOnce) {
  ASSERT_EQ(train("linear", {"train.max_steps=2"}), kOk) << err.str();
  const std::string file = checkpoint(2), other = scratch.write("other.cfg", "recipe = linear\n[model]\nwidth = 5\n");
  EXPECT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", file, "model.width=5", "data.rows=41"}), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("model.width = 5 (command line), the checkpoint has 4"),
                               HasSubstr("data.rows = 41 (command line), the checkpoint has 40")));
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(capstan({"evaluate", other, "--checkpoint", file}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.width = 5 (" + other + ":3), the checkpoint has 4"));
  EXPECT_EQ(capstan({"evaluate", other, "--checkpoint", file, "model.width=4"}), kOk) << "the last setting counts: " << err.str();
  EXPECT_EQ(capstan({"predict", other, "--checkpoint", file, "--input", "-", "--output", "-"}, "1\n"), kUsage);
  EXPECT_EQ(answer({"--checkpoint", file, "data.rows=41"}), answer({"--checkpoint", file})) << "no sample is evaluated";
}

TEST_F(UseTest, TheSplitBelongsToTheCheckpoint) {
  ASSERT_EQ(train("linear", {"train.max_steps=5"}), kOk) << err.str();
  const std::string expected = evaluated({"--checkpoint", checkpoint(5), "--split", "validation"});
  EXPECT_THAT(content(run + "/metrics.jsonl"), HasSubstr(expected.substr(expected.find("\"mse\":"), 20)));
  EXPECT_EQ(evaluated({config("linear"), "--checkpoint", checkpoint(5), "--split", "validation", "run.seed=9", "train.epochs=3"}),
            expected);
  EXPECT_EQ(err.str(), "without effect on a trained model: run.seed = 9\n");
}

TEST_F(UseTest, AFileThatSaysOtherwiseIsNamed) {
  ASSERT_EQ(train("linear", {"train.max_steps=2", "optimizer.learning_rate=0.1"}), kOk) << err.str();
  const std::string other = scratch.write("other.cfg", "recipe = linear\n[optimizer]\nlearning_rate = 0.2\n[evaluate]\nbatch_size = 16\n");
  evaluated({other, "--checkpoint", checkpoint(2)});
  EXPECT_EQ(err.str(), "other than in the checkpoint: evaluate.batch_size = 16 (" + other + ":5), the checkpoint has 32\n");
  evaluated({other, "--checkpoint", checkpoint(2), "evaluate.batch_size=8"});
  EXPECT_EQ(err.str(), "");
}

TEST_F(UseTest, TheMachineIsNotTheCheckpoints) {
  ASSERT_EQ(train("linear", {"train.max_steps=2", "run.threads=3", "predict.batch_size=7"}), kOk) << err.str();
  ASSERT_EQ(capstan({"predict", "--checkpoint", checkpoint(2), "--print-config"}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("\nthreads = 0 "), HasSubstr("\nbatch_size = 7 ")));
}

TEST_F(UseTest, WeightsAloneAreEnough) {
  const std::string file = weights("recipe = linear\n[model]\nwidth = 4\n");
  EXPECT_EQ(answer({"--checkpoint", file}), "2\n4\n");
  EXPECT_THAT(evaluated({"--checkpoint", file}), HasSubstr("\"mse\":"));
}

TEST_F(UseTest, ConfigurationsOfOtherVersionsAreTranslatedOrNamed) {
  EXPECT_EQ(answer({"--checkpoint", weights("recipe = linear\n[optimizer]\nschedule = linear\nwarmup_steps = 3\n[old]\nkey = 3\n")}),
            "2\n4\n");
  EXPECT_EQ(err.str(), "not known to this program, but set in the checkpoint: old.key = 3\n");
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", weights("recipe = linear\n[model]\nwidth = -1\n")}), kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("weights.h5:/meta/config:3: model.width must be >= 1"));
}

TEST_F(UseTest, BestAndLatestAreThoseOfTheRunDirectory) {
  ASSERT_EQ(train("linear", {"optimizer.learning_rate=30", "checkpoint.keep_last=1"}), kOk) << err.str();
  const auto step_of = [&](const std::vector<std::string>& arguments) {
    const std::string text = evaluated(arguments);
    return text.substr(0, text.find(','));
  };
  EXPECT_EQ(step_of({config("linear"), "--checkpoint", "best"}), "{\"step\":10");
  EXPECT_EQ(step_of({config("linear"), "--checkpoint", "latest"}), "{\"step\":15");
  EXPECT_EQ(step_of({"--checkpoint", "latest", "run.dir=" + run}), "{\"step\":15");
  EXPECT_EQ(step_of({run + "/config.cfg", "--checkpoint", "best"}), "{\"step\":10");
  EXPECT_EQ(capstan({"inspect", "best", "run.dir=" + run}), kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("  step = 10\n"));
  for (const char* command : {"evaluate", "predict"}) EXPECT_EQ(capstan({command, "--checkpoint", "best"}), kUsage);
  EXPECT_EQ(capstan({"inspect", "latest"}), kUsage);
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", "best"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("'best' means one of a run directory, and there is none to look in: set run.dir"));
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", "latest", "run.dir=" + scratch / "nothing"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("'latest': there is none in " + scratch / "nothing/checkpoints"));
  ASSERT_EQ(train("linear", {"--resume", "best", "train.max_steps=11"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("resumed from " + run + "/checkpoints/best.h5 at step 10"));
}

}  // namespace
}  // namespace capstan::engine::test
