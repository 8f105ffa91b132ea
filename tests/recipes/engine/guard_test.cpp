// What is watched in every step of a run, and what is done when something is wrong.
#include "recipes/engine/train/guard.h"

#include <cmath>

#include "data/json.h"
#include "recipes/engine/train/failure.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// ---- spikes

TEST(Spikes, NothingIsSaidBeforeHalfOfTheWindowIsFilled) {
  const GuardOptions options{.spike_window = 32};
  GuardState state;
  for (int i = 0; i < 15; ++i) EXPECT_FALSE(find_spike(options, state, i == 14 ? 1e6 : 1.0, 1.0)) << i;
  state = {};
  for (int i = 0; i < 16; ++i) EXPECT_FALSE(find_spike(options, state, 1.0 + 0.1 * (i % 2), 2.0)) << i;
  const auto spike = find_spike(options, state, 9, 2);
  ASSERT_TRUE(spike);
  EXPECT_EQ(to_text(*spike), "loss 9 is 159.0 standard deviations above 1.050, the mean of 16 steps");
}

TEST(Spikes, AFlatCourseMakesNoSpikeOfASmallChange) {
  const GuardOptions options{.spike_threshold = 6, .spike_window = 8};
  GuardState state;
  for (int i = 0; i < 8; ++i) find_spike(options, state, 2, 0);
  EXPECT_FALSE(find_spike(options, state, 2.11, 0)) << "less than six hundredths of the mean";
  EXPECT_FALSE(find_spike(options, state, -50, 0)) << "what falls is no spike";
  state = {};
  for (int i = 0; i < 8; ++i) find_spike(options, state, 2, 0);
  EXPECT_TRUE(find_spike(options, state, 2.13, 0));
  EXPECT_FALSE(find_spike(options, state, 2, 1)) << "of a window of zeros nothing can be said";
}

TEST(Spikes, ANewLevelIsBelievedAndOneSpikeDoesNotHideTheNext) {
  const GuardOptions options{.spike_window = 32};
  GuardState state;
  for (int i = 0; i < 32; ++i) find_spike(options, state, 1.0 + 0.1 * (i % 2), 1);
  EXPECT_TRUE(find_spike(options, state, 1e30, 1));
  EXPECT_TRUE(find_spike(options, state, 3, 1));
  EXPECT_TRUE(find_spike(options, state, 1, 1e3)) << "the norm is judged as well";
  int spikes = 0;
  while (find_spike(options, state, 3, 1)) ASSERT_LT(++spikes, 32);
  EXPECT_EQ(state.losses.size(), 32u);
  GuardOptions off = options;
  off.spike_threshold = 0;
  EXPECT_FALSE(find_spike(off, state, 1e30, 1e30));
}

TEST(Spikes, AStepOfFewerSamplesStandsOutByMoreAndEntersNoWindow) {
  const GuardOptions options{.spike_window = 16};
  GuardState state;
  for (int i = 0; i < 16; ++i) find_spike(options, state, 1.0 + 0.1 * (i % 2), 1);
  const std::vector<double> window = state.losses;
  EXPECT_FALSE(find_spike(options, state, 1.6, 1, 0.5)) << "11 standard deviations";
  EXPECT_TRUE(find_spike(options, state, 1.7, 1, 0.5)) << "13";
  EXPECT_FALSE(find_spike(options, state, 1, 1.5, 0.5)) << "a norm of 1.06 by the root of the share";
  EXPECT_TRUE(find_spike(options, state, 1, 1.7, 0.5));
  EXPECT_EQ(state.losses, window);
  EXPECT_TRUE(find_spike(options, state, 1.6, 1));
  EXPECT_NE(state.losses, window);
}

TEST(StatisticsBefore, UndoesWhatAPassMovedAndCopiesNothingElse) {
  nn::ParameterStore store;
  const nn::Initializer zeros = [](const Tensor& t, std::uint64_t) { std::ranges::fill(t.span<float>(), 0.0f); };
  const Parameter weight = store.root().parameter("weight", {2}, zeros);
  const Parameter mean = store.root().parameter("mean", {2}, zeros, {.trainable = false});
  const Parameter frozen = store.root().parameter("frozen", {2}, zeros, {.trainable = false});
  const auto value = [](const Parameter& p) { return p.value().to_vector()[0]; };
  const auto set = [](const Parameter& p, float v) { p.write().span<float>()[0] = v; };
  StatisticsBefore statistics(store);
  statistics.put_back();
  for (const float v : {1.0f, 2.0f, 3.0f}) {
    statistics.keep();
    set(mean, v);
    set(weight, v);
    if (v == 2) statistics.put_back();
  }
  statistics.put_back();
  EXPECT_EQ(value(mean), 1) << "as after the first pass, since the two that followed were undone";
  EXPECT_EQ(value(weight), 3);
  EXPECT_EQ(frozen.version(), 1u);
}

