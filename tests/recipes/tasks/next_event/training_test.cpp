// Training steps: hand-checked numbers from start to end, and the mistakes that re-implementations of GRU4Rec are known for.

#include <cmath>
#include <map>
#include <set>

#include "autograd/kernels/backend.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"
#include "recipes/engine/evaluate/evaluate.h"
#include "tests/recipes/tasks/next_event/fixtures.h"

namespace capstan::next_event {
namespace {

// ---- from start to end: 6 items, 3 units, batch 2, no extra negatives, Adagrad .1 with momentum .2, two epochs of three steps

struct EndToEnd : NextEventTask {
  EndToEnd() {
    config.data.train = scratch.write("train.txt", lines({{1, 2, 3}, {4, 5}, {2, 6, 1, 3}, {5, 1}}));
    config.model.gru = GruVariant::reset_before;
    config.negatives.count = 0;
    config.optimizer.learning_rate = .1;
    config.optimizer.momentum = .2;
    setup.batch_size = 2;
  }

  // Matrices of the example are [in, out]; ours are [gate * out, in] with gates r, z, n.
  static void fill(Learner& recipe) {
    const auto set = [&](const char* name, auto&& value) {
      const Tensor t = recipe.parameters().find(name).value();
      for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(value(static_cast<int>(i)));
    };
    const int input[] = {72, 73, 71}, state[] = {74, 75, 76}, bias[] = {78, 79, 77};
    set("items/weight", [](int i) { return det(70, i / 3, i % 3); });
    set("gru/0/input/weight", [&](int i) { return det(input[i / 9], i % 3, i / 3 % 3); });
    set("gru/0/state/weight", [&](int i) { return det(state[i / 9], i % 3, i / 3 % 3); });
    set("gru/0/input/bias", [&](int i) { return det(bias[i / 3], i % 3, 0); });
  }

  static void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 5e-6) << "element " << i;
  }
  static std::vector<double> part(const std::vector<double>& all, std::size_t first, std::size_t count, std::size_t stride = 1) {
    std::vector<double> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(all[first + i * stride]);
    return out;
  }

  void expect_run(const std::vector<double>& losses, const std::vector<double>& row, const std::vector<double>& item_bias,
                  const std::vector<double>& gate_bias, const std::vector<double>& candidate_row) {
    for (const auto backend : {kernels::Backend::fast, kernels::Backend::reference}) {
      const kernels::ScopedBackend scope(backend);
      Learner recipe(config, setup);
      fill(recipe);
      std::vector<double> seen;
      std::int64_t step = 0;
      for (std::int64_t epoch = 0; epoch < 2; ++epoch)
        for (const double loss : recipe.train_epoch(epoch, step)) seen.push_back(loss);
      expect_near(seen, losses);
      expect_near(part(recipe.values("items/weight"), 0, 3), row);
      expect_near(recipe.values("items/bias"), item_bias);
      expect_near(part(recipe.values("gru/0/input/bias"), 6, 3), gate_bias);            // of the candidate
      expect_near(part(recipe.values("gru/0/state/weight"), 18, 3, 3), candidate_row);  // what the first unit gives the candidate
    }
  }
};

TEST_F(EndToEnd, CrossEntropy) {
  expect_run({.694627, .683292, .693147, .679750, .676091, .693147}, {.421470, .170809, .207311},
             {0, -.027090, -.019475, 0, .027090, .019475}, {.419733, .195146, -.256924}, {.182728, .105652, .198196});
}

TEST_F(EndToEnd, BprMax) {
  config.loss = {.kind = SessionLossKind::bpr_max, .elu = .5, .bpreg = .5};
  expect_run({.695227, .689063, .695811, .690034, .682195, .694045}, {.292793, .037669, .197299},
             {-.094002, -.074228, .019888, 0, .020207, .033462}, {.247607, -.012635, -.174161}, {.085116, .016498, .199004});
}

// ---- batches

// T3, T15: every event but the last of each session is a case, whatever the batch size, also if it is larger than the number of sessions.
TEST_F(NextEventTask, EveryCaseIsTrainedOnOnce) {
  for (const std::int64_t batch_size : {1, 2, 3, 5, 8, 100}) {
    setup.batch_size = batch_size;
    Learner recipe(config, setup);
    std::multiset<std::pair<std::int64_t, std::int64_t>> cases;
    recipe.begin_epoch(0);
    std::int64_t steps = 0;
    while (const auto batch = recipe.task().next_batch()) {
      for (std::int64_t m = 0; m < batch->inputs.numel(); ++m)
        cases.emplace(batch->inputs.data<std::int64_t>()[m], batch->candidates.items.data<std::int64_t>()[m]);
      ++steps;
    }
    std::multiset<std::pair<std::int64_t, std::int64_t>> expected;
    for (const auto& s : kExample)
      for (std::size_t i = 0; i + 1 < s.size(); ++i) expected.emplace(s[i] - 1, s[i + 1] - 1);
    EXPECT_EQ(cases, expected) << "batch size " << batch_size;
    EXPECT_EQ(steps, recipe.batches_per_epoch());
    EXPECT_FALSE(recipe.next_batch().has_value());
  }
}

