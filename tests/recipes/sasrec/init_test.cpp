// A new run from another one's weights (init.from), what is trained of it, and at which rate.

#include "recipes/sasrec/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::sasrec {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct InitFrom : engine::test::RecipeProgram {
  InitFrom() : RecipeProgram(sasrec::recipe()) {}

  /// Three users; the items of `words` go round, so that every item is trained on.
  std::string table(const std::string& name, const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t user = 0; user < 3; ++user)
      for (std::size_t i = 0; i < 6; ++i) text += "u" + std::to_string(user) + "\t" + words[(user + i) % words.size()] + "\n";
    return scratch.write(name, text);
  }
  int train(const std::string& run, const Arguments& more) {
    return train_quickstart(run, joined({"run.threads=1", "data.source=file", "train.metric=", "model.hidden_size=8", "model.max_length=8",
                                         "model.dropout=0", "evaluate.baselines=no", "train.batch_size=3", "train.max_steps=1"},
                                        more));
  }
  /// Row of an item of a checkpoint, by its name.
  static std::vector<double> row(const std::map<std::string, std::vector<double>>& all, std::size_t index) {
    const std::vector<double>& values = all.at("/model/item_embedding/weight");
    return {values.begin() + static_cast<std::ptrdiff_t>(8 * index), values.begin() + static_cast<std::ptrdiff_t>(8 * (index + 1))};
  }
};

TEST_F(InitFrom, TakesItemsByNameAndAFreshBlock) {
  const std::string old_data = "data.path=" + table("old.tsv", {"a", "b", "c", "d"});
  ASSERT_EQ(train("old", {old_data, "model.blocks=1"}), engine::kOk) << err.str();
  const std::string from = "init.from=" + checkpoint("old");

  // Other items, in another order; with all of it frozen but the fresh block, the rest is the old run's to the bit.
  const std::string data = "data.path=" + table("new.tsv", {"d", "x", "b", "a"});
  const Arguments settings{data, from, "model.blocks=2", "init.fresh=blocks/1",
                           "optimizer.freeze=item_embedding, position_embedding, blocks/0, last_norm"};
  ASSERT_EQ(train("new", settings), engine::kOk) << err.str();
  const auto before = tensors(checkpoint("old")), after = tensors(checkpoint("new"));
  EXPECT_EQ(row(after, 1), row(before, 4)) << "d";
  EXPECT_EQ(row(after, 3), row(before, 2)) << "b";
  EXPECT_EQ(row(after, 4), row(before, 1)) << "a";
  EXPECT_NE(row(after, 2), row(before, 2)) << "x is new";
  EXPECT_EQ(after.at("/model/blocks/0/query/weight"), before.at("/model/blocks/0/query/weight"));
  EXPECT_TRUE(after.contains("/model/blocks/1/query/weight"));
  EXPECT_FALSE(after.contains("/optimizer/first_moment/blocks/0/query/weight")) << "what is frozen has no state";
  EXPECT_THAT(
      engine::test::text_of(scratch / "new/log.txt"),
      AllOf(HasSubstr("18 of 32 parameters from "), HasSubstr("item_embedding/weight by the names of its items: 3 known, 1 at random"),
            HasSubstr("at random: blocks/1/attention_norm/weight, ")));

  // A resume needs the file no more.
  std::filesystem::remove_all(scratch / "old");
  EXPECT_EQ(train("new", joined(settings, {"--resume", "auto", "train.max_steps=2"})), engine::kOk) << err.str();
}