// ---- runs

struct GuardTest : ProgramTest {
  ~GuardTest() override { Trouble::nan_row = Trouble::wild_row = Trouble::wild_epoch = -1; }
  /// A spike in the third epoch, whose five batches of eight rows are steps 11 to 15.
  static void make_wild() {
    Trouble::wild_row = 17;
    Trouble::wild_epoch = 2;
  }
  /// Trains in parts that end at these steps; the exit code of the last.
  int train_to(const std::string& recipe, const std::vector<int>& stops, const std::vector<std::string>& extra) {
    std::filesystem::remove_all(run);
    int code = kOk;
    for (std::size_t i = 0; i < stops.size(); ++i) {
      std::vector<std::string> arguments{"train.epochs=9",           "train.max_steps=" + std::to_string(stops[i]),
                                         "train.evaluate_every=4",   "guard.spike_window=8",
                                         "guard.spike_threshold=20", "guard.layers_every=3",
                                         "checkpoint.every=1000",    "optimizer.learning_rate=0.01"};
      arguments.insert(arguments.end(), extra.begin(), extra.end());
      if (i > 0) arguments.insert(arguments.end(), {"--resume", "auto"});
      code = train(recipe, arguments);
      EXPECT_EQ(i + 1 < stops.size() ? code : kOk, kOk) << err.str();
    }
    return code;
  }
  std::string log() const { return content(run + "/log.txt"); }
  std::string layers() const { return content(run + "/layers.jsonl"); }
  data::Json dump() const { return data::read_json(run + "/nan_dump.json"); }
};

TEST_F(GuardTest, ASpikeIsSaidAndChangesNothingByItself) {
  ASSERT_EQ(train_to("linear", {20}, {}), kOk);
  EXPECT_THAT(log(), Not(HasSubstr("spike")));
  make_wild();
  ASSERT_EQ(train_to("linear", {20}, {}), kOk);
  EXPECT_THAT(log(), AllOf(HasSubstr("warning: spike at step 1"), HasSubstr(" (epoch 3, batch "), HasSubstr("): loss "),
                           HasSubstr("standard deviations above")));
  const auto warned = tensors(checkpoint(20)).at("/model/layer/weight");
  ASSERT_EQ(train_to("linear", {20}, {"guard.spike_threshold=0"}), kOk);
  EXPECT_THAT(log(), Not(HasSubstr("spike")));
  EXPECT_EQ(tensors(checkpoint(20)).at("/model/layer/weight"), warned);
}

TEST_F(GuardTest, ASkippedStepCountsAndChangesNothing) {
  make_wild();
  ASSERT_EQ(train_to("linear", {20}, {"guard.on_spike=skip", "train.ema_decay=0.9"}), kOk);
  EXPECT_THAT(log(), HasSubstr("the step changes nothing"));
  const auto all = tensors(checkpoint(20));
  const std::vector<double> left_out = all.at("/train/guard/left_out");
  ASSERT_EQ(left_out.size(), 4u);
  const auto step = static_cast<int>(10 + left_out[1]);  // done before the spike
  const data::Hdf5Reader file(checkpoint(20));
  EXPECT_EQ(file.integer("/optimizer", "step_count"), 19);
  EXPECT_EQ(file.integer("/train", "step"), 20);
  for (const std::string name : {"/weights/layer/weight", "/model/layer/weight", "/optimizer/first_moment/layer/weight"}) {
    ASSERT_EQ(train_to("linear", {step}, {"guard.on_spike=skip", "train.ema_decay=0.9"}), kOk);
    const auto before = tensors(checkpoint(step)).at(name);
    ASSERT_EQ(train_to("linear", {step + 1}, {"guard.on_spike=skip", "train.ema_decay=0.9"}), kOk);
    EXPECT_EQ(tensors(checkpoint(step + 1)).at(name), before) << name;
  }
}

