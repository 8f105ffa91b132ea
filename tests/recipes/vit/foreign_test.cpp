// A run from a model directory, and a directory from a run, as on the command line.

#include <filesystem>

#include "recipes/vit/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::vit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct ForeignVitProgram : engine::test::RecipeProgram {
  ForeignVitProgram()
      : RecipeProgram(vit::recipe()),
        directory(CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/vit_hf"),
        plain(scratch.write("plain.cfg",
                            "recipe = vit\n[data]\nsource = shapes\n[shapes]\ntrain = 12\nvalidation = 6\ntest = 6\nsize = 16\n")) {}
  int train(const std::string& run, const Arguments& more) {
    return capstan(joined({"train", plain, "run.dir=" + scratch / run, "run.threads=1", "init.from=" + directory, "train.batch_size=6",
                           "train.max_steps=1", "evaluate.baselines=no"},
                          more));
  }
  const std::string directory, plain;
};

TEST_F(ForeignVitProgram, TakesOverWhatTheModelSaysAndGivesItBack) {
  ASSERT_EQ(train("run", {}), engine::kOk) << err.str();
  EXPECT_THAT(err.str(),
              AllOf(HasSubstr("as the model has it: "), HasSubstr("model.hidden_size = 12; "), HasSubstr("data.mean = 0.5, 0.4, 0.3")));
  EXPECT_THAT(
      engine::test::text_of(scratch / "run/log.txt"),
      AllOf(HasSubstr("start: head/weight by the names of its classes: 0 known, 6 at random"), HasSubstr("(Hugging Face transformers)")));
  EXPECT_THAT(engine::test::text_of(scratch / "run/config.cfg"), HasSubstr("heads = 3"));

  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "out", "--as", "hf"}), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "out/config.json"),
              AllOf(HasSubstr("\"0\": \"disc\""), HasSubstr("\"square\": 1"), HasSubstr("ViTForImageClassification")));
  EXPECT_THAT(engine::test::text_of(scratch / "out/preprocessor_config.json"), HasSubstr("\"image_mean\": [0.5, 0.4, 0.3]"));

  // The directory is a model like the checkpoint, and goes in again as it went out.
  ASSERT_EQ(capstan({"evaluate", plain, "--checkpoint", checkpoint("run"), "--json"}), engine::kOk) << err.str();
  const std::string before = out.str();
  ASSERT_EQ(capstan({"evaluate", plain, "--checkpoint", scratch / "out", "--json"}), engine::kOk) << err.str();
  const auto metrics = [](const std::string& line) { return line.substr(line.find("accuracy")); };
  EXPECT_EQ(metrics(out.str()), metrics(before));
  ASSERT_EQ(capstan({"export", scratch / "out", scratch / "again", "--as", "hf"}), engine::kOk) << err.str();
  for (const std::string name : {"model.safetensors", "config.json", "preprocessor_config.json"})
    EXPECT_TRUE(engine::test::text_of(scratch / "again/" + name) == engine::test::text_of(scratch / "out/" + name)) << name;
  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "timm", "--as", "timm"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"inspect", scratch / "timm"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("\"architecture\": \"vit_base_patch16_224\""), HasSubstr("blocks.0.attn.qkv.weight"),
                               HasSubstr("F32[36, 12]")));
}

TEST_F(ForeignVitProgram, RefusesWhatIsSetOtherwiseWithBothValues) {
  EXPECT_EQ(train("run", {"model.layers=3", "model.heads=2"}), engine::kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("model.layers = 3 (command line), the model has 2"),
                               HasSubstr("model.heads = 2 (command line), the model has 3")));
  EXPECT_EQ(train("run", {"model.layers=3", "init.strict=no", "--check"}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("start: at random: encoder/2/"));
  EXPECT_EQ(train("run", {"model.dropout=0.2", "--check"}), engine::kOk) << "what concerns training alone is the user's: " << err.str();
}

TEST_F(ForeignVitProgram, ExportsOnlyToAPlaceOfItsOwn) {
  EXPECT_EQ(capstan({"export", directory, scratch / "w.safetensors", "--as", "tim"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("must be one of capstan, hf, timm, torch, got 'tim'"));
  EXPECT_EQ(capstan({"export", directory, scratch / "w", "--as", "torch"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("writes a file, which must be called *.safetensors"));
  std::filesystem::create_directories(scratch / "mine");
  scratch.write("mine/thesis.tex", "x");
  EXPECT_EQ(capstan({"export", directory, scratch / "mine", "--as", "hf"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("mine: there is something in it (thesis.tex)"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "mine/config.json"));
}

}  // namespace
}  // namespace capstan::vit
