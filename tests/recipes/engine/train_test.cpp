// The train loop through the command line: records, selection, resume to the bit, guards. What breaks it off: interruption_test.cpp.
#include "recipes/engine/train/train.h"
#include "recipes/engine/train/schedule.h"

#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include "autograd/ops/elementwise.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/train/batch_stream.h"
#include "recipes/engine/train/step.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct TrainTest : ProgramTest {
  // Trains to `until` steps, in one go or by resuming after each of `stops`; returns the final tensors and the rows.
  auto train_through(const std::string& recipe, const std::vector<int>& stops, const std::vector<std::string>& extra = {}) {
    std::filesystem::remove_all(run);
    bool first = true;
    for (const int stop : stops) {
      std::vector<std::string> arguments{"train.max_steps=" + std::to_string(stop), "train.evaluate_every=4", "checkpoint.every=1000"};
      arguments.insert(arguments.end(), extra.begin(), extra.end());
      if (!first) arguments.insert(arguments.end(), {"--resume", "auto"});
      EXPECT_EQ(train(recipe, arguments), kOk) << err.str();
      first = false;
    }
    return std::pair(tensors(checkpoint(stops.back())), rows());
  }
};

// A configuration with a warm-up of some epochs trains for fewer without another setting, and says what became of the warm-up.
TEST_F(TrainTest, ShortensAWarmUpInEpochsToTheRun) {
  const std::vector<std::string> settings{"schedule.kind=cosine", "schedule.warmup_epochs=5", "train.epochs=2"};
  ASSERT_EQ(train("linear", settings), kOk) << err.str();
  const std::string said = "schedule.warmup_epochs = 5 are 25 steps, the run has 10: its warm-up is shortened to 9";
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr(said));
  EXPECT_THAT(rows(), HasSubstr("\"step\":10,\"epoch\":1,\"split\":\"train\""));
  ASSERT_EQ(train("linear", {"schedule.kind=cosine", "schedule.warmup_epochs=5", "train.epochs=2", "--check"}), kOk);
  EXPECT_THAT(out.str(), HasSubstr(said));
  EXPECT_EQ(train("linear", {"schedule.kind=cosine", "schedule.warmup_steps=25", "train.epochs=2", "--check"}), kUsage);
}

TEST_F(TrainTest, ARunLearnsAndLeavesItsRecords) {
  ASSERT_EQ(train("linear", {"train.epochs=20"}), kOk) << err.str();
  const std::string all = content(run + "/metrics.jsonl");
  EXPECT_THAT(all, HasSubstr("{\"step\":1,\"epoch\":0,\"split\":\"train\",\"loss\":"));
  EXPECT_THAT(all, AllOf(HasSubstr("\"error\":"), HasSubstr("\"norm\":"), HasSubstr("\"lr\":0.05"), HasSubstr("\"gradient_norm\":"),
                         HasSubstr("\"items_per_s\":"), HasSubstr("\"split\":\"validation\",\"mse\":")));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 100 + 20);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("step 100  all epochs done"), HasSubstr("best mse ")));
  EXPECT_THAT(content(run + "/log.txt"), AllOf(HasSubstr("new run"), HasSubstr("(best)"), HasSubstr("saved ")));
  EXPECT_EQ(capstan({"train", run + "/config.cfg", "--print-config"}), kOk) << "the resolved configuration is valid input";
  EXPECT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", run + "/checkpoints/best.h5", "--json"}), kOk) << err.str();
  const auto mse = std::stod(out.str().substr(out.str().find("\"mse\":") + 6));
  EXPECT_LT(mse, 1.6);
  EXPECT_GT(mse, 0.9) << "the constant cannot be learnt";
}

