// Whole runs whose processes are threads: the same command on each, the same numbers as one process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/recipes/engine/distributed/together.h"

namespace capstan::engine::test {
namespace {

using testing::HasSubstr;

struct TrainingTogether : TogetherTest {
  /// The weights after so many steps on `ranks` processes.
  std::vector<double> weights(int ranks, std::int64_t steps, std::vector<std::string> arguments) {
    std::filesystem::remove_all(run);
    arguments.push_back("train.max_steps=" + std::to_string(steps));
    arguments.push_back("data.noise=0");
    EXPECT_EQ(train_together(ranks, "linear", arguments), kOk) << err.str();
    return tensors(checkpoint(steps)).at("/model/layer/weight");
  }
};

TEST_F(TrainingTogether, FastSumsEqualOneProcessUpToRounding) {
  // 40 rows in batches of 7: the last one has 5, of which a rank of four gets one or two.
  const std::vector<std::string> batches{"train.batch_size=7"};
  const std::vector<double> alone = weights(1, 14, batches);
  for (const int ranks : {2, 3, 4}) {
    const std::vector<double> w = weights(ranks, 14, batches);
    ASSERT_EQ(w.size(), alone.size());
    for (std::size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i], alone[i], 1e-6 * std::abs(alone[i])) << ranks << " ranks";
  }
}

TEST_F(TrainingTogether, GradientsMayTravelInBf16) {
  const std::vector<double> alone = weights(1, 14, {});
  const std::vector<double> w = weights(3, 14, {"train.wire=bf16"});
  EXPECT_NE(w, alone);
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i], alone[i], 0.01 * std::abs(alone[i]));
}

TEST_F(TrainingTogether, OrderedSumsAreTheSameBits) {
  for (const std::string parts : {"8", "5"}) {
    const std::vector<std::string> options{"train.reduce=ordered", "train.parts=" + parts, "train.batch_size=14",
                                           "train.micro_batch_size=7"};
    const std::vector<double> alone = weights(1, 9, options);
    for (const int ranks : {2, 3, 4}) EXPECT_EQ(weights(ranks, 9, options), alone) << ranks << " ranks, " << parts << " parts";
  }
}

// Of the batches that are learnt by heart each process has its part, too.
TEST_F(TrainingTogether, OverfittedBatchesAreThoseOfOneProcess) {
  const std::vector<std::string> options{"train.reduce=ordered", "train.overfit_batches=2"};
  const std::vector<double> alone = weights(1, 9, options);
  EXPECT_EQ(weights(3, 9, options), alone);
  EXPECT_NE(weights(1, 9, {"train.reduce=ordered"}), alone);
}

TEST_F(TrainingTogether, ARunGoesOnWithAnotherNumberOfProcesses) {
  const std::vector<std::string> ordered{"train.reduce=ordered", "data.noise=0"};
  const std::vector<double> whole = weights(1, 12, ordered);
  std::filesystem::remove_all(run);
  int ranks = 3;
  for (const int steps : {5, 7, 12}) {  // the first one ends an epoch: it is validated already where the second begins
    ASSERT_EQ(train_together(ranks, "linear",
                             {"train.reduce=ordered", "data.noise=0", "train.max_steps=" + std::to_string(steps), "--resume", "auto"}),
              kOk)
        << err.str();
    ranks = ranks == 3 ? 2 : 1;
  }
  EXPECT_EQ(tensors(checkpoint(12)).at("/model/layer/weight"), whole);
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("3 processes of 1 thread each (threads of one process): rank 0 on "));
}

TEST_F(TrainingTogether, AllKnowWhatWasValidatedBeforeTheyGoOn) {
  const std::vector<std::string> common{"data.noise=0", "train.reduce=ordered"};
  const auto epochs = [&](int count, int ranks) {
    std::vector<std::string> arguments = common;
    arguments.insert(arguments.end(), {"train.epochs=" + std::to_string(count), "--resume", "auto"});
    return train_together(ranks, "linear", arguments);
  };
  ASSERT_EQ(epochs(1, 2), kOk) << err.str();  // validated and saved at the end of an epoch: nothing is owed
  ASSERT_EQ(epochs(2, 3), kOk) << err.str();
  const std::string in_two = rows();
  const std::vector<double> weight = tensors(checkpoint(10)).at("/model/layer/weight");
  std::filesystem::remove_all(run);
  ASSERT_EQ(epochs(2, 1), kOk) << err.str();
  EXPECT_EQ(rows(), in_two);
  EXPECT_EQ(tensors(checkpoint(10)).at("/model/layer/weight"), weight);
}

