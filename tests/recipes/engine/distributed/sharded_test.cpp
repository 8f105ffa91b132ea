// Optimisers that several processes share out: where they cut, the same numbers as one that is whole, the same files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/operators.h"
#include "autograd/ops/reduce.h"
#include "recipes/engine/command/bench.h"
#include "recipes/engine/distributed/sharded_optimizer.h"
#include "recipes/engine/distributed/thread_comm.h"
#include "tests/recipes/engine/distributed/together.h"

namespace capstan::engine::test {
namespace {

using testing::HasSubstr;

Tensor noise(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  const Tensor out(shape);
  for (float& v : out.span<float>()) v = static_cast<float>(rng.uniform(-.5, .5));
  return out;
}

constexpr ParameterOptions kTable{.sparse_gradient = true};

std::vector<Parameter> of_many_kinds() {
  return {{"matrix", noise({30, 50}, 1)},
          {"bias", noise({50}, 2), {.decay = false}},
          {"table", noise({90, 20}, 3), kTable},
          {"narrow", noise({90, 2}, 4), kTable},
          {"frozen", noise({7, 100}, 5), {.trainable = false}},
          {"scalar", noise({}, 6)},
          {"empty", noise({0, 4}, 7)},
          {"slow", noise({1001}, 8), {.learning_rate_scale = .5}}};
}

TEST(ParameterShares, AreCutForAllWhereAnUpdateKeepsItsBits) {
  const std::vector<Parameter> parameters = of_many_kinds();
  for (const int ranks : {1, 2, 3, 5, 8}) {
    const ParameterShares shares(parameters, ranks);
    std::vector<std::int64_t> trained(static_cast<std::size_t>(ranks));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::int64_t n = parameters[i].shape().numel();
      EXPECT_EQ(shares.begin(i, 0), 0);
      EXPECT_EQ(shares.end(i, ranks - 1), n);
      int owners = 0;
      for (int r = 0; r < ranks; ++r) {
        const std::int64_t size = shares.size(i, r);
        ASSERT_GE(size, 0) << parameters[i].name() << ", rank " << r;
        EXPECT_EQ(shares.shape(i, r).numel(), size);
        EXPECT_TRUE(shares.begin(i, r) % 64 == 0 || size == 0) << parameters[i].name() << ", rank " << r;
        if (parameters[i].sparse_gradient()) {
          EXPECT_EQ(size % parameters[i].size(1), 0) << "whole rows";
        }
        if (parameters[i].trainable()) trained[static_cast<std::size_t>(r)] += size;
        owners += size > 0 ? 1 : 0;
      }
      if (parameters[i].name() == "narrow" || n < 128) {
        EXPECT_EQ(owners, n > 0 ? 1 : 0) << parameters[i].name();
      }
    }
    EXPECT_LE(std::ranges::max(trained) - std::ranges::min(trained), 320 + 64) << "cuts of the table are 16 rows of 20 elements apart";
  }
}

TEST(ParameterShares, HaveTheRowsThatAreTheirs) {
  const std::vector<Parameter> parameters = of_many_kinds();
  const Gradient rows = Gradient::rows(Tensor::from(std::vector<std::int64_t>{80, 3, 40, 3}, {4}), noise({4, 20}, 9), {90, 20});
  const std::vector<double> dense = rows.to_dense().to_vector();
  for (const int ranks : {1, 2, 4}) {
    const ParameterShares shares(parameters, ranks);
    std::vector<double> parts;
    for (int r = 0; r < ranks; ++r) {
      const Gradient part = shares.of(2, r, rows);
      ASSERT_TRUE(part.is_sparse());
      const std::vector<double> values = part.to_dense().to_vector();
      parts.insert(parts.end(), values.begin(), values.end());
    }
    EXPECT_EQ(parts, dense);
  }
  EXPECT_FALSE(ParameterShares(parameters, 2).of(2, 0, Gradient()).defined());
}

struct Rule {
  std::string name;
  OptimizerOptions options;
};
std::vector<Rule> rules() {
  std::vector<Rule> out;
  for (const auto& [name, kind] :
       {std::pair("adam", OptimizerKind::adam), std::pair("adam_tensorflow", OptimizerKind::adam_tensorflow),
        std::pair("adamw", OptimizerKind::adamw), std::pair("bert_adam", OptimizerKind::bert_adam),
        std::pair("adagrad", OptimizerKind::adagrad), std::pair("sgd", OptimizerKind::sgd), std::pair("lion", OptimizerKind::lion)})
    for (const bool other : {false, true}) {  // of what the rule knows, a bit of everything
      OptimizerOptions options = published(kind);
      const bool has_momentum = kind == OptimizerKind::sgd || kind == OptimizerKind::adagrad;
      options.learning_rate = .01;
      options.weight_decay = other ? .1 : 0;
      options.sparse_rows = other ? SparseRows::lazy : SparseRows::dense;
      if (has_momentum && !other) options.momentum = .9;
      out.push_back({std::string(name) + (other ? ", lazy, with decay" : ""), options});
    }
  return out;
}

nn::ParameterStore store() {
  nn::ParameterStore out(1);
  for (const Parameter& p : of_many_kinds()) {
    const nn::Initializer init = [p](const Tensor& t, std::uint64_t) {
      std::ranges::copy(p.value().detach().span<const float>(), t.span<float>().begin());
    };
    out.root().parameter(p.name(), p.shape(), init,
                         {.trainable = p.trainable(),
                          .decay = p.decay(),
                          .sparse_gradient = p.sparse_gradient(),
                          .learning_rate_scale = p.learning_rate_scale()});
  }
  return out;
}

std::vector<Gradient> gradients_at(std::uint64_t step) {
  const auto first = static_cast<std::int64_t>(step * 13);
  const Tensor named = Tensor::from(std::vector<std::int64_t>{first % 90, (first + 50) % 90, first % 90, 7}, {4});
  const auto table = [&](std::int64_t width) {
    return step % 3 == 2 ? Gradient(noise({90, width}, 20 * step)) : Gradient::rows(named, noise({4, width}, 20 * step + 1), {90, width});
  };
  return {noise({30, 50}, 20 * step + 2),
          noise({50}, 20 * step + 3),
          table(20),
          table(2),
          {},
          noise({}, 20 * step + 4),
          {},
          step % 2 == 0 ? Gradient() : Gradient(noise({1001}, 20 * step + 5))};
}

std::vector<std::vector<double>> values_of(const nn::ParameterStore& parameters) {
  std::vector<std::vector<double>> out;
  for (const Parameter& p : parameters.parameters()) out.push_back(p.value().to_vector());
  return out;
}

TEST(ShardedOptimizer, IsTheWholeOneToTheBit) {
  for (const Rule& rule : rules()) {
    const ShardedOptimizer::Make make = [&](std::span<const Parameter> p) { return make_optimizer(rule.options, p); };
    const nn::ParameterStore alone = store();
    const auto whole = make(alone.parameters());
    for (std::uint64_t step = 1; step < 7; ++step) whole->step(gradients_at(step), .01, .5);
    const std::vector<double> in_bf16_alone = alone.parameters()[0].bf16().to_vector();  // made here, not by all ranks at once
    const std::vector<optim::OptimizerState> state = whole->state();
    std::size_t state_bytes = 0;
    for (const optim::OptimizerState& s : state) state_bytes += static_cast<std::size_t>(s.value.numel()) * size_of(s.value.dtype());

    for (const int ranks : {2, 3}) {
      SCOPED_TRACE(rule.name + ", " + std::to_string(ranks) + " ranks");
      run_ranks(ranks, [&](Comm& comm) {
        const nn::ParameterStore parameters = store();
        const Tensor in_bf16 = parameters.parameters()[0].bf16();
        ShardedOptimizer sharded(comm, parameters, make);
        for (std::uint64_t step = 1; step < 7; ++step) {
          // As they come in practice: summed rows may be there already, or not.
          std::vector<Gradient> mine = sharded.share_of(gradients_at(step));
          sharded.step(mine, .01, .5);
        }
        EXPECT_EQ(values_of(parameters), values_of(alone));
        EXPECT_EQ(parameters.parameters()[0].bf16().to_vector(), in_bf16_alone) << "no copy of old values";

        std::size_t bytes = 0;
        const std::vector<optim::OptimizerState> own = sharded.own().state();
        ASSERT_EQ(own.size(), state.size());
        for (std::size_t i = 0; i < own.size(); ++i) {
          EXPECT_EQ(own[i].slot + "/" + own[i].parameter, state[i].slot + "/" + state[i].parameter);
          EXPECT_EQ(sharded.whole_spec(own[i]), state[i].value.spec());
          bytes += static_cast<std::size_t>(own[i].value.numel()) * size_of(own[i].value.dtype());
          const Tensor gathered = sharded.gather(own[i]);
          ASSERT_EQ(gathered.defined(), comm.rank() == 0);
          if (comm.rank() == 0) {
            EXPECT_EQ(gathered.to_vector(), state[i].value.to_vector()) << own[i].slot << " of " << own[i].parameter;
          }
        }
        EXPECT_LE(bytes, state_bytes / static_cast<std::size_t>(ranks) + 2 * 4 * 320) << "but for the last cut";

        // What a whole optimiser is given comes apart, and goes on alike.
        ShardedOptimizer other(comm, parameters, make);
        other.take_over([&](optim::Optimizer& taken) { taken.load_state(state, whole->step_count()); });
        const std::vector<optim::OptimizerState> again = other.own().state();
        EXPECT_EQ(other.own().step_count(), 6);
        for (std::size_t i = 0; i < own.size(); ++i) EXPECT_EQ(again[i].value.to_vector(), own[i].value.to_vector());
      });
    }
  }
}

TEST(ShardedOptimizer, RefusesStateOfAnotherShape) {
  SelfComm comm;
  const nn::ParameterStore parameters = store();
  const ShardedOptimizer sharded(comm, parameters, [](std::span<const Parameter> p) { return make_optimizer({}, p); });
  try {
    (void)sharded.share_of("matrix", Tensor::zeros({50, 30}));
    ADD_FAILURE();
  } catch (const CheckpointError& e) {
    EXPECT_THAT(e.what(), HasSubstr("adamw: state of matrix must have its shape: matrix f32[30, 50], the state f32[50, 30]"));
  }
}

/// Linear with tables, wide and narrow, and a matrix.
struct Listed : Linear {
  static constexpr std::string_view name = "listed";
  Listed(const Config& config, const Setup& setup, const nn::Scope& scope) : Linear(config, setup, scope) {
    const nn::Initializer init = [](const Tensor& t, std::uint64_t key) {
      Rng rng(key);
      for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-.3, .3));
    };
    table_ = scope.parameter("table", {200, 20}, init, kTable);
    narrow_ = scope.parameter("narrow", {200, 1}, init, kTable);
    matrix_ = scope.parameter("matrix", {70, 20}, init);
    bias_ = scope.parameter("bias", {70}, init, {.decay = false});
  }
  std::array<Tensor, 2> loss(const Batch& batch, const nn::Run& run) {
    const std::array<Tensor, 2> terms = Linear::loss(batch, run);
    const std::int64_t n = batch.y.numel();
    const Tensor ids(Shape{n, 2}, DType::i64);
    for (std::int64_t i = 0; i < 2 * n; ++i) {
      const float x = batch.x.span<const float>()[static_cast<std::size_t>((i / 2) * config_.width + i % 2)];
      ids.span<std::int64_t>()[static_cast<std::size_t>(i)] = std::abs(std::llround(x * 1000)) % 200;
    }
    const Tensor rows = sum(embedding(table_.value(), ids, {.sparse = true}), {1});     // [N, 20]
    const Tensor biases = sum(embedding(narrow_.value(), ids, {.sparse = true}), {1});  // [N, 1]
    const Tensor error =
        sum(linear(rows, matrix_.value(), bias_.value()), {1}, true) + biases - batch.y.view(*batch.y.layout().reshape({n, 1}));
    return {terms[0] + sum(error * error), terms[1]};
  }

 private:
  Parameter table_, narrow_, matrix_, bias_;
};

