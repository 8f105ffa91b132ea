// What every optimiser promises, over the samples of every update rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/core/rng.h"
#include "tests/message_of.h"
#include "tests/optim/samples.h"

namespace capstan::optim {
namespace {

using OtherRows = OptimizerSample::OtherRows;

Tensor converted(const std::vector<double>& values, const Shape& shape, DType dtype) {
  if (dtype == DType::f64) return Tensor::from(values, shape);
  return Tensor::from(std::vector<float>(values.begin(), values.end()), shape);
}
Tensor noise(const Shape& shape, std::uint64_t seed, DType dtype) {
  Rng rng(seed);
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(static_cast<float>(rng.uniform(-1, 1)));
  return converted(values, shape, dtype);
}

constexpr std::int64_t kRows = 9, kWidth = 4;

std::vector<Parameter> parameters(DType dtype) {
  return {{"weight", noise({5, 11}, 1, dtype)},
          {"bias", noise({3}, 2, dtype), {.decay = false}},
          {"table", noise({kRows, kWidth}, 3, dtype), {.sparse_gradient = true}}};
}

/// The rows of the table that step names: one of them twice, the last one never.
std::vector<std::int64_t> named_at(int step) { return {step % 3, 3 + step % 5, step % 3}; }

std::vector<Gradient> gradients_at(int step, DType dtype) {
  const auto seed = 100 * static_cast<std::uint64_t>(step);
  return {noise({5, 11}, seed + 1, dtype), noise({3}, seed + 2, dtype),
          Gradient::rows(Tensor::from(named_at(step), {3}), noise({3, kWidth}, seed + 3, dtype), {kRows, kWidth})};
}
Gradient densified(const Gradient& g) {
  std::vector<double> dense(kRows * kWidth);
  const std::vector<double> indices = g.indices().to_vector(), values = g.row_values().to_vector();
  for (std::size_t i = 0; i < values.size(); ++i) dense[static_cast<std::size_t>(indices[i / kWidth]) * kWidth + i % kWidth] += values[i];
  return converted(dense, g.shape(), g.row_values().dtype());
}

double learning_rate_at(int step) { return .01 * (1 + step % 4); }

void run(Optimizer& optimizer, int first, int last) {
  const DType dtype = optimizer.parameters()[0].value().dtype();
  for (int step = first; step < last; ++step) optimizer.step(gradients_at(step, dtype), learning_rate_at(step), .5);
}

/// Steps with absent gradients of the weight and the table.
void run_without_two(Optimizer& optimizer, int first, int last) {
  for (int step = first; step < last; ++step) {
    std::vector<Gradient> gradients = gradients_at(step, optimizer.parameters()[0].dtype());
    gradients[0] = gradients[2] = {};
    optimizer.step(gradients, learning_rate_at(step), .5);
  }
}

/// Value and state of one parameter; synchronises.
std::vector<std::vector<double>> everything_of(Optimizer& optimizer, std::size_t index) {
  const Parameter& p = optimizer.parameters()[index];
  std::vector<std::vector<double>> out;
  for (const OptimizerState& s : optimizer.state())  // steps of rows are counts, not state of the rule
    if (s.parameter == p.name() && is_floating(s.value.dtype())) out.push_back(s.value.to_vector());
  out.push_back(p.value().to_vector());
  return out;
}

/// Values and state; synchronises.
std::vector<std::vector<double>> everything(Optimizer& optimizer) {
  std::vector<std::vector<double>> out;
  for (const OptimizerState& s : optimizer.state()) out.push_back(s.value.to_vector());
  for (const Parameter& p : optimizer.parameters()) out.push_back(p.value().to_vector());
  return out;
}

template <class Rule>
class EveryOptimizer : public ::testing::Test {
 protected:
  template <class F>
  static void for_each(const F& f) {
    for (const OptimizerSample& sample : Samples<Rule>::optimizers()) {
      SCOPED_TRACE(sample.name);
      f(sample);
    }
  }
};
TYPED_TEST_SUITE(EveryOptimizer, RuleTypes<kernels::UpdateRule>::type, RuleNames);

TYPED_TEST(EveryOptimizer, ResumesBitForBit) {
  this->for_each([](const OptimizerSample& sample) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      const auto whole = sample.make(parameters(dtype));
      run(*whole, 0, 14);
      const auto before = sample.make(parameters(dtype)), after = sample.make(parameters(dtype));
      run(*before, 0, 7);
      run(*after, 0, 3);  // whatever it holds is replaced
      after->load_state(before->state(), before->step_count());
      for (std::size_t i = 0; i < after->parameters().size(); ++i)
        dispatch_floating("test", dtype, [&, &from = before->parameters()[i].value(), &to = after->parameters()[i].value()](auto zero) {
          using T = decltype(zero);
          std::ranges::copy(from.template span<const T>(), to.template span<T>().begin());
        });
      run(*after, 7, 14);
      EXPECT_EQ(everything(*whole), everything(*after));
    }
  });
}

