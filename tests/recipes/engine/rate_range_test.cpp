// The learning-rate range test: the curve, what it suggests, and the command.
#include "recipes/engine/train/rate_range.h"

#include <signal.h>

#include <cmath>

#include "data/json.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(RateCurve, SuggestsTheSteepestDescent) {
  RateCurve curve({1e-5, 10}, 101);
  EXPECT_EQ(curve.next_rate(), 1e-5);
  std::size_t steps = 0;
  for (; !curve.done(); ++steps) {
    // Falls around a rate of 0.01 (a logistic curve over the logarithm of the rate), and explodes near 1.
    const double at = std::log10(curve.next_rate());
    EXPECT_EQ(curve.steepest(), std::nullopt) << "not before it is done";
    curve.add(1 + 4 / (1 + std::exp(4 * (at + 2))) + std::exp(8 * at));
  }
  EXPECT_LT(steps, 101u) << "four times the lowest loss";
  EXPECT_NEAR(std::log10(*curve.steepest()), -2, 0.6) << "the average lags by some steps";
  EXPECT_GT(*curve.lowest(), *curve.steepest());
  EXPECT_NEAR(curve.trials()[60].rate, 1e-5 * std::pow(1e6, 0.6), 1e-12);

  // One row a step, and the suggestion.
  std::istringstream rows(rate_rows(curve));
  std::size_t count = 0;
  std::string line;
  while (std::getline(rows, line) && line.find("suggested") == std::string::npos) {
    const data::Json row = data::parse_json(line, "row");
    EXPECT_EQ(row["step"].integer(), static_cast<std::int64_t>(++count));
    EXPECT_EQ(row["lr"].number(), curve.trials()[count - 1].rate);
    EXPECT_EQ(row["smoothed"].number(), curve.trials()[count - 1].smoothed);
  }
  EXPECT_EQ(count, steps);
  EXPECT_EQ(data::parse_json(line, "row")["suggested"].number(), *curve.steepest());
  EXPECT_THAT(rate_table(curve.trials()), AllOf(HasSubstr("smoothed loss\n"), HasSubstr("####"), HasSubstr(" ...\n")));
}

TEST(RateCurve, AFallBehindTheLowestIsNoFall) {
  RateCurve curve({1e-4, 1}, 100);
  for (int i = 0; i < 60; ++i) curve.add(5 - 0.02 * i);
  for (int i = 0; i < 20; ++i) curve.add(9);
  for (int i = 0; i < 20; ++i) curve.add(5);  // steeper than ever before
  ASSERT_TRUE(curve.steepest().has_value());
  EXPECT_LT(*curve.steepest(), *curve.lowest());
}

TEST(RateCurve, TheAverageOfAConstantIsTheConstant) {
  RateCurve curve({0.1, 1}, 20);
  while (!curve.done()) curve.add(3);
  EXPECT_EQ(curve.trials().size(), 20u);
  EXPECT_EQ(curve.trials().back().rate, 1);
  for (const RateTrial& t : curve.trials()) EXPECT_NEAR(t.smoothed, 3, 1e-12);
  EXPECT_THAT(rate_table({}), "");
}

TEST(RateCurve, ALossThatIsNotFiniteEndsIt) {
  RateCurve curve({0.1, 1}, 20);
  for (const double loss : {3.0, 2.5, 2.0}) curve.add(loss);
  EXPECT_FALSE(curve.done());
  curve.add(std::nan(""));
  EXPECT_TRUE(curve.done());
  EXPECT_EQ(curve.trials().size(), 3u);
}

TEST(RateCurve, Refuses) {
  for (const char* text : {"", "1", "0:1", "1:1", "1:0.5", "-1:1", "a:b", "1e-3:inf", "1:2:3"})
    EXPECT_THAT(message_of<ConfigError>([&] { parse_rate_range(text); }), Not(testing::IsEmpty())) << text;
  EXPECT_EQ(parse_rate_range("1e-3:2").high, 2);
  EXPECT_THAT(message_of<ConfigError>([] { RateCurve({1, 2}, 9); }), HasSubstr("takes 10 to 1000000 steps, got 9"));
}

using RateRangeTest = ProgramTest;

TEST_F(RateRangeTest, LeavesTheWayClearToTrain) {
  for (const char* recipe : {"linear", "drifting"}) {
    std::filesystem::remove_all(run);
    ASSERT_EQ(train(recipe, {"--lr-range", "1e-4:10", "--steps", "40"}), kOk) << err.str();
    EXPECT_THAT(out.str(), AllOf(HasSubstr("learning rate  smoothed loss\n"), HasSubstr("suggested: optimizer.learning_rate="),
                                 HasSubstr(run + "/lr_range.jsonl\n")));
    std::vector<std::string> files;
    for (const auto& e : std::filesystem::directory_iterator(run)) files.push_back(e.path().filename());
    EXPECT_THAT(files, testing::UnorderedElementsAre("lr_range.jsonl", "run.lock"));
    const std::string rows = content(run + "/lr_range.jsonl");
    EXPECT_THAT(rows, AllOf(testing::StartsWith("{\"step\":1,\"lr\":1e-04,\"loss\":"), HasSubstr("{\"suggested\":")));

    ASSERT_EQ(train(recipe, {"train.max_steps=2"}), kOk) << err.str();
    const auto trained = tensors(checkpoint(2));
    EXPECT_EQ(content(run + "/lr_range.jsonl"), rows);
    // Nor does it touch a run that is there, and says the same again: it starts from the initial weights.
    ASSERT_EQ(train(recipe, {"--lr-range", "1e-4:10", "--steps", "40"}), kOk) << err.str();
    EXPECT_EQ(content(run + "/lr_range.jsonl"), rows);
    EXPECT_EQ(tensors(checkpoint(2)), trained);
    EXPECT_EQ(train(recipe, {"train.max_steps=4", "--resume", "auto"}), kOk) << err.str();
  }
}

TEST_F(RateRangeTest, WhatDoesNotGoTogether) {
  EXPECT_EQ(train("linear", {"--lr-range", "1"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("train: --lr-range: learning rates are LOW:HIGH"));
  EXPECT_EQ(train("linear", {"--steps", "20"}), kUsage);
  for (const std::vector<std::string>& other : {std::vector<std::string>{"--check"}, {"--resume", "auto"}, {"--profile", "1"}}) {
    std::vector<std::string> arguments{"--lr-range", "1:2"};
    arguments.insert(arguments.end(), other.begin(), other.end());
    EXPECT_EQ(train("linear", arguments), kUsage);
    EXPECT_THAT(err.str(), HasSubstr("it does not go with " + other[0]));
  }
  EXPECT_FALSE(std::filesystem::exists(run));
  std::filesystem::create_directories(run);
  const RunLock held(run);
  EXPECT_EQ(train("linear", {"--lr-range", "1e-4:1"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("is in use by process"));
  EXPECT_FALSE(std::filesystem::exists(run + "/lr_range.jsonl"));
}

TEST_F(RateRangeTest, ALossThatIsNotFiniteIsNoError) {
  ASSERT_EQ(train("linear", {"--lr-range", "1e-4:1", "--steps", "30", "data.poison=20"}), kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("ended after 20 of 30 steps: train: the loss is not finite: nan at step 20\n"));
  EXPECT_THAT(content(run + "/lr_range.jsonl"), AllOf(HasSubstr("{\"step\":20,"), Not(HasSubstr("{\"step\":21,"))));
}

}  // namespace
}  // namespace capstan::engine::test
