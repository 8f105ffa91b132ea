// Optimisers against hand-computed numbers, catching up, and the base class: named state, absent and strided gradients, errors.
// What every optimiser promises is in every_optimizer_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/kernels/backend.h"
#include "optim/adagrad.h"
#include "optim/adam.h"
#include "optim/lion.h"
#include "optim/sgd.h"
#include "tests/message_of.h"

namespace capstan::optim {
namespace {

using ::testing::HasSubstr;

Parameter parameter(std::string name, const Tensor& value, bool decay = true, bool sparse = false) {
  return {std::move(name), value, {.decay = decay, .sparse_gradient = sparse}};
}
Gradient rows(const std::vector<std::int64_t>& indices, const std::vector<double>& values, const Shape& table) {
  const auto n = static_cast<std::int64_t>(indices.size());
  return Gradient::rows(Tensor::from(indices, {n}), Tensor::from(values, table.with(0, n)), table);
}
Gradient scalar(double g) { return Tensor::from({g}, {1}); }

template <class O, class Options>
std::vector<double> on_a_scalar(double start, const std::vector<double>& gradients, double lr, const Options& options, bool decay = true) {
  const Parameter p = parameter("p", Tensor::from({start}, {1}), decay);
  O optimizer({&p, 1}, options);
  std::vector<double> values;
  for (const double g : gradients) {
    const Gradient gradient = scalar(g);
    optimizer.step({&gradient, 1}, lr);
    values.push_back(p.value().item());
  }
  return values;
}
void expect_near(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
}

TEST(Adam, PutsEpsilonInEitherPlace) {
  const std::vector<double> g{.1, -.05, .02};
  expect_near(on_a_scalar<Adam>(.5, g, .001, AdamOptions{.beta2 = .98, .placement = AdamEpsilon::before_correction}),
              {.4990000007, .4987328932, .4984153760}, 6e-11);
  expect_near(on_a_scalar<Adam>(.5, g, .001, AdamOptions{.beta2 = .98}), {.4990000001, .4987328924, .4984153751}, 6e-11);
}

TEST(BertAdam, HasNoBiasCorrectionAndDecaysByGroup) {
  const std::vector<double> g{.1, -.2, .05};
  expect_near(on_a_scalar<BertAdam>(.5, g, .001, BertAdamOptions{}), {.496833722, .498384324, .499055898}, 6e-10);
  expect_near(on_a_scalar<BertAdam>(.5, g, .001, BertAdamOptions{}, false), {.496838722, .498394293, .499070850}, 6e-10);
}

TEST(AdamW, DecaysApartFromTheGradient) {
  expect_near(on_a_scalar<AdamW>(.5, {.1, -.2, .05}, .001, AdamWOptions{.epsilon = 1e-6, .weight_decay = .01}),
              {.498995010, .499356121, .499487817}, 6e-10);
}

TEST(BertAdam, ReachesTheTarget) {  // the released code's own test
  const Parameter w = parameter("w", Tensor::from({.1, -.2, -.1}, {3}));
  BertAdam optimizer({&w, 1}, {.weight_decay = 0});
  const double target[] = {.4, .2, -.5};
  for (int step = 0; step < 100; ++step) {
    const Tensor g({3}, DType::f64);
    for (int i = 0; i < 3; ++i) g.data<double>()[i] = 2 * (w.value().data<double>()[i] - target[i]) / 3;
    const Gradient gradient = g;
    optimizer.step({&gradient, 1}, .2);
  }
  expect_near(w.value().to_vector(), {.401646, .197824, -.497824}, 6e-7);
}

TEST(Lion, FollowsTheSignOfTheMomentum) {
  // m = 0, .001, -.00101, -.0004999; the signs of c = .9 m + .1 g are +, -, +, -. With the betas exchanged the third would be -.
  expect_near(on_a_scalar<Lion>(.5, {.1, -.2, .05, 0}, .01, LionOptions{.weight_decay = .1}),
              {.4895, .4990105, .4885114895, .4980229780105}, 1e-12);
  expect_near(on_a_scalar<Lion>(.5, {.1, -.2, .05, 0}, .01, LionOptions{.weight_decay = .1}, false), {.49, .5, .49, .5}, 1e-12);
  expect_near(on_a_scalar<Lion>(.5, {0, 0}, .01, LionOptions{}), {.5, .5}, 0);  // the sign of 0 is 0
}

TEST(Adagrad, SumsDuplicatesThenSquaresAndLetsOtherRowsRest) {
  const auto run = [](double momentum) {
    const Parameter p = parameter("table", Tensor::from({1.0, -2.0}, {2, 1}), true, true);
    Adagrad optimizer({&p, 1}, {.momentum = momentum});
    const Gradient steps[] = {rows({0, 1, 0}, {.3, -.2, .1}, {2, 1}), rows({1}, {.5}, {2, 1}), rows({0, 1}, {-.2, .1}, {2, 1})};
    std::vector<double> values;
    for (const Gradient& g : steps) {
      optimizer.step({&g, 1}, .1);
      for (const double v : p.value().to_vector()) values.push_back(v);
    }
    for (const OptimizerState& s : optimizer.state())
      for (const double v : s.value.to_vector()) values.push_back(v);
    return values;
  };
  expect_near(run(0), {.9000003, -1.9000012, .9000003, -1.9928488, .9447216, -2.0111061, .2, .3}, 1e-7);
  expect_near(run(.5), {.9000003, -1.9000012, .9000003, -1.9428494, .8947217, -1.9825308, .2, .3, -.0052786, -.0396815}, 1e-7);
}

// ---- policies for row-sparse gradients ----

constexpr std::int64_t kRows = 7, kWidth = 3;

struct Table {
  explicit Table(DType dtype = DType::f64) {
    Tensor start({kRows, kWidth}, dtype);
    dispatch_floating("test", dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < start.numel(); ++i) start.data<T>()[i] = T(static_cast<float>(std::sin(static_cast<double>(i))));
    });
    p = parameter("table", start, false, true);
  }
  Parameter p;
};