// With in-batch negatives alone a single slot has no negative: the last step of the example is not run.
TEST_F(NextEventTask, ASingleSlotWithoutNegativesIsNoStep) {
  config.negatives.count = 0;
  EXPECT_EQ(Learner(config, setup).batches_per_epoch(), 3);
  config.negatives.count = 1;
  EXPECT_EQ(Learner(config, setup).batches_per_epoch(), 4);
}

// The loss is divided by the configured batch size, also for the last, smaller steps.
TEST_F(NextEventTask, TheDivisorIsTheConfiguredBatchSize) {
  setup.batch_size = 8;
  Learner recipe(config, setup);
  recipe.begin_epoch(0);
  const auto batch = recipe.next_batch();
  EXPECT_EQ(batch->items(), 5);
  EXPECT_EQ(recipe.loss_counts(*batch)[0], 8);
}

// T10: logQ corrects the targets fully and drawn items with alpha, in shrunk batches too.
TEST_F(NextEventTask, LogQFollowsTheBatchAsItShrinks) {
  config.loss.logq = 2;
  config.negatives.alpha = .5;
  Learner recipe(config, setup);
  const auto& support = recipe.dataset().support();
  recipe.begin_epoch(0);
  std::set<std::int64_t> sizes;
  while (const auto batch = recipe.task().next_batch()) {
    const std::int64_t slots = batch->inputs.numel(), all = batch->candidates.items.numel();
    sizes.insert(slots);
    ASSERT_EQ(all, slots + 4);
    for (std::int64_t j = 0; j < all; ++j) {
      const double count = static_cast<double>(support[static_cast<std::size_t>(batch->candidates.items.data<std::int64_t>()[j])]);
      EXPECT_NEAR(batch->candidates.correction.data<float>()[j], (j < slots ? 2.0 : 1.0) * std::log(count), 1e-6);
    }
  }
  EXPECT_EQ(sizes, (std::set<std::int64_t>{1, 2, 3}));
}

// T9: drawn items follow support ^ alpha (chi-squared, 5 degrees of freedom; 20.5 has probability .001).
TEST_F(NextEventTask, NegativesFollowTheirSupport) {
  const std::vector<std::int64_t> support{40, 1, 9, 2, 16, 25};
  for (const double alpha : {0.0, .5, 1.0}) {
    const NegativeOptions options{.count = 1000, .alpha = alpha};
    const Negatives negatives(support, options, 0, 11);
    std::vector<double> seen(6);
    for (std::int64_t step = 0; step < 60; ++step) {
      const auto c = negatives.candidates(std::vector<std::int32_t>{1, 2}, 0, step);
      for (std::int64_t j = 2; j < 1002; ++j) ++seen[static_cast<std::size_t>(c.items.data<std::int64_t>()[j])];
    }
    double total = 0, chi = 0;
    for (const auto s : support) total += std::pow(s, alpha);
    for (std::size_t i = 0; i < 6; ++i) {
      const double expected = 60000 * std::pow(support[i], alpha) / total;
      chi += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    EXPECT_LT(chi, 20.5) << "alpha " << alpha;
  }
}

// T11: a dropped element of the input row takes no part in the step, so that much of the row stays as it was.
TEST_F(NextEventTask, InputDropoutLeavesItsShareOfTheRowAlone) {
  config.model = {.input = nn::Gru4RecInput::separate, .layers = {16}, .embedding = 2000, .dropout_embed = .3};
  Learner recipe(config, setup);
  recipe.begin_epoch(0);
  const auto batch = recipe.next_batch();
  const auto before = recipe.values("embedding/weight");
  recipe.train(*batch, 0);
  const auto after = recipe.values("embedding/weight");
  const auto row = static_cast<std::size_t>(batch->as<Batch>().inputs.to_vector()[0]) * 2000;
  std::int64_t kept = 0;
  for (std::size_t j = 0; j < 2000; ++j) kept += before[row + j] == after[row + j] ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(kept) / 2000, .3, .04);
}