TYPED_TEST(EveryOptimizer, FollowsTheOracle) {
  this->for_each([](const OptimizerSample& sample) {
    const auto fast = sample.make(parameters(DType::f32)), oracle = sample.make(parameters(DType::f64));
    run(*fast, 0, 30);
    run(*oracle, 0, 30);
    const auto actual = everything(*fast), expected = everything(*oracle);
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t k = 0; k < actual.size(); ++k)
      for (std::size_t i = 0; i < actual[k].size(); ++i)
        ASSERT_NEAR(actual[k][i], expected[k][i], 2e-6 * (1 + std::abs(expected[k][i]))) << "tensor " << k << ", element " << i;
  });
}

TYPED_TEST(EveryOptimizer, TreatsRowsThatAreNotNamedAsItPromises) {
  this->for_each([](const OptimizerSample& sample) {
    const auto sparse = sample.make(parameters(DType::f64)), dense = sample.make(parameters(DType::f64));
    std::vector<double> before = sparse->parameters()[2].value().to_vector();
    for (int step = 0; step < 40; ++step) {
      std::vector<Gradient> gradients = gradients_at(step, DType::f64);
      sparse->step(gradients, learning_rate_at(step), .5);
      const std::vector<std::int64_t> named = named_at(step);
      gradients[2] = densified(gradients[2]);
      dense->step(gradients, learning_rate_at(step), .5);
      const std::vector<double> now = sparse->parameters()[2].value().to_vector(), other = dense->parameters()[2].value().to_vector();
      for (std::size_t i = 0; i < now.size() && !sparse->moves_unnamed_rows(2); ++i)
        ASSERT_TRUE(std::ranges::count(named, static_cast<std::int64_t>(i / kWidth)) > 0 || now[i] == before[i]) << "element " << i;
      EXPECT_FALSE(sample.other_rows == OtherRows::rest && sparse->moves_unnamed_rows(2));
      for (std::size_t i = 0; i < now.size() && sample.other_rows == OtherRows::rest; ++i) {
        const bool is_named = std::ranges::count(named, static_cast<std::int64_t>(i / kWidth)) > 0;
        ASSERT_EQ(now[i] != before[i], is_named) << "step " << step << ", element " << i;
        if (is_named && step == 0) {
          ASSERT_EQ(now[i], other[i]) << "element " << i;
        }
      }
      before = now;
    }
    if (sample.other_rows == OtherRows::as_dense) {
      EXPECT_EQ(everything(*sparse), everything(*dense));
    }
    if (sample.other_rows == OtherRows::as_dense_later) {
      sparse->synchronize();
      const std::vector<double> now = sparse->parameters()[2].value().to_vector(), other = dense->parameters()[2].value().to_vector();
      for (std::size_t i = 0; i < now.size(); ++i) EXPECT_NEAR(now[i], other[i], 2e-7) << "element " << i;
    }
  });
}

void freeze_weight_and_table(const Optimizer& optimizer, bool frozen) {
  for (const std::size_t i : {0u, 2u}) optimizer.parameters()[i].set_trainable(!frozen);
}

TYPED_TEST(EveryOptimizer, LeavesAloneWhatIsFrozenAndGoesOnAfterwards) {
  this->for_each([](const OptimizerSample& sample) {
    const auto frozen = sample.make(parameters(DType::f64)), waiting = sample.make(parameters(DType::f64));
    run(*frozen, 0, 5);
    run(*waiting, 0, 5);
    const auto weight = everything_of(*frozen, 0), table = everything_of(*frozen, 2), bias = everything_of(*frozen, 1);
    freeze_weight_and_table(*frozen, true);
    run(*frozen, 5, 10);  // gradients arrive, and count for nothing
    run_without_two(*waiting, 5, 10);
    EXPECT_EQ(everything_of(*frozen, 0), weight);
    EXPECT_EQ(everything_of(*frozen, 2), table);
    EXPECT_NE(everything_of(*frozen, 1), bias);
    EXPECT_EQ(frozen->step_count(), 10);
    freeze_weight_and_table(*frozen, false);
    run(*frozen, 10, 15);
    run(*waiting, 10, 15);
    EXPECT_NE(everything_of(*frozen, 0), weight);
    EXPECT_NE(everything_of(*frozen, 2), table);
    EXPECT_EQ(everything(*frozen), everything(*waiting)) << "the same as steps without a gradient";
  });
}