TEST_F(TrainTest, ResumingContinuesToTheBit) {
  // 5 batches an epoch: 4 is an epoch's middle and a validation, 5 its end, 7 in the middle, 10 the end of the second.
  for (const std::string recipe : {"linear", "drifting"}) {
    const auto whole = train_through(recipe, {12});
    for (const std::vector<int>& stops : {std::vector<int>{4, 12}, {5, 12}, {1, 7, 10, 12}})
      EXPECT_EQ(train_through(recipe, stops).first, whole.first) << recipe << " stopped at " << stops[0];
    const std::string average = "train.ema_decay=0.9";
    EXPECT_EQ(train_through(recipe, {4, 7, 12}, {average}).first, train_through(recipe, {12}, {average}).first) << recipe;
    const std::string micro = "train.micro_batch_size=4";
    EXPECT_EQ(train_through(recipe, {3, 9}, {micro}).first, train_through(recipe, {9}, {micro}).first) << recipe;
  }
}

TEST_F(TrainTest, AveragesAreValidatedAndKeptButTrainingNeverSeesThem) {
  const auto plain = train_through("linear", {40}, {"train.epochs=8"}).first;
  const auto averaged = train_through("linear", {40}, {"train.epochs=8", "train.ema_decay=0.99"});
  EXPECT_EQ(averaged.first.at("/weights/layer/weight"), plain.at("/model/layer/weight"));
  EXPECT_NE(averaged.first.at("/model/layer/weight"), plain.at("/model/layer/weight"));
  ASSERT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", checkpoint(40), "--split", "validation", "--json"}), kOk) << err.str();
  const std::string mse = out.str().substr(out.str().find("\"mse\":"), 14);
  EXPECT_THAT(averaged.second, HasSubstr("\"step\":40,\"epoch\":7,\"split\":\"validation\"," + mse));
}

TEST_F(TrainTest, RowsOfAResumedRunAreThoseOfAnUninterruptedOne) {
  const auto whole = train_through("linear", {12}, {"train.log_every=3"});
  const auto parts = train_through("linear", {4, 8, 12}, {"train.log_every=3"});  // 4 and 8 validate anyway
  EXPECT_EQ(parts.second, whole.second);
}

TEST_F(TrainTest, RowsPastTheRestoredStepAreRemoved) {
  ASSERT_EQ(train("linear", {"train.max_steps=8", "checkpoint.every=2", "checkpoint.keep_last=10", "train.evaluate_every=100"}), kOk);
  const std::string whole = rows();
  for (const int step : {6, 8}) std::filesystem::remove(checkpoint(step));
  ASSERT_EQ(train("linear", {"train.max_steps=8", "--resume", "auto", "train.evaluate_every=100"}), kOk) << err.str();
  EXPECT_EQ(rows(), whole);
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("resumed from " + checkpoint(4) + " at step 4"));
}

TEST_F(TrainTest, MicroBatchesEqualOneLargeBatch) {
  const auto whole = train_through("linear", {6}, {"data.noise=0", "data.rows=44"});  // the last batch of an epoch is smaller
  for (const char* micro : {"train.micro_batch_size=4", "train.micro_batch_size=2"}) {
    const auto parts = train_through("linear", {6}, {"data.noise=0", "data.rows=44", micro});
    const auto &a = whole.first.at("/model/layer/weight"), &b = parts.first.at("/model/layer/weight");
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 2e-6) << micro;
  }
  EXPECT_EQ(train("linear", {"train.micro_batch_size=3"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("train.micro_batch_size must divide train.batch_size, got 3 and 8"));
}

TEST_F(TrainTest, WorkersDoNotChangeNumbers) {
  const auto none = train_through("linear", {9}, {"loader.workers=0"});
  const auto three = train_through("linear", {9}, {"loader.workers=3", "loader.depth=2"});
  EXPECT_EQ(none.first, three.first);
}

TEST_F(TrainTest, StopsEarlyAndKeepsTheBest) {
  // A rate so large that the first validation stays the best.
  ASSERT_EQ(train("linear", {"train.epochs=50", "optimizer.learning_rate=30", "train.patience=3", "checkpoint.keep_last=1"}), kOk)
      << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("no improvement within train.patience"), HasSubstr("at step ")));
  const auto best = Checkpoint(run + "/checkpoints/best.h5").train_state();
  EXPECT_EQ(best.step, best.best_step);
  const auto last = Checkpoint(checkpoint(best.step + 15)).train_state();
  EXPECT_EQ(last.bad_validations, 3);
  EXPECT_EQ(last.best_metric, best.best_metric);
}