struct ShardedTraining : TogetherTest {
  std::vector<RecipeEntry> recipes() const override { return {entry<Listed>(), entry<Linear>()}; }
  using Tensors = std::map<std::string, std::vector<double>>;

  /// The checkpoint of a run of so many steps, which begins anew or goes on.
  Tensors after(std::int64_t steps, int ranks, bool sharded, std::vector<std::string> arguments, bool anew = true) {
    if (anew) std::filesystem::remove_all(run);
    arguments.insert(arguments.end(), {"train.max_steps=" + std::to_string(steps), "data.noise=0", "data.rows=64", "--resume", "auto",
                                       std::string("train.shard_optimizer=") + (sharded ? "true" : "false")});
    EXPECT_EQ(train_together(ranks, "listed", arguments), kOk) << err.str();
    return tensors(checkpoint(steps));
  }
  static void expect_near(const Tensors& actual, const Tensors& expected, double relative) {
    ASSERT_EQ(actual.size(), expected.size());
    for (const auto& [name, values] : expected) {
      const std::vector<double>& others = actual.at(name);
      ASSERT_EQ(others.size(), values.size()) << name;
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_NEAR(others[i], values[i], relative * std::abs(values[i])) << name << ", " << i;
    }
  }
};

struct ShardedRule : ShardedTraining, testing::WithParamInterface<const char*> {};

