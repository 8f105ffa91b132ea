#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/core/error.h"

namespace capstan::optim {
namespace {

void expect_values(const Schedule& schedule, const std::vector<std::pair<std::int64_t, double>>& expected, double tolerance) {
  for (const auto& [step, value] : expected) EXPECT_NEAR(schedule(step), value, tolerance) << "step " << step;
}

TEST(Schedule, BertDropsAfterItsWarmup) {
  const LinearWarmup o{.peak = 5e-5, .total = 100, .warmup = 10};
  expect_values(bert_linear(o),
                {{0, 0}, {1, 5e-6}, {5, 2.5e-5}, {9, 4.5e-5}, {10, 4.5e-5}, {11, 4.45e-5}, {50, 2.5e-5}, {99, 5e-7}, {100, 0}, {150, 0}},
                1e-15);
  expect_values(
      linear_with_warmup(o),
      {{0, 0}, {1, 5e-6}, {5, 2.5e-5}, {9, 4.5e-5}, {10, 5e-5}, {11, 4.9444444e-5}, {50, 2.7777778e-5}, {99, 5.55556e-7}, {100, 0}}, 1e-11);
}

TEST(Schedule, VitCosineAndLinear) {
  expect_values(cosine_with_warmup({.peak = .03, .total = 100, .warmup = 10}),
                {{1, .003}, {5, .015}, {10, .03}, {55, .015}, {77, .004580124}, {100, 0}}, 1e-9);
  expect_values(linear_with_warmup({.peak = .03, .total = 100, .warmup = 10}), {{55, .015}, {77, .007666667}, {100, 0}}, 1e-9);
  expect_values(with_warmup({.steps = 10}, linear_decay({.peak = .03, .end = 1e-5, .total = 90})), {{55, .015005}, {100, 1e-5}}, 1e-9);
}

TEST(Schedule, SwinAndDeitCosine) {
  expect_values(cosine_with_warmup({.peak = 5e-4, .end = 5e-6, .start = 5e-7, .total = 100, .warmup = 10}),
                {{0, 5e-7}, {5, 2.5025e-4}, {9, 4.5005e-4}, {10, 5e-4}, {55, 2.525e-4}, {99, 5.150770e-6}, {100, 5e-6}, {200, 5e-6}},
                1e-12);
  expect_values(cosine_under_warmup({.peak = 5e-4, .end = 1e-5, .start = 1e-6, .total = 100, .warmup = 10}),
                {{0, 1e-6}, {5, 2.505e-4}, {10, 4.88008846e-4}, {55, 2.16673556e-4}, {99, 1.01208927e-5}, {100, 1e-5}}, 1e-12);
}

TEST(Schedule, OtherForms) {
  expect_values(constant(.5), {{0, .5}, {1000, .5}}, 0);
  expect_values(polynomial_decay({.peak = 1, .end = .2, .total = 10, .power = 2}), {{0, 1}, {5, .4}, {10, .2}, {11, .2}}, 1e-15);
  expect_values(step_decay({.peak = 1, .factor = .1, .milestones = {10, 20}}), {{9, 1}, {10, .1}, {19, .1}, {20, .01}, {99, .01}}, 1e-15);
  expect_values(inverse_sqrt({.peak = 2, .warmup = 100}), {{0, 0}, {50, 1}, {100, 2}, {400, 1}, {10000, .2}}, 1e-15);
  expect_values(with_warmup({.steps = 0}, constant(.5)), {{0, .5}}, 0);
}

TEST(Schedule, RefusesEmptySpans) {
  EXPECT_THROW(linear_decay({.peak = 1, .total = 0}), ConfigError);
  EXPECT_THROW(linear_with_warmup({.peak = 1, .total = 10, .warmup = 10}), ConfigError);
  EXPECT_THROW(with_warmup({.steps = -1}, constant(1)), ConfigError);
  EXPECT_THROW(step_decay({.peak = 1, .milestones = {20, 10}}), ConfigError);
}

}  // namespace
}  // namespace capstan::optim