TEST_F(InitFrom, RefusesWhatDoesNotFitBeforeTheFirstStep) {
  const std::string data = "data.path=" + table("t.tsv", {"a", "b", "c", "d"});
  ASSERT_EQ(train("old", {data, "model.blocks=1"}), engine::kOk) << err.str();
  const std::string from = "init.from=" + checkpoint("old");
  EXPECT_EQ(train("new", {data, from, "model.blocks=2", "--check"}), engine::kBadCheckpoint);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("init.from: "), HasSubstr("missing: blocks/1/query/weight f32[8, 8]")));
  EXPECT_EQ(train("new", {data, from, "model.blocks=1", "init.rename=blocks"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("init.rename: expected old=new, got 'blocks'"));
  EXPECT_EQ(train("new", {data, "init.drop=head"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("init.drop: there is no init.from"));
  EXPECT_EQ(train("new", {data, "init.from=" + scratch / "none.h5"}), engine::kIo);
  EXPECT_THAT(err.str(), HasSubstr("init.from: "));
  EXPECT_EQ(train("new", {data, "optimizer.freeze=block"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("optimizer.freeze: parameters: no parameter has this path: block"));
  EXPECT_EQ(train("new", {data, "optimizer.freeze=item_embedding,position_embedding,blocks,last_norm"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("nothing is left to train"));
}

// The weights are the start of the average too, and a rate scaled by 0 leaves them there.
TEST_F(InitFrom, AveragesBeginWithTheWeightsAndRatesAreScaled) {
  const std::string data = "data.path=" + table("t.tsv", {"a", "b", "c", "d"});
  ASSERT_EQ(train("old", {data, "model.blocks=1"}), engine::kOk) << err.str();
  ASSERT_EQ(train("new", {data, "model.blocks=1", "init.from=" + checkpoint("old"), "train.ema_decay=0.9", "optimizer.weight_decay=0",
                          "optimizer.learning_rate_scale=blocks=0,last_norm=0.5"}),
            engine::kOk)
      << err.str();
  const auto before = tensors(checkpoint("old")), after = tensors(checkpoint("new"));
  const std::string frozen = "/model/blocks/0/query/weight";
  for (std::size_t i = 0; i < before.at(frozen).size(); ++i) EXPECT_NEAR(after.at(frozen)[i], before.at(frozen)[i], 1e-7);
  EXPECT_NE(after.at("/weights/last_norm/weight"), before.at("/model/last_norm/weight"));
}

TEST_F(InitFrom, RatesDecayByLayerAndCheckListsThem) {
  const std::string data = "data.path=" + table("t.tsv", {"a", "b", "c", "d"});
  ASSERT_EQ(train("check", {data, "model.blocks=1", "optimizer.layer_decay=0.5", "optimizer.learning_rate_scale=last_norm=0.1", "--check",
                            "--parameters"}),
            engine::kOk)
      << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("position_embedding/weight  f32[8, 8]  learning rate x 0.25\n"),
                               HasSubstr("blocks/0/query/weight  f32[8, 8]  learning rate x 0.5\n"),
                               HasSubstr("last_norm/weight  f32[8]  learning rate x 0.1\n")));
  ASSERT_EQ(train("check", {data, "model.blocks=1", "--check", "--parameters"}), engine::kOk) << err.str();
  EXPECT_EQ(out.str().find("learning rate x"), std::string::npos);
}

// Weights go out and come in again through a safetensors file, to the bit.
TEST_F(InitFrom, SafetensorsGoRound) {
  const std::string data = "data.path=" + table("t.tsv", {"a", "b", "c", "d"}), first = scratch / "first.safetensors";
  ASSERT_EQ(train("old", {data, "model.blocks=1"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"export", checkpoint("old"), first}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("first.safetensors: 18 tensors, 512 parameters, of "));
  ASSERT_EQ(train("new", {data, "model.blocks=1", "init.from=" + first, "optimizer.learning_rate_scale==0"}), engine::kOk) << err.str();
  const auto before = tensors(checkpoint("old")), after = tensors(checkpoint("new"));
  for (const auto& [name, values] : before) EXPECT_TRUE(!name.starts_with("/model/") || after.at(name) == values) << name;
  const std::string second = scratch / "second.safetensors";
  ASSERT_EQ(capstan({"export", checkpoint("new"), second}), engine::kOk) << err.str();
  EXPECT_TRUE(engine::test::text_of(second) == engine::test::text_of(first));

  ASSERT_EQ(capstan({"inspect", first}), engine::kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("  format = pt\n"), HasSubstr("item_embedding.weight "), HasSubstr("F32[5, 8]  160 B\n")));
  EXPECT_EQ(capstan({"export", checkpoint("old"), scratch / "weights.h5"}), engine::kUsage);
  EXPECT_EQ(capstan({"export", checkpoint("old")}), engine::kUsage);
  EXPECT_EQ(capstan({"export", first, second}), engine::kBadCheckpoint);
  EXPECT_EQ(train("odd", {data, "model.blocks=1", "init.from=" + scratch.write("odd.safetensors", "no"), "--check"}), engine::kData);
  EXPECT_THAT(err.str(), HasSubstr("init.from: safetensors: "));
}

}  // namespace
}  // namespace capstan::sasrec