// Row r is named about every (r + 1)^2 * 8 steps, so some rows rest for far longer than momentum lasts.
std::vector<std::int64_t> named_at(std::int64_t step) {
  std::vector<std::int64_t> out;
  for (std::int64_t r = 0; r < kRows - 1; ++r)  // the last row is never named
    if (step % ((r + 1) * (r + 1) * 8) == r) out.push_back(r);
  return out;
}
Gradient gradient_at(std::int64_t step) {
  const std::vector<std::int64_t> named = named_at(step);
  std::vector<double> values;
  for (std::size_t i = 0; i < named.size() * kWidth; ++i)
    values.push_back(std::cos(static_cast<double>(step) + 0.7 * static_cast<double>(i)));
  return rows(named, values, {kRows, kWidth});
}
std::vector<float> narrowed(const std::vector<double>& values) {
  std::vector<float> out;
  for (const double v : values) out.push_back(static_cast<float>(v));
  return out;
}

// Rows that no gradient has named yet are spared their moments, which must not be seen; nor that a new optimiser goes on.
TEST(SparsePolicy, DenseGivesTheBitsOfADenseGradient) {
  const Shape shape{kRows, 32};
  const auto run = [&]<class O>(const auto& options, DType dtype, bool sparse, O*) {
    const auto tensor = [dtype](const std::vector<double>& values, const Shape& s) {
      return dtype == DType::f64 ? Tensor::from(values, s) : Tensor::from(narrowed(values), s);
    };
    std::vector<double> start;
    for (std::int64_t i = 0; i < shape.numel(); ++i) start.push_back(std::sin(static_cast<double>(i)));
    const Parameter p = parameter("table", tensor(start, shape), true, true);
    auto optimizer = std::make_unique<O>(std::span(&p, 1), options);
    for (std::int64_t step = 0; step < 60; ++step) {
      if (step == 30) {
        auto next = std::make_unique<O>(std::span(&p, 1), options);
        next->load_state(optimizer->state(), optimizer->step_count());
        optimizer = std::move(next);
      }
      const std::vector<std::int64_t> named = named_at(step);
      std::vector<double> values, all(static_cast<std::size_t>(shape.numel()));
      for (std::size_t i = 0; i < named.size() * 32; ++i) {
        values.push_back(std::cos(static_cast<double>(step) + 0.7 * static_cast<double>(i)));
        all[static_cast<std::size_t>(named[i / 32]) * 32 + i % 32] = values.back();
      }
      Gradient g = tensor(all, shape);
      if (sparse && step != 20) {  // one dense gradient amidst sparse ones
        const auto n = static_cast<std::int64_t>(named.size());
        g = Gradient::rows(Tensor::from(named, {n}), tensor(values, shape.with(0, n)), shape);
      }
      optimizer->step({&g, 1}, .01);
    }
    std::vector<double> out = p.value().to_vector();
    for (const OptimizerState& s : optimizer->state()) std::ranges::copy(s.value.to_vector(), std::back_inserter(out));
    return out;
  };
  const auto expect_equal = [&]<class O>(const auto& options, O* kind) {
    for (const DType dtype : {DType::f32, DType::f64}) EXPECT_EQ(run(options, dtype, true, kind), run(options, dtype, false, kind));
  };
  expect_equal(AdamWOptions{.weight_decay = .1}, static_cast<AdamW*>(nullptr));
  expect_equal(BertAdamOptions{.weight_decay = .1}, static_cast<BertAdam*>(nullptr));
  expect_equal(AdamOptions{}, static_cast<Adam*>(nullptr));
  expect_equal(AdamOptions{.weight_decay = .1}, static_cast<Adam*>(nullptr));  // decay moves the moments of every row
}