TEST_F(TrainingTogether, WhatIsFrozenDoesNotMoveByAValidation) {
  const std::vector<std::string> options{"train.reduce=ordered", "data.noise=0", "checkpoint.every=1", "checkpoint.keep_last=3"};
  std::vector<std::string> first = options, second = options;
  first.push_back("train.max_steps=4");
  ASSERT_EQ(train_together(2, "forgetful", first), kOk) << err.str();
  // Goes on where nothing has been validated yet and a validation is due: it comes before the first step.
  second.insert(second.end(), {"train.max_steps=5", "train.evaluate_every=3", "--resume", checkpoint(3)});
  EXPECT_EQ(train_together(2, "forgetful", second), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("step 3  validation"));
}

TEST_F(TrainingTogether, TheFirstProcessWritesAndReportsAll) {
  ASSERT_EQ(train("linear", {"data.noise=0", "train.epochs=2"}), kOk) << err.str();
  const std::string alone = rows();
  std::filesystem::remove_all(run);
  ASSERT_EQ(train_together(3, "linear", {"data.noise=0", "train.epochs=2"}), kOk) << err.str();
  const std::string together = rows();
  EXPECT_EQ(std::ranges::count(together, '\n'), std::ranges::count(alone, '\n'));
  EXPECT_THAT(together, HasSubstr("\"rows\":64")) << "the cases of all shares";
  EXPECT_THAT(out.str(), HasSubstr("all epochs done"));
  EXPECT_THAT(err.str(), testing::StartsWith("next: capstan evaluate --checkpoint "));
  EXPECT_EQ(std::ranges::count(err.str(), '\n'), 1);
}

TEST_F(TrainingTogether, WhatCannotBeDividedIsRefused) {
  EXPECT_EQ(train_together(2, "drifting", {}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("drifting: its batches cannot be computed in parts"));
  EXPECT_EQ(together(2, {"list"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("capstan list: runs as one process, this is one of 2"));
}

TEST_F(TrainingTogether, AnErrorOfOneProcessEndsAll) {
  Trouble::broken_row = 39;  // of one rank's share
  EXPECT_EQ(train_together(2, "linear", {}), kData);
  Trouble::broken_row = -1;
  EXPECT_THAT(err.str(), HasSubstr("row 39 cannot be read"));
}

TEST_F(TrainingTogether, ALossThatIsNotFiniteIsReportedByAll) {
  EXPECT_EQ(train_together(2, "linear", {"data.poison=3"}), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the loss is not finite: nan at step 3"));
  EXPECT_TRUE(std::filesystem::exists(run + "/nan_dump.h5"));
}

TEST_F(TrainingTogether, AFailureIsFoundByWhoHasItAndToldByAll) {
  Trouble::nan_row = 17;
  EXPECT_EQ(train_together(3, "linear", {}), kNumerical);
  Trouble::nan_row = -1;
  EXPECT_THAT(err.str(), HasSubstr("first in layer layer (squared_error), whose input is not finite for sample 17; dump in "));
  EXPECT_THAT(content(run + "/nan_dump.json"), HasSubstr("\"samples\":[17]"));
  // Each of both has one half of the weights.
  EXPECT_EQ(train_together(2, "linear",
                           {"train.shard_optimizer=true", "optimizer.kind=sgd", "optimizer.learning_rate=3e38", "model.width=128",
                            "run.dir=" + (scratch / "other")}),
            kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("sgd: layer/weight is not finite any more after a step"));
}

TEST_F(TrainingTogether, ASpikeIsAnsweredAlike) {
  Trouble::wild_row = 17;
  Trouble::wild_epoch = 2;
  for (const std::string action : {"skip", "rewind"}) {
    const std::vector<std::string> options{"train.reduce=ordered",     "guard.on_spike=" + action, "guard.spike_window=8",
                                           "guard.spike_threshold=20", "checkpoint.every=5",       "optimizer.learning_rate=0.01",
                                           "train.epochs=9",           "guard.layers_every=2"};
    const std::vector<double> alone = weights(1, 20, options);
    EXPECT_THAT(content(run + "/log.txt"), HasSubstr(action == "skip" ? "the step changes nothing" : "goes on from step 10"));
    const std::string layers = content(run + "/layers.jsonl");
    EXPECT_EQ(weights(2, 20, options), alone) << action;
    std::vector<std::string> sharded = options;
    sharded.emplace_back("train.shard_optimizer=true");
    EXPECT_EQ(weights(3, 20, sharded), alone) << action;
    EXPECT_EQ(content(run + "/layers.jsonl"), layers) << "of shares, too";
  }
  Trouble::wild_row = Trouble::wild_epoch = -1;
}

}  // namespace
}  // namespace capstan::engine::test