// ---- updates

// T15, T17: only rows that a step names change, in value, accumulator and momentum; the rows of a repeated item get one summed update.
TEST_F(NextEventTask, OnlyNamedRowsChange) {
  config.optimizer.momentum = .5;
  config.negatives.count = 2;
  SessionLists many = kExample;
  for (int i = 10; i < 60; ++i) many.push_back({i, i + 1});
  config.data.train = scratch.write("train.txt", lines(many));
  Learner recipe(config, setup);
  std::int64_t step = 0;
  recipe.begin_epoch(0);
  for (int i = 0; i < 4; ++i) {
    const auto batch = recipe.next_batch();
    const auto before = recipe.everything();
    recipe.train(*batch, step++);
    const auto after = recipe.everything();
    std::set<std::int64_t> named;
    for (const double item : batch->as<Batch>().candidates.items.to_vector()) named.insert(static_cast<std::int64_t>(item));
    for (const double item : batch->as<Batch>().inputs.to_vector()) named.insert(static_cast<std::int64_t>(item));
    const std::size_t parameters = recipe.parameters().parameters().size(), items = static_cast<std::size_t>(recipe.dataset().item_count());
    ASSERT_EQ(before.size(), 3 * parameters);                                       // values, then accumulators, then momenta
    for (const std::size_t table : {std::size_t{0}, parameters, 2 * parameters}) {  // items/weight is the first parameter
      ASSERT_EQ(before[table].size(), 3 * items);
      for (std::size_t at = 0; at < 3 * items; ++at)
        EXPECT_EQ(before[table][at] != after[table][at], named.contains(static_cast<std::int64_t>(at / 3)))
            << "step " << i << ", array " << table << ", element " << at;
    }
  }
}

// Input and output row of one item are one row in shared mode: one coalesced Adagrad update from the sum of both gradients, so its first
// step is exactly the learning rate in every element.
TEST_F(NextEventTask, SharedRowsGetOneUpdate) {
  config.data.train = scratch.write("train.txt", lines({{1, 1, 2}, {1, 2}}));
  config.negatives.count = 3;
  config.optimizer.epsilon = 1e-20;
  setup.batch_size = 2;
  Learner recipe(config, setup);
  recipe.begin_epoch(0);
  const auto batch = recipe.next_batch();
  const auto before = recipe.values("items/weight");
  recipe.train(*batch, 0);
  const auto after = recipe.values("items/weight");
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(std::abs(after[i] - before[i]), config.optimizer.learning_rate, 1e-6);
}

// ---- input modes

// Every mode with unequal widths learns the example by heart.
TEST_F(NextEventTask, EveryInputModeLearns) {
  for (const auto input : {nn::Gru4RecInput::shared, nn::Gru4RecInput::separate, nn::Gru4RecInput::one_hot})
    for (const auto& layers : {std::vector<std::int64_t>{16}, std::vector<std::int64_t>{24, 16}}) {
      config.model = {.input = input, .layers = layers, .embedding = 10};
      config.optimizer.learning_rate = .1;
      config.negatives.count = 16;
      Learner recipe(config, setup);
      std::int64_t step = 0;
      const auto first = recipe.train_epoch(0, step);
      std::vector<double> last;
      for (std::int64_t epoch = 1; epoch < 60; ++epoch) last = recipe.train_epoch(epoch, step);
      EXPECT_LT(last.front(), .6 * first.front()) << "input " << static_cast<int>(input) << ", layers " << layers.size();
    }
}

// A network that is no GRU: the state is a fading sum of the items' rows.
struct Fading : Task {
  static constexpr std::string_view name = "fading";
  using Config = next_event::Config;
  Fading(const Config& c, const engine::Setup& s, const nn::Scope& scope) : Task(c, s, scope, make) {}
  static Network make(const nn::Scope& scope, std::int64_t items) {
    const Parameter in = scope.parameter("in", {items, 8}, nn::glorot_uniform(), {.sparse_gradient = true});
    const Parameter out = scope.parameter("out", {items, 8}, nn::glorot_uniform(), {.sparse_gradient = true});
    const Parameter bias = scope.parameter("bias", {items}, nn::zeros(), {.sparse_gradient = true});
    return {.step =
                [in](const Tensor& inputs, nn::Hidden& hidden, const nn::Run&) {
                  const Tensor sum = add(mul(hidden[0], Tensor::scalar(0.5)), embedding(in.value(), inputs, {.sparse = true}));
                  hidden[0] = sum.detach();
                  return sum;
                },
            .start =
                [](std::int64_t slots) {
                  return nn::Hidden{Tensor::zeros({slots, 8})};
                },
            .scores = [out, bias](const Tensor& sum) { return linear(sum, out.value(), bias.value()); },
            .table = out,
            .bias = bias};
  }
};