TEST(SparsePolicy, CatchUpGivesWhatDenseGives) {
  for (const AdamEpsilon placement : {AdamEpsilon::before_correction, AdamEpsilon::after_correction}) {
    Table lagging, dense;
    Adam a({&lagging.p, 1}, {.beta2 = .98, .placement = placement, .sparse = SparsePolicy::catch_up});
    Adam b({&dense.p, 1}, {.beta2 = .98, .placement = placement});
    for (std::int64_t step = 0; step < 1000; ++step) {
      const Gradient g = gradient_at(step);
      const double lr = .01 * (1 + std::sin(.1 * static_cast<double>(step)));
      a.synchronize_rows(0, named_at(step));  // a forward pass reads these rows
      for (const std::int64_t r : named_at(step))
        for (std::int64_t j = 0; j < kWidth; ++j)
          ASSERT_NEAR(lagging.p.value().data<double>()[r * kWidth + j], dense.p.value().data<double>()[r * kWidth + j], 2e-7) << step;
      a.step({&g, 1}, lr);
      b.step({&g, 1}, lr);
    }
    a.synchronize();
    expect_near(lagging.p.value().to_vector(), dense.p.value().to_vector(), 2e-7);
  }
}

TEST(SparsePolicy, CatchUpLeavesOutTheStepsThatATableTookNoPartIn) {
  Table lagging, dense;
  Adam a({&lagging.p, 1}, {.beta2 = .98, .sparse = SparsePolicy::catch_up});
  Adam b({&dense.p, 1}, {.beta2 = .98});
  for (std::int64_t step = 0; step < 1000; ++step) {
    for (const Parameter* p : {&lagging.p, &dense.p}) p->set_trainable(step % 70 < 50);
    const Gradient g = step % 9 == 4 ? Gradient{} : gradient_at(step);
    const double lr = .01 * (1 + std::sin(.1 * static_cast<double>(step)));
    if (step % 150 == 60) a.synchronize();
    a.step({&g, 1}, lr);
    b.step({&g, 1}, lr);
  }
  a.synchronize();
  expect_near(lagging.p.value().to_vector(), dense.p.value().to_vector(), 2e-7);
}