TEST_P(ShardedRule, OfFastSumsIsTheSameUpToRounding) {
  for (const std::string rows : {"dense", "lazy"}) {
    const std::vector<std::string> options{std::string("optimizer.kind=") + GetParam(), "optimizer.sparse_rows=" + rows,
                                           "optimizer.learning_rate=0.003", "optimizer.weight_decay=0.01", "train.clip_norm=1"};
    const Tensors whole = after(9, 3, false, options);
    expect_near(after(9, 3, true, options), whole, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShardedRule, testing::Values("adam", "adam_tensorflow", "adamw", "bert_adam", "adagrad", "sgd", "lion"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST_F(ShardedTraining, TakesGradientsThatTravelInBf16) {
  const Tensors exact = after(9, 2, false, {}), narrow = after(9, 2, true, {"train.wire=bf16"});
  EXPECT_NE(narrow.at("/model/matrix"), exact.at("/model/matrix"));
  for (std::size_t i = 0; i < 1400; ++i) EXPECT_NEAR(narrow.at("/model/matrix")[i], exact.at("/model/matrix")[i], .05);
}

TEST_F(ShardedTraining, OfOrderedSumsIsTheSameToTheBitForAnyNumberOfProcesses) {
  const std::vector<std::string> common{"train.reduce=ordered", "train.clip_norm=1"};
  for (const std::string rows : {"dense", "lazy"}) {
    std::vector<std::string> options = common;
    options.push_back("optimizer.sparse_rows=" + rows);
    const Tensors whole = after(9, 1, false, options);
    for (const int ranks : {2, 3, 4}) EXPECT_EQ(after(9, ranks, true, options), whole) << ranks << " ranks";
  }
}

TEST_F(ShardedTraining, GoesOnWithAnotherNumberOfProcesses) {
  const std::vector<std::string> options{"train.reduce=ordered", "train.epochs=9"};
  const Tensors whole = after(20, 1, false, options);
  after(8, 3, true, options);  // the end of an epoch
  EXPECT_EQ(after(20, 1, false, options, false), whole);
  after(5, 3, true, options);
  EXPECT_EQ(after(20, 2, true, options, false), whole);
  after(5, 2, false, options);
  EXPECT_EQ(after(20, 3, true, options, false), whole);
}

TEST_F(ShardedTraining, KeepsTheStateOfWhatIsFrozenNow) {
  const std::vector<std::string> common{"train.reduce=ordered"}, frozen{"train.reduce=ordered", "optimizer.freeze=matrix"};
  const Tensors before = after(4, 2, true, common);
  const Tensors sharded = after(9, 3, true, frozen, false);
  EXPECT_EQ(sharded.at("/optimizer/first_moment/matrix"), before.at("/optimizer/first_moment/matrix"));
  after(4, 2, true, common);
  EXPECT_EQ(after(9, 1, false, frozen, false), sharded);
}

TEST_F(ShardedTraining, SavesWhenTheFirstProcessFindsThatDue) {
  const std::vector<std::string> options{"checkpoint.every_minutes=1e-9", "checkpoint.keep_last=9", "checkpoint.every=1000"};
  after(5, 3, true, options);
  for (const std::int64_t step : {2, 3, 4, 5}) EXPECT_TRUE(std::filesystem::exists(checkpoint(step))) << step;
}

TEST_F(ShardedTraining, GoesOnWhereASaveFails) {
  const std::vector<std::string> options{"checkpoint.every=3", "checkpoint.keep_last=9"};
  const Tensors whole = after(9, 3, true, options);
  std::filesystem::remove_all(run);
  // Where the content of step 6 would come together, something else is that cannot be removed.
  std::filesystem::create_directories(join_text(checkpoint(6), ".unverified.tmp.", ::getpid(), "/full"));
  EXPECT_EQ(after(9, 3, true, options, false), whole);
  EXPECT_FALSE(std::filesystem::exists(checkpoint(6)));
  EXPECT_TRUE(std::filesystem::exists(checkpoint(3)));
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("warning: the checkpoint of step 6 could not be saved, training goes on: "));
}

TEST_F(ShardedTraining, EndsWhereOneProcessFails) {
  Trouble::broken_row = 39;
  EXPECT_EQ(train_together(3, "listed", {"train.shard_optimizer=true"}), kData);
  Trouble::broken_row = -1;
  EXPECT_THAT(err.str(), HasSubstr("row 39 cannot be read"));
}

TEST_F(ShardedTraining, ReportsALossThatIsNotFinite) {
  EXPECT_EQ(train_together(2, "listed", {"train.shard_optimizer=true", "data.poison=3", "run.dir=" + (scratch / "other")}), kNumerical);
  EXPECT_THAT(err.str(), HasSubstr("the loss is not finite: nan at step 3"));
}

TEST(ShardedBench, TakesStepsTogetherAndAlone) {
  for (const Reduce reduce : {Reduce::fast, Reduce::ordered}) {
    std::vector<double> losses;
    for (const bool sharded : {false, true})
      run_ranks(2, [&](Comm& comm) {
        EngineOptions options;
        Listed::defaults(options);
        options.train.reduce = reduce;
        options.train.shard_optimizer = sharded;
        ErasedRecipe<Listed> recipe({}, {.seed = 1, .batch_size = 8, .rank = comm.rank(), .ranks = 2});
        BenchSteps step(recipe, options, &comm);
        for (int i = 0; i < 5; ++i) step();
        const double loss = step();
        if (comm.rank() == 0) losses.push_back(loss);
        EXPECT_GT(step.exchange_seconds(), 0);
        step.exchange(false);
        EXPECT_TRUE(std::isfinite(step()));
      });
    EXPECT_NEAR(losses[1], losses[0], 1e-6 * losses[0]);
  }
}

}  // namespace
}  // namespace capstan::engine::test