TEST_F(GuardTest, ResumingContinuesToTheBitAcrossASpike) {
  make_wild();
  // Once right before the spike, which lies behind the checkpoint of step 10, and once behind it.
  const std::vector<int> stops{4, 12, 16, 24};
  for (const auto& [recipe, action] :
       {std::pair("linear", "warn"), {"linear", "skip"}, {"linear", "rewind"}, {"drifting", "skip"}, {"drifting", "rewind"}}) {
    const std::vector<std::string> options{join_text("guard.on_spike=", action), "checkpoint.every=5", "checkpoint.keep_last=1",
                                           "checkpoint.keep_best=0"};
    ASSERT_EQ(train_to(recipe, {24}, options), kOk);
    EXPECT_THAT(log(), HasSubstr("warning: spike at step 1")) << recipe << " " << action;
    const auto whole = tensors(checkpoint(24));
    const std::string all_layers = layers();
    ASSERT_EQ(train_to(recipe, stops, options), kOk);
    EXPECT_EQ(tensors(checkpoint(24)), whole) << recipe << " " << action;
    EXPECT_EQ(layers(), all_layers) << recipe << " " << action;
  }
}

TEST_F(GuardTest, ARewindLeavesTheBatchesSinceTheCheckpointOut) {
  make_wild();
  ASSERT_EQ(train_to("linear", {24}, {"guard.on_spike=rewind", "checkpoint.every=5"}), kOk);
  EXPECT_THAT(log(), AllOf(HasSubstr("back to " + checkpoint(10)),
                           HasSubstr("goes on from step 10; left out are the batches from epoch 2, batch 6 to epoch 3, batch "),
                           Not(HasSubstr("the comparison starts anew"))));
  const Checkpoint last(checkpoint(24));
  const TrainState state = last.train_state();
  ASSERT_EQ(state.guard.left_out.size(), 1u);
  const LeftOut& left_out = state.guard.left_out[0];
  EXPECT_EQ(left_out.epoch, 1);
  EXPECT_EQ(left_out.position, 5) << "the end of the second epoch, of which step 10 was the last";
  EXPECT_EQ(left_out.end_epoch, 2);
  EXPECT_GE(left_out.end_position, 1);
  EXPECT_EQ(5 * state.epoch + state.position, 24 + left_out.end_position) << "the batches that were left out are done as well";
  // Every step has one row.
  std::string steps;
  std::istringstream lines(rows());
  for (std::string line; std::getline(lines, line);)
    if (line.find("\"split\":\"train\"") != std::string::npos) steps += line.substr(8, line.find(',') - 8) + " ";
  std::string expected;
  for (int i = 1; i <= 24; ++i) expected += std::to_string(i) + " ";
  EXPECT_EQ(steps, expected);
  // Without a checkpoint there is nothing to go back to.
  ASSERT_EQ(train_to("linear", {24}, {"guard.on_spike=rewind"}), kOk);
  EXPECT_THAT(log(), HasSubstr("the step changes nothing, since there is no checkpoint to go back to"));
}

TEST_F(GuardTest, ASpikeThatStaysEndsTheRunAfterSomeRewinds) {
  // Whatever comes is far above what was before.
  ASSERT_EQ(train_to("linear", {10}, {"checkpoint.every=10"}), kOk);
  make_wild();
  const std::vector<std::string> options{"train.epochs=9",
                                         "--resume",
                                         "auto",
                                         "guard.on_spike=rewind",
                                         "guard.spike_threshold=20",
                                         "optimizer.learning_rate=1e-9",
                                         "data.noise=1e4",
                                         "guard.spike_window=8",
                                         "train.evaluate_every=4",
                                         "checkpoint.every=10"};
  EXPECT_EQ(train("linear", options), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the run ends, since going back to step 10 3 times has not helped"));
  EXPECT_EQ(Checkpoint(checkpoint(11)).train_state().guard.left_out.size(), 4u);
  EXPECT_THAT(log(), Not(HasSubstr("nan_dump")));
}

TEST_F(GuardTest, AStopLeavesARunThatGoesOnBehindTheSpike) {
  make_wild();
  ASSERT_EQ(train_to("linear", {24}, {"guard.on_spike=skip"}), kOk);
  const auto skipped = tensors(checkpoint(24));
  const std::vector<std::string> options{"guard.on_spike=stop"};
  EXPECT_EQ(train_to("linear", {24}, options), kNumerical);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("train: spike at step 1"), HasSubstr("the run ends (guard.on_spike = stop)")));
  EXPECT_FALSE(std::filesystem::exists(run + "/nan_dump.json"));
  EXPECT_EQ(train("linear", {"train.epochs=9", "train.max_steps=24", "train.evaluate_every=4", "guard.spike_window=8",
                             "guard.spike_threshold=20", "checkpoint.every=1000", "optimizer.learning_rate=0.01", "--resume", "auto"}),
            kOk);
  EXPECT_EQ(tensors(checkpoint(24)), skipped);
}