TEST(SparsePolicy, SynchronisingOrRestartingDoesNotChangeABit) {
  Table plain, disturbed;
  const AdamOptions options{.beta2 = .98, .sparse = SparsePolicy::catch_up};
  Adam a({&plain.p, 1}, options);
  auto b = std::make_unique<Adam>(std::span<const Parameter>(&disturbed.p, 1), options);
  for (std::int64_t step = 0; step < 700; ++step) {
    const Gradient g = gradient_at(step);
    a.step({&g, 1}, .01);
    b->step({&g, 1}, .01);
    if (step % 7 == 0) b->synchronize();
    if (step % 100 == 33) {
      auto restarted = std::make_unique<Adam>(std::span<const Parameter>(&disturbed.p, 1), options);
      restarted->load_state(b->state(), b->step_count());
      b = std::move(restarted);
    }
  }
  a.synchronize();
  b->synchronize();
  EXPECT_EQ(plain.p.value().to_vector(), disturbed.p.value().to_vector());
}

TEST(SparsePolicy, ForgetsItsHistoryWhenStateIsLoaded) {
  Table t;
  const AdamOptions options{.beta2 = .98, .sparse = SparsePolicy::catch_up};
  const auto run = [&](Adam& optimizer, std::int64_t first, std::int64_t last, double learning_rate) {
    for (std::int64_t step = first; step < last; ++step) {
      const Gradient g = gradient_at(step);
      optimizer.step({&g, 1}, learning_rate);
    }
    optimizer.synchronize();
    return t.p.value().to_vector();
  };
  Adam used({&t.p, 1}, options), fresh({&t.p, 1}, options);
  run(used, 0, 50, .01);
  const Tensor value = t.p.value().detach().clone();
  std::vector<OptimizerState> saved = used.state();
  for (OptimizerState& s : saved) s.value = s.value.clone();
  run(used, 50, 90, .01);  // what it remembers of these steps must not count after going back
  const auto from_saved = [&](Adam& optimizer) {
    std::ranges::copy(value.span<double>(), t.p.value().span<double>().begin());
    optimizer.load_state(saved, 50);
    return run(optimizer, 50, 90, .02);
  };
  EXPECT_EQ(from_saved(used), from_saved(fresh));
}

// ---- what they have in common ----

std::vector<Parameter> two_parameters() {
  return {parameter("a/weight", Tensor::from({1.0, 2.0, 3.0}, {3})), parameter("b/bias", Tensor::from({4.0}, {1}), false)};
}

TEST(Optimizer, LeavesParametersWithoutGradientAlone) {
  auto parameters = two_parameters();
  parameters.push_back({"frozen", Tensor::from({5.0}, {1}), {.trainable = false}});
  AdamW optimizer(parameters, {.weight_decay = .5});
  const Gradient gradients[] = {Gradient(), scalar(1), scalar(1)};
  optimizer.step(gradients, .1);
  EXPECT_EQ(parameters[0].value().to_vector(), (std::vector<double>{1, 2, 3}));
  EXPECT_NE(parameters[1].value().item(), 4);
  EXPECT_EQ(parameters[2].value().item(), 5);
  EXPECT_EQ(optimizer.step_count(), 1);
  EXPECT_EQ(optimizer.state().size(), 4u);  // two slots of two trainable parameters
}

TEST(Optimizer, DecaysOnlyParametersThatSaySo) {
  for (const bool decays : {false, true}) {
    const Parameter p = parameter("p", Tensor::from({2.0}, {1}), decays);
    Sgd optimizer({&p, 1}, {.weight_decay = .5});
    const Gradient zero = scalar(0);
    optimizer.step({&zero, 1}, .1);
    EXPECT_DOUBLE_EQ(p.value().item(), decays ? 1.9 : 2.0);
  }
}

TEST(Optimizer, ListsEveryProblemOfAState) {
  const auto parameters = two_parameters();
  Adam optimizer(parameters);
  std::vector<OptimizerState> state = optimizer.state();
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state[0].slot, "first_moment");
  EXPECT_EQ(state[0].parameter, "a/weight");
  state[0].value = Tensor::zeros({2}, DType::f64);
  state[1].parameter = "c/bias";
  const Gradient gradients[] = {Tensor::from({1.0, 1.0, 1.0}, {3}), Gradient()};
  optimizer.step(gradients, .1);
  try {
    optimizer.load_state(state, 3);
    FAIL() << "accepted";
  } catch (const CheckpointError& e) {
    EXPECT_THAT(e.what(), HasSubstr("of another form: first_moment of a/weight: expected f64[3], got f64[2]"));
    EXPECT_THAT(e.what(), HasSubstr("missing: first_moment of b/bias"));
    EXPECT_THAT(e.what(), HasSubstr("unexpected: first_moment of c/bias"));
  }
  EXPECT_EQ(optimizer.step_count(), 1);
  EXPECT_NEAR(optimizer.state()[0].value.to_vector()[0], .1, 1e-15);  // nothing was changed
}

