// train.overfit_batches: the first batches over and over, the same ones, however a run is stopped, divided or loaded.
#include "recipes/engine/train/batch_stream.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::HasSubstr;

struct OverfitTest : ProgramTest {
  std::vector<double> losses() const {
    std::vector<double> all;
    std::istringstream lines(content(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);)
      if (line.find("\"split\":\"train\"") != std::string::npos) all.push_back(std::stod(line.substr(line.find("\"loss\":") + 7)));
    return all;
  }
  auto weights_after(const std::string& recipe, const std::vector<int>& stops, std::vector<std::string> settings) {
    std::filesystem::remove_all(run);
    settings.insert(settings.end(), {"train.evaluate_every=10000", "checkpoint.every=10000"});
    for (const int stop : stops) {
      std::vector<std::string> arguments = settings;
      arguments.push_back("train.max_steps=" + std::to_string(stop));
      if (stop != stops.front()) arguments.insert(arguments.end(), {"--resume", "auto"});
      EXPECT_EQ(train(recipe, arguments), kOk) << err.str();
    }
    return std::pair(tensors(checkpoint(stops.back())), rows());
  }
};

/// The first element of x in each batch of so many steps, which tells batches apart.
std::vector<double> batches_of(AnyRecipe& recipe, const EngineOptions& options, std::int64_t from, std::int64_t steps) {
  recipe.begin_epoch(0);
  const std::int64_t per_epoch = recipe.batches_per_epoch();
  BatchStream stream(recipe, from / per_epoch, from % per_epoch, options);
  std::vector<double> seen;
  for (std::int64_t i = from; i < from + steps; ++i) {
    StepWork work = stream.next(1, i % per_epoch);
    if (work.batches == 0) ADD_FAILURE() << "no batch " << i;
    seen.push_back(work.pieces[0].batch.as<LinearBase::Batch>().x.span<float>()[0]);
    if (recipe.sequential() && (i + 1) % per_epoch == 0) {
      EXPECT_EQ(stream.next(1, per_epoch).batches, 0) << "an epoch ends where it always does";
      recipe.begin_epoch((i + 1) / per_epoch);
    }
  }
  return seen;
}

TEST_F(OverfitTest, TheFirstBatchesComeOverAndOver) {
  LinearConfig config;
  config.rows = 40;
  EngineOptions options;
  options.train.epochs = 4;
  for (const std::int64_t workers : {0, 2}) {
    options.loader.workers = workers;
    const engine::Setup setup{.seed = 3, .batch_size = 8};
    ErasedRecipe<Linear> sampled(config, setup);
    ErasedRecipe<Drifting> sequential(config, setup);
    for (AnyRecipe* recipe : std::initializer_list<AnyRecipe*>{&sampled, &sequential}) {
      options.train.overfit_batches = 0;
      const std::vector<double> all = batches_of(*recipe, options, 0, 10);
      EXPECT_NE(all[0], all[5]) << "other epochs have other batches";
      options.train.overfit_batches = 2;
      // Epochs have five batches: the third round of two is cut short by the end of the first epoch.
      EXPECT_EQ(batches_of(*recipe, options, 0, 9),
                (std::vector<double>{all[0], all[1], all[0], all[1], all[0], all[0], all[1], all[0], all[1]}))
          << recipe->name();
      options.train.overfit_batches = 100;
      const std::vector<double> whole = batches_of(*recipe, options, 0, 7);
      EXPECT_EQ(whole, (std::vector<double>{all[0], all[1], all[2], all[3], all[4], all[0], all[1]})) << "the first epoch, again";
    }
  }
}

TEST_F(OverfitTest, AModelLearnsThemByHeart) {
  // Four weights and three rows: the noise of the data can be learnt, but not that of all rows.
  for (const std::string recipe : {"linear", "drifting"}) {
    std::filesystem::remove_all(run);
    const std::vector<std::string> settings{
        "train.batch_size=3",         "data.noise=0",          "train.epochs=40", "optimizer.learning_rate=0.1",
        "train.evaluate_every=10000", "checkpoint.every=10000"};
    ASSERT_EQ(train(recipe, settings), kOk) << err.str();
    const double of_all = losses().back();
    std::filesystem::remove_all(run);
    std::vector<std::string> more = settings;
    more.push_back("train.overfit_batches=1");
    ASSERT_EQ(train(recipe, more), kOk) << err.str();
    EXPECT_LT(losses().back(), 0.1 * of_all) << recipe;
    EXPECT_THAT(content(run + "/log.txt"), HasSubstr("train.overfit_batches = 1: every step is of the first batch"));
    EXPECT_THAT(rows(), HasSubstr("\"split\":\"validation\"")) << "validation goes on";
  }
}

TEST_F(OverfitTest, ResumingContinuesToTheBit) {
  for (const std::string recipe : {"linear", "drifting"})
    for (const std::vector<std::string>& settings : {std::vector<std::string>{"train.overfit_batches=2"},
                                                     {"train.overfit_batches=1", "train.micro_batch_size=4", "loader.workers=2"},
                                                     {"train.overfit_batches=3", "train.reduce=ordered", "train.parts=2"}}) {
      if (recipe == "drifting" && settings.size() == 3 && settings[1] == "train.reduce=ordered") continue;  // its batches have no parts
      const auto whole = weights_after(recipe, {12}, settings);
      // In the middle of a round, at the end of an epoch.
      EXPECT_EQ(weights_after(recipe, {3, 5, 12}, settings).first, whole.first) << recipe << " " << settings[0];
    }
}

}  // namespace
}  // namespace capstan::engine::test