TEST_F(NextEventTask, AnyRecurrentNetworkFits) {
  config.data.test = config.data.train;
  engine::ErasedRecipe<Fading> recipe(config, setup);
  const auto optimizer = engine::make_optimizer({.kind = engine::OptimizerKind::adam, .weight_decay = 0}, recipe.parameters().parameters());
  std::vector<double> losses;
  for (std::int64_t epoch = 0; epoch < 100; ++epoch) {
    recipe.begin_epoch(epoch);
    losses.push_back(0);
    while (const auto batch = recipe.next_batch())
      losses.back() += engine::train_step(recipe, *optimizer, std::span(&*batch, 1), {.seed = 1}, 0.05, 0).total();
  }
  EXPECT_LT(losses.back(), .3 * losses.front());
  const auto metrics = engine::Evaluator(recipe, {.baselines = false}).run(engine::Split::test);
  EXPECT_GT(engine::value_of(metrics, "recall@1"), .8) << "what the sum remembers tells the cases apart";
}

TEST_F(NextEventTask, RefusesOptionsThatDoNotGoTogether) {
  config.model.input = nn::Gru4RecInput::one_hot;
  config.model.dropout_embed = .1;
  EXPECT_THROW(Learner(config, setup), ConfigError);
  config.model = {.layers = {}};
  EXPECT_THROW(Learner(config, setup), ConfigError);
  config.model = {};
  setup.precision = DType::bf16;
  EXPECT_THROW(Learner(config, setup), ConfigError);
}

// ---- resume

// State saved after any step, the rest of the epoch and the next one come out the same to the bit, live hidden rows included.
TEST_F(NextEventTask, GoesOnFromAnyStep) {
  config.model.layers = {8, 5};
  config.model.dropout_hidden = .3;
  setup.batch_size = 2;
  Learner whole(config, setup);
  std::int64_t steps = 0;
  whole.train_epoch(0, steps);
  const std::int64_t per_epoch = steps;
  whole.train_epoch(1, steps);
  const auto expected = whole.everything();

  for (std::int64_t stop = 1; stop < per_epoch; ++stop) {
    Learner first(config, setup);
    first.begin_epoch(0);
    for (std::int64_t i = 0; i < stop; ++i) first.train(*first.next_batch(), i);
    const engine::NamedTensors state = first.state();

    Learner second(config, setup);
    for (std::size_t i = 0; i < second.parameters().parameters().size(); ++i) {
      const Tensor from = first.parameters().parameters()[i].value(), to = second.parameters().parameters()[i].value();
      std::ranges::copy(from.span<const float>(), to.span<float>().begin());
    }
    second.optimizer().load_state(first.optimizer().state(), first.optimizer().step_count());
    second.begin_epoch(0);
    second.set_state(state);
    std::int64_t step = stop;
    while (const auto batch = second.next_batch()) second.train(*batch, step++);
    EXPECT_EQ(step, per_epoch);
    second.train_epoch(1, step);
    EXPECT_EQ(second.everything(), expected) << "interrupted after step " << stop;
  }
}

// A validation has states of its own.
TEST_F(NextEventTask, ValidationInMidEpochChangesNothing) {
  config.data.validation = config.data.train;
  Learner alone(config, setup), validated(config, setup);
  engine::Evaluator evaluator(validated, {});
  std::int64_t steps = 0, step = 0;
  const auto losses = alone.train_epoch(0, steps);
  validated.begin_epoch(0);
  while (const auto batch = validated.next_batch()) {
    EXPECT_EQ(validated.train(*batch, step), losses[static_cast<std::size_t>(step)]) << "step " << step;
    evaluator.run(engine::Split::validation);
    ++step;
  }
  EXPECT_EQ(validated.everything(), alone.everything());
}

TEST_F(NextEventTask, RefusesAForeignState) {
  Learner recipe(config, setup);
  recipe.begin_epoch(0);
  EXPECT_THROW(recipe.set_state({}), CheckpointError);
  EXPECT_THROW(recipe.set_state({{"position", Tensor::from<std::int64_t>({1}, Shape{1})}, {"hidden/0", Tensor::zeros({3, 4})}}),
               CheckpointError);
}

}  // namespace
}  // namespace capstan::next_event