TEST(Optimizer, HoldsNoMoreStateAfterOneThatDoesNotFit) {
  const auto parameters = two_parameters();
  const std::vector<OptimizerState> of_both = Adam(parameters).state();
  parameters[1].set_trainable(false);
  Adam optimizer(parameters);
  ASSERT_EQ(optimizer.state().size(), 2u);
  EXPECT_THROW(optimizer.load_state(of_both, -1), CheckpointError);
  EXPECT_EQ(optimizer.state().size(), 2u) << "none for the frozen parameter";
  optimizer.load_state(of_both, 3);
  EXPECT_EQ(optimizer.state().size(), 4u) << "state of the frozen parameter waits";
}

TEST(Optimizer, HasStateForEveryTrainableParameterAtOnce) {
  const auto parameters = two_parameters();
  parameters[1].set_trainable(false);
  Adam late(parameters);
  parameters[1].set_trainable(true);
  const std::vector<OptimizerState> state = late.state();  // it has taken no step
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state[1].value.item(), 0);
  Adam restarted(parameters);
  EXPECT_NO_THROW(restarted.load_state(state, 0));
  EXPECT_NO_THROW(late.load_state(restarted.state(), 0));
}

TEST(Optimizer, RefusesGradientsThatDoNotFitBeforeItChangesAnything) {
  const auto parameters = two_parameters();
  Sgd optimizer(parameters);
  const Gradient good = Tensor::from({1.0, 1.0, 1.0}, {3});
  const auto message = [&](const Gradient& second) {
    try {
      const Gradient gradients[] = {good, second};
      optimizer.step(gradients, .1);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message(Tensor::from({1.0, 2.0}, {2})),
              HasSubstr("sgd: a gradient must have its parameter's shape: b/bias f64[1], gradient [2]"));
  EXPECT_THAT(message(Tensor::from({1.0f}, {1})), HasSubstr("sgd: a gradient must have its parameter's type: b/bias f64[1], gradient f32"));
  EXPECT_THAT(message(rows({1}, {1}, {1})), HasSubstr("index 1, rows 1"));
  EXPECT_THROW(optimizer.step({&good, 1}, .1), ShapeError);
  EXPECT_EQ(parameters[0].value().to_vector(), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(optimizer.step_count(), 0);
}

TEST(Optimizer, NamesAParameterThatIsNotFiniteAfterAStep) {
  const Parameter all[] = {parameter("first", Tensor::from({1.0}, {1})), parameter("second", Tensor::from({1.0, 1.0}, {2}))};
  Sgd optimizer(all, {});
  const Gradient gradients[] = {scalar(1), Tensor::from({1.0, -2.0}, {2})};
  EXPECT_EQ(message_of<NumericalError>([&] { optimizer.step(gradients, 1e308); }),
            "sgd: second is not finite any more after a step: inf at element 1");
  EXPECT_EQ(all[0].value().item(), 1 - 1e308) << "all are updated";
}

TEST(Optimizer, ReadsStridedGradients) {
  const Parameter p = parameter("p", Tensor::from({0.0, 0.0, 0.0, 0.0}, {2, 2}));
  Sgd optimizer({&p, 1});
  const Tensor g = Tensor::from({1.0, 2.0, 3.0, 4.0}, {2, 2});
  const Gradient transposed = g.view(g.layout().transpose(0, 1));
  optimizer.step({&transposed, 1}, 1);
  EXPECT_EQ(p.value().to_vector(), (std::vector<double>{-1, -3, -2, -4}));
}

}  // namespace
}  // namespace capstan::optim