// ---- what is not finite

TEST_F(GuardTest, ADumpNamesLayerBatchAndSample) {
  Trouble::nan_row = 17;
  EXPECT_EQ(train("linear"), kNumerical);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("train: the loss is not finite: nan at step "), HasSubstr("(epoch 1, batch "),
                               HasSubstr("): first in layer layer (squared_error), whose input is not finite for sample 17; dump in " +
                                         run + "/nan_dump.json")));
  const data::Json all = dump();
  const data::Json found = all["found"].items().at(0);
  EXPECT_EQ(found["samples"].items().at(0).integer(), 17);
  EXPECT_EQ(found["samples"].size(), 1u);
  EXPECT_EQ(found["samples_of_batch"].size(), 8u);
  EXPECT_EQ(found["operation"]["name"].text(), "squared_error");
  EXPECT_EQ(found["operation"]["nan"].integer(), 1);
  EXPECT_EQ(found["batch"].integer(), all["failure"]["first_batch"].integer());
  EXPECT_EQ(found["gradients"].items().at(0)["name"].text(), "layer/weight");
  EXPECT_EQ(all["parameters"].items().at(0)["not_finite_elements"].integer(), 0);
  EXPECT_FALSE(all["failure"].has("loss/error")) << "null: it is not finite";
  EXPECT_TRUE(all["failure"].has("loss/norm"));
  EXPECT_THAT(rows(), HasSubstr("\"error\":\"train: the loss is not finite"));
}

TEST_F(GuardTest, BatchesThatFollowFromEachOtherAreNamedWhole) {
  Trouble::nan_row = 17;
  EXPECT_EQ(train("drifting"), kNumerical);
  EXPECT_THAT(err.str(),
              HasSubstr("nan at step 2 (epoch 1, batch 3): first in layer layer (squared_error), whose input is not finite; dump"));
  EXPECT_EQ(dump()["found"].items().at(0)["samples"].size(), 0u);
}

TEST_F(GuardTest, ARateThatIsTooLargeIsFoundInLossOrParameters) {
  EXPECT_EQ(train("linear", {"optimizer.learning_rate=1e30"}), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the loss is not finite: inf at step 1 (epoch 1, batch 2): first in layer layer (squared_error) for "
                                   "every sample that was tried; dump in"));
  std::filesystem::remove_all(run);
  EXPECT_EQ(train("linear", {"optimizer.kind=sgd", "optimizer.learning_rate=3e38"}), kNumerical);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("train: at step 0: sgd: layer/weight is not finite any more after a step: "),
                               HasSubstr(" (epoch 1, batch 1); dump in")));
  const data::Json parameter = dump()["parameters"].items().at(0);
  EXPECT_EQ(parameter["name"].text(), "layer/weight");
  EXPECT_GT(parameter["not_finite_elements"].integer(), 0);
}

// ---- layers.jsonl

TEST_F(GuardTest, LayersHaveTheirRows) {
  ASSERT_EQ(train_to("forgetful", {7}, {}), kOk);
  std::istringstream lines(layers());
  std::vector<std::int64_t> steps;
  for (std::string line; std::getline(lines, line);) {
    const data::Json row = data::parse_json(line, "layers.jsonl");
    steps.push_back(row["step"].integer());
    EXPECT_EQ(row["name"].text(), "layer/weight") << "the others have no gradient";
    EXPECT_GT(row["gradient"].number(), 0);
    EXPECT_GT(row["update"].number(), 0);
    EXPECT_LT(row["update"].number(), 0.1);
  }
  EXPECT_THAT(steps, ElementsAre(3, 6));
  double largest = 0;
  ASSERT_EQ(train_to("forgetful", {6}, {}), kOk);
  const auto weights = tensors(checkpoint(6)).at("/model/layer/weight");
  for (const double w : weights) largest = std::max(largest, std::abs(w));
  const std::string all = layers(), last = all.substr(all.rfind("{\"step\":6"));
  EXPECT_EQ(data::parse_json(last, "layers.jsonl")["weight"].number(), largest);
  ASSERT_EQ(train_to("forgetful", {7}, {"guard.layers_every=0"}), kOk);
  EXPECT_FALSE(std::filesystem::exists(run + "/layers.jsonl"));
}

}  // namespace
}  // namespace capstan::engine::test