TEST_F(TrainTest, AnUnknownMetricIsRefusedWithTheKnownOnes) {
  EXPECT_EQ(train("linear", {"train.metric=ndcg@10"}), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("ndcg@10"), HasSubstr("known are mse")));
  EXPECT_EQ(train("linear", {"train.metric=mes"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("did you mean 'mse'?"));
}

TEST_F(TrainTest, AMetricWithoutADirectionSelectsNothing) {
  EXPECT_EQ(train("linear", {"train.metric=rows", "--check"}), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("train.metric: 'rows' says nothing about how good a model is"), HasSubstr("known are mse")));
  EXPECT_EQ(train("linear", {"--check"}), kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("selects by mse, lower is better"));
}

TEST_F(TrainTest, EveryOptimizerIsAChoiceOfEveryRecipe) {
  for (const char* kind : {"adam", "adam_tensorflow", "adamw", "bert_adam", "adagrad", "sgd", "lion"}) {
    std::filesystem::remove_all(run);
    ASSERT_EQ(train("linear", {std::string("optimizer.kind=") + kind, "train.max_steps=4"}), kOk) << kind << ": " << err.str();
    EXPECT_EQ(Checkpoint(checkpoint(4)).optimizer_name(), std::string_view(kind) == "adam_tensorflow" ? "adam" : kind);
  }
  EXPECT_EQ(train("linear", {"optimizer.momentum=0.9"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("optimizer.momentum = 0.9: only adagrad and sgd have one"));
}

TEST_F(TrainTest, NumbersThatNobodySetFollowTheOptimizer) {
  const auto printed = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments{"--print-config"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    EXPECT_EQ(train("linear", arguments), kOk) << err.str();
    return out.str();
  };
  EXPECT_THAT(printed({}), AllOf(HasSubstr("learning_rate = 0.05 "), HasSubstr("beta2 = 0.999 "))) << "the recipe's own";
  EXPECT_THAT(printed({"optimizer.kind=lion"}), AllOf(HasSubstr("learning_rate = 1e-04 "), HasSubstr("beta2 = 0.99 ")));
  EXPECT_THAT(printed({"optimizer.kind=lion", "optimizer.learning_rate=0.3"}),
              AllOf(HasSubstr("learning_rate = 0.3 "), HasSubstr("beta2 = 0.99 ")));
}

TEST_F(TrainTest, ResumingWithAnotherOptimizerStartsItAnewAndSaysSo) {
  ASSERT_EQ(train("linear", {"train.max_steps=3"}), kOk) << err.str();
  ASSERT_EQ(train("linear", {"train.max_steps=6", "optimizer.kind=sgd", "--resume", "auto"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), AllOf(HasSubstr("the optimiser was adam, is sgd: it starts without state"),
                                               HasSubstr("changed since the checkpoint: optimizer.kind was adam, is sgd")));
  EXPECT_EQ(Checkpoint(checkpoint(6)).optimizer_name(), "sgd");
}

TEST_F(TrainTest, NanStopsWithoutTouchingTheBest) {
  ASSERT_EQ(train("linear", {"train.max_steps=7", "train.evaluate_every=2", "data.poison=7"}), kOk);
  const std::string best = content(run + "/checkpoints/best.h5");
  const auto files = checkpoints();
  EXPECT_EQ(train("linear", {"data.poison=7", "train.evaluate_every=2", "--resume", "auto"}), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the loss is not finite: nan at step 7"));
  EXPECT_EQ(content(run + "/checkpoints/best.h5"), best);
  EXPECT_EQ(checkpoints(), files);
  EXPECT_THAT(content(run + "/metrics.jsonl"), HasSubstr("\"not_finite\":{\"loss\":\"nan\"}"));
  const Checkpoint dump(run + "/nan_dump.h5");
  EXPECT_EQ(tensors(run + "/nan_dump.h5").at("/model/layer/weight"), tensors(checkpoint(7)).at("/model/layer/weight"))
      << "the last finite weights";
}

TEST_F(TrainTest, ResumeRefusesWhatDoesNotBelong) {
  ASSERT_EQ(train("linear", {"train.max_steps=3"}), kOk);
  EXPECT_EQ(train("linear"), kUsage) << "a fresh run must not overwrite an old one";
  EXPECT_THAT(err.str(), HasSubstr("--resume auto"));
  EXPECT_EQ(train("linear", {"--resume", "auto", "data.rows=41"}), kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("was trained on other data: digest rows-40, the data here has rows-41"));
  EXPECT_EQ(train("linear", {"--resume", "auto", "train.batch_size=4", "run.seed=9"}), kBadCheckpoint);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("train.batch_size was 8, is 4"), HasSubstr("run.seed was 1, is 9")));
  EXPECT_EQ(train("linear", {"--resume", "auto", "model.width=5"}), kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("/model/layer/weight: the model has f32[5], the file f32[4]"));
  EXPECT_EQ(train("drifting", {"--resume", "auto"}), kBadCheckpoint);
  EXPECT_THAT(err.str(), HasSubstr("belongs to the recipe linear, not to drifting"));
  EXPECT_EQ(train("linear", {"--resume", "auto", "optimizer.learning_rate=0.01", "train.max_steps=4"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("changed since the checkpoint: optimizer.learning_rate was 0.05, is 0.01"));
}

struct CourseTest : TrainTest {
  /// Of best.h5: its step, and what it says of the comparison.
  static TrainState best_of(const std::string& directory) { return Checkpoint(directory + "/checkpoints/best.h5").train_state(); }
  /// A run whose second validation is the best, of steps 5, 10, 15; what is left are 10 and 15.
  void train_past_the_best() { ASSERT_EQ(train("linear", {"optimizer.learning_rate=30", "checkpoint.keep_last=1"}), kOk) << err.str(); }
  std::string log(const std::string& directory) const { return content(directory + "/log.txt"); }
};

TEST_F(CourseTest, TheBestOfAnotherRunComesAlong) {
  train_past_the_best();
  for (const std::string& file : {checkpoint(15), checkpoint(10), run + "/checkpoints/best.h5"}) {
    const std::string other = scratch / "other";
    std::filesystem::remove_all(other);
    ASSERT_EQ(train("linear", {"run.dir=" + other, "--resume", file, "train.epochs=5", "optimizer.learning_rate=3000"}), kOk) << err.str();
    EXPECT_EQ(tensors(other + "/checkpoints/best.h5"), tensors(checkpoint(10))) << file;
    EXPECT_EQ(best_of(other).best_step, 10);
    EXPECT_THAT(log(other), Not(HasSubstr("comparison")));
  }
}

TEST_F(CourseTest, WithoutTheBestTheComparisonStartsWithTheFile) {
  train_past_the_best();
  std::filesystem::create_directory(scratch / "copies");
  std::filesystem::copy(checkpoint(15), scratch / "copies/mine.h5");
  const std::string other = scratch / "other";
  ASSERT_EQ(train("linear", {"run.dir=" + other, "--resume", scratch / "copies/mine.h5", "train.epochs=3"}), kOk) << err.str();
  EXPECT_EQ(best_of(other).step, 15);
  EXPECT_EQ(tensors(other + "/checkpoints/best.h5"), tensors(checkpoint(15)));
  EXPECT_THAT(log(other),
              HasSubstr("the best checkpoint so far, of step 10, is not there any more: the comparison starts with that of step 15"));
}

TEST_F(CourseTest, AnOlderStepTakesTheBestOfItsOwnCourse) {
  ASSERT_EQ(train("linear", {"checkpoint.keep_last=9"}), kOk) << err.str();
  ASSERT_EQ(best_of(run).step, 15);
  const auto at_10 = tensors(checkpoint(10));
  ASSERT_EQ(train("linear", {"--resume", checkpoint(10), "optimizer.learning_rate=30", "train.epochs=4", "checkpoint.keep_last=9"}), kOk)
      << err.str();
  EXPECT_EQ(tensors(run + "/checkpoints/best.h5"), at_10);
  EXPECT_EQ(Checkpoint(checkpoint(20)).train_state().best_step, 10);
}

TEST_F(CourseTest, AnotherRunIsNotMixedWithTheOneThatIsThere) {
  ASSERT_EQ(train("linear", {"train.max_steps=2"}), kOk) << err.str();
  const std::string other = scratch / "other";
  ASSERT_EQ(train("linear", {"run.dir=" + other, "train.max_steps=3"}), kOk) << err.str();
  const auto before = checkpoints();
  EXPECT_EQ(train("linear", {"--resume", other + "/checkpoints/best.h5"}), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr(run + "/checkpoints: holds another run, up to step 2"), HasSubstr("choose another run.dir"),
                               HasSubstr("--resume auto")));
  EXPECT_EQ(checkpoints(), before);
  EXPECT_EQ(train("linear", {"run.dir=" + scratch / "none", "--resume", "best"}), kUsage);
}

TEST_F(CourseTest, TheConfigurationOfARunLeadsBackToIt) {
  ASSERT_EQ(train("linear", {"train.epochs=2"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/config.cfg"), HasSubstr("dir = " + run + " "));
  ASSERT_EQ(capstan({"train", run + "/config.cfg", "--resume", "auto", "train.epochs=3"}), kOk) << err.str();
  EXPECT_THAT(log(run), HasSubstr("resumed from " + checkpoint(10)));
  const std::string moved = scratch / "moved";
  std::filesystem::rename(run, moved);
  ASSERT_EQ(capstan({"train", moved + "/config.cfg", "--resume", "auto", "train.epochs=4"}), kOk) << err.str();
  EXPECT_THAT(log(moved), HasSubstr("resumed from " + moved + "/checkpoints/step-000000015.h5"));
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST_F(TrainTest, AutoPassesOverADamagedFileAndSaysSo) {
  ASSERT_EQ(train("linear", {"train.max_steps=6", "checkpoint.every=2"}), kOk);
  std::string bytes = content(checkpoint(6));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  data::write_file_durably(checkpoint(6), std::string_view(bytes));
  EXPECT_EQ(train("linear", {"train.max_steps=7", "--resume", checkpoint(6)}), kBadCheckpoint) << "named explicitly";
  ASSERT_EQ(train("linear", {"train.max_steps=7", "--resume", "auto"}), kOk) << err.str();
  EXPECT_THAT(err.str(), AllOf(HasSubstr("passed over " + checkpoint(6)), HasSubstr("damaged")));
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("resumed from " + checkpoint(5))) << "saved for its validation";
}

TEST_F(TrainTest, AutoWithoutAnyCheckpointStartsFresh) {
  EXPECT_EQ(train("linear", {"train.max_steps=2", "--resume", "auto"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("new run"));
}

TEST_F(TrainTest, ATerminalShowsHowFarAnEvaluationIs) {
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk) << err.str();
  int terminal = -1;
  ASSERT_EQ(::openpty(&terminal, &progress_fd, nullptr, nullptr, nullptr), 0);
  Trouble::evaluation = milliseconds(60);
  EXPECT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", checkpoint(1), "evaluate.batch_size=16", "--split", "validation"}), kOk)
      << err.str();
  Trouble::evaluation = milliseconds(0);
  // What was written reaches the other side a moment later.
  constexpr std::string_view kGone = "\r\x1b[K";
  std::string text;
  std::array<char, 4096> part{};
  for (pollfd waiting{.fd = terminal, .events = POLLIN, .revents = 0}; !text.ends_with(kGone) && ::poll(&waiting, 1, 5000) == 1;) {
    const auto n = ::read(terminal, part.data(), part.size());
    ASSERT_GT(n, 0);
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  ::close(terminal);
  ::close(progress_fd);
  EXPECT_THAT(text, HasSubstr("/4 "));
  EXPECT_THAT(text, testing::StartsWith("\rvalidation  "));
  EXPECT_THAT(text, testing::EndsWith(kGone)) << "it is gone when the evaluation is done";
}

template <class R>
struct Erased : ErasedRecipe<R> {
  explicit Erased(const LinearConfig& config = {}) : ErasedRecipe<R>(config, {.seed = 1, .batch_size = 8}) {}
  std::vector<AnyBatch> first() {
    EpochOrder order(*this);
    return {training_batch(*this, order, 0, 0)};
  }
};

TEST(EpochOrder, EveryEpochIsDrawnOnceWhileItIsInUse) {
  struct Counting : Linear {
    using Linear::Linear;
    std::int64_t size(Split split) const {
      ++drawn();
      return Linear::size(split);
    }
    static int& drawn() {
      static int count = 0;
      return count;
    }
  };
  const Erased<Counting> recipe;
  EpochOrder order(recipe, 3), two(recipe);
  const auto all = [](EpochOrder& o) {
    std::vector<std::vector<std::int64_t>> samples;
    for (int round = 0; round < 3; ++round)
      for (std::int64_t epoch = 5; epoch < 8; ++epoch) samples.push_back(o.samples(epoch, 0, 40));
    return samples;
  };
  Counting::drawn() = 0;
  const auto samples = all(order);
  EXPECT_EQ(Counting::drawn(), 3);
  EXPECT_EQ(samples[0], samples[3]);
  EXPECT_NE(samples[0], samples[1]);
  EXPECT_EQ(all(two), samples) << "whatever is kept, the order is the same";
}

TEST(TrainStep, AnEmptyBatchIsRefused) {
  struct Empty : Linear {
    using Linear::Linear;
    std::array<double, 2> loss_counts(const Batch&) const { return {0, 1}; }
  };
  Erased<Empty> recipe;
  EXPECT_THROW(gradient_step(recipe, recipe.first(), {}), DataError);
}

TEST(TrainStep, ATermMayBeConstant) {
  struct OneConstant : Linear {  // as of a term beneath which everything is frozen
    using Linear::Linear;
    std::array<Tensor, 2> loss(const Batch& batch, const nn::Run& run) {
      const std::array<Tensor, 2> sums = Linear::loss(batch, run);
      return {add(sums[0], sums[1]), Tensor::scalar(500.0f)};
    }
  };
  Erased<OneConstant> recipe;
  StepGradients step = gradient_step(recipe, recipe.first(), {});
  EXPECT_EQ(step.loss.sums[1] / step.loss.counts[1], .5);
  EXPECT_TRUE(step.loss.without_gradient.empty());
  EXPECT_GT(optim::clip_global_norm(step.gradients, 1).norm, 0);
}

TEST(TrainStep, ClippingLimitsTheStep) {
  const auto moved = [](double clip) {
    Erased<Linear> recipe({.noise = 0});
    optim::Sgd sgd(recipe.parameters().parameters());
    const auto before = recipe.parameters().parameters()[0].value().to_vector();
    train_step(recipe, sgd, recipe.first(), {.seed = 1}, 1.0, clip);
    double sum = 0;
    const auto after = recipe.parameters().parameters()[0].value().to_vector();
    for (std::size_t i = 0; i < after.size(); ++i) sum += (after[i] - before[i]) * (after[i] - before[i]);
    return std::sqrt(sum);
  };
  EXPECT_NEAR(moved(0.125), 0.125, 1e-6);
  EXPECT_GT(moved(0), 1);
}

TEST(StepSchedule, DropsWhereTheSharesSay) {
  const auto rate = make_schedule({.kind = ScheduleKind::step, .warmup_steps = 10, .drops = {0.5, 0.9}}, 1.0, 1, 100);
  EXPECT_DOUBLE_EQ(rate(5), 0.5);
  EXPECT_DOUBLE_EQ(rate(49), 1);
  EXPECT_DOUBLE_EQ(rate(50), 0.1);
  EXPECT_NEAR(rate(90), 0.01, 1e-15);
  EXPECT_NEAR(rate(500), 0.01, 1e-15);
  EXPECT_THROW(make_schedule({.kind = ScheduleKind::step, .drops = {0.9, 0.5}}, 1.0, 1, 100), ConfigError);
}

}  // namespace
}  // namespace capstan::engine::test