TYPED_TEST(EveryOptimizer, GivesStateToWhatIsUnfrozenLater) {
  this->for_each([](const OptimizerSample& sample) {
    const std::vector<Parameter> late_parameters = parameters(DType::f64);
    late_parameters[0].set_trainable(false);
    late_parameters[2].set_trainable(false);
    const auto late = sample.make(late_parameters), always = sample.make(parameters(DType::f64));
    run(*late, 0, 4);
    run_without_two(*always, 0, 4);
    for (const OptimizerState& s : late->state()) EXPECT_EQ(s.parameter, "bias") << "no state before it is needed";
    freeze_weight_and_table(*late, false);
    run(*late, 4, 9);
    run(*always, 4, 9);
    EXPECT_EQ(everything(*late), everything(*always));
    EXPECT_EQ(late->state().size(), always->state().size());
  });
}

TYPED_TEST(EveryOptimizer, ScalesTheLearningRateOfAParameter) {
  this->for_each([](const OptimizerSample& sample) {
    const auto scaled = sample.make(parameters(DType::f64)), slow = sample.make(parameters(DType::f64)),
               plain = sample.make(parameters(DType::f64));
    for (const Parameter& p : scaled->parameters()) p.set_learning_rate_scale(.25);  // exact: nothing is rounded differently
    for (int step = 0; step < 12; ++step) {
      const std::vector<Gradient> gradients = gradients_at(step, DType::f64);
      scaled->step(gradients, learning_rate_at(step), .5);
      slow->step(gradients, learning_rate_at(step) / 4, .5);
      plain->step(gradients, learning_rate_at(step), .5);
    }
    EXPECT_EQ(everything(*scaled), everything(*slow));
    EXPECT_NE(everything(*scaled), everything(*plain));
  });
}

TYPED_TEST(EveryOptimizer, RefreshesNarrowCopiesInTheirMemory) {
  this->for_each([](const OptimizerSample& sample) {
    const auto optimizer = sample.make(parameters(DType::f32));
    std::vector<Tensor> copies;
    for (const Parameter& p : optimizer->parameters()) copies.push_back(p.bf16().detach());
    for (int step = 0; step < 8; ++step) {
      run(*optimizer, step, step + 1);
      if (step % 3 == 0) optimizer->synchronize();
      for (std::size_t i = 0; i < copies.size(); ++i) {
        const Parameter& p = optimizer->parameters()[i];
        std::vector<double> rounded = p.value().to_vector();
        for (double& v : rounded) v = static_cast<double>(static_cast<float>(bfloat16(static_cast<float>(v))));
        EXPECT_EQ(p.bf16().to_vector(), rounded) << p.name() << " after step " << step;
        EXPECT_TRUE(p.bf16().storage().same_as(copies[i].storage())) << p.name();
      }
    }
  });
}

TYPED_TEST(EveryOptimizer, LetsNotANumberThroughAndSaysSo) {
  this->for_each([](const OptimizerSample& sample) {
    const auto optimizer = sample.make(parameters(DType::f32));
    std::vector<Gradient> gradients = gradients_at(0, DType::f32);
    gradients[0].dense().data<float>()[53] = gradients[2].row_values().data<float>()[kWidth] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(message_of<NumericalError>([&] { optimizer->step(gradients, .01); }),
                ::testing::HasSubstr("weight is not finite any more after a step: nan at element 53"));
    const Tensor &weight = optimizer->parameters()[0].value(), &table = optimizer->parameters()[2].value();
    for (std::int64_t i = 0; i < weight.numel(); ++i) EXPECT_EQ(std::isnan(weight.data<float>()[i]), i == 53) << i;
    for (std::int64_t i = 0; i < table.numel(); ++i) EXPECT_EQ(std::isnan(table.data<float>()[i]), i == 3 * kWidth) << i;
  });
}

TYPED_TEST(EveryOptimizer, RefusesBadOptionsAndTypes) {
  for (const BadOptions& bad : Samples<TypeParam>::bad()) {
    try {
      bad.make(parameters(DType::f32));
      ADD_FAILURE() << "accepted: " << bad.message;
    } catch (const ConfigError& e) {
      EXPECT_THAT(e.what(), ::testing::HasSubstr(bad.message));
    }
  }
  this->for_each([](const OptimizerSample& sample) {
    const Parameter half{"half", Tensor::zeros({2}, DType::bf16)};
    EXPECT_THROW(sample.make({&half, 1}), DTypeError);
  });
}

}  // namespace
}  // namespace capstan::optim
