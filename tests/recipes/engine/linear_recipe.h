#pragma once
// The smallest recipes: linear regression on data made from the seed, with noise on the inputs that stands for dropout.
// Linear has batches by index; Drifting adds a state that every step changes and reads, and batches that follow from each other.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/core/profile.h"
#include "autograd/core/rng.h"
#include "autograd/tape/op.h"
#include "nn/parameter_store.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/metrics/metric.h"
#include "recipes/engine/train/step.h"

namespace capstan::engine::test {

/// Two terms: sum over the rows of (x w - y)^2, and |w|^2. Inputs: w [D], x [N, D], y [N], all f32.
struct SquaredError {
  static constexpr std::string_view name = "squared_error";
  struct Args {};
  struct Saved {
    Tensor w, x, residual;
  };
  static constexpr std::array constants{ConstantInput{1, "x"}, ConstantInput{2, "y"}};
  static std::array<Spec, 2> spec(const Args&, const Spec&, const Spec&, const Spec&) { return {Spec{}, Spec{}}; }
  static Tensor residuals(const Tensor& w, const Tensor& x, const Tensor& y) {
    add_work_of_product(x);
    const Tensor out(y.shape());
    const auto from = x.span<float>(), target = y.span<float>(), v = w.span<float>(), r = out.span<float>();
    for (std::size_t i = 0; i < r.size(); ++i) {
      r[i] = -target[i];
      for (std::size_t j = 0; j < v.size(); ++j) r[i] += from[i * v.size() + j] * v[j];
    }
    return out;
  }
  static void add_work_of_product(const Tensor& x) { profile::add_work({.flops = 2 * static_cast<double>(x.numel())}); }
  static double sum_of_squares(const Tensor& t) {
    double sum = 0;
    for (const float v : t.span<float>()) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum;
  }
  static std::array<Tensor, 2> forward(const Args&, const Tensor& w, const Tensor& x, const Tensor& y, const Call<3, std::array<Spec, 2>>&,
                                       Saved& saved) {
    saved = {w, x, residuals(w, x, y)};
    return {Tensor::scalar(sum_of_squares(saved.residual)), Tensor::scalar(sum_of_squares(w))};
  }
  static Grads<3> backward(const Args&, const Saved& saved, const std::array<Tensor, 2>& dy, Needs<3>) {
    add_work_of_product(saved.x);
    const Tensor dw = Tensor::zeros(saved.w.shape());
    const auto x = saved.x.span<float>(), g = dw.span<float>(), v = saved.w.span<float>(), r = saved.residual.span<float>();
    const auto a = static_cast<float>(2 * dy[0].item()), b = static_cast<float>(2 * dy[1].item());
    for (std::size_t i = 0; i < r.size(); ++i)
      for (std::size_t j = 0; j < g.size(); ++j) g[j] += a * r[i] * x[i * g.size() + j];
    for (std::size_t j = 0; j < g.size(); ++j) g[j] += b * v[j];
    return {Gradient(dw), {}, {}};
  }
};

/// What goes wrong or slowly in the recipes below, for tests that need it; set in the process that trains.
struct Trouble {
  static inline std::int64_t broken_row = -1;             ///< training batches with this row throw a DataError
  static inline std::int64_t nan_row = -1;                ///< its input is NaN in training
  static inline std::int64_t wild_row = -1;               ///< its target is a thousand times as large ...
  static inline std::int64_t wild_epoch = -1;             ///< ... in this epoch of training
  static inline std::function<void()> building;           ///< is called while a recipe is built
  static inline std::chrono::milliseconds batch{0};       ///< what a training batch takes
  static inline std::chrono::milliseconds evaluation{0};  ///< what a batch of a validation takes
};

struct LinearConfig {
  std::int64_t width = 4, rows = 40;
  double noise = 0.01, poison = -1;

  struct Model {
    LinearConfig& c;
    template <class V>
    void visit(V& v) {
      v("width", c.width, "inputs", V::between(1, 1000));
    }
  };
  template <class V>
  void visit(V& v) {
    Model model{*this};
    v.section("model", model);
    v("data.rows", rows, "examples", V::positive()).of_data();
    v("data.noise", noise, "noise on the inputs", V::non_negative()).of_training();
    v("data.poison", poison, "step whose loss is made NaN; -1: none", V::at_least(-1)).of_training();
  }
};

class LinearBase {
 public:
  static constexpr std::array<std::string_view, 2> loss_terms{"error", "norm"};
  using Config = LinearConfig;
  struct Batch {
    Tensor x, y;
  };
  struct Evaluation {
    Mean mse{"mse", Goal::minimize};
    Count rows{"rows"};
    std::vector<Accumulator*> accumulators() { return {&mse, &rows}; }
  };
  struct Query {
    double x;
  };

  LinearBase(const Config& config, const Setup& setup, const nn::Scope& scope) : config_(config), setup_(setup) {
    if (Trouble::building) Trouble::building();
    w_ = scope.parameter("layer/weight", {config.width}, [](const Tensor& t, std::uint64_t key) {
      Rng rng(key);
      for (float& v : t.span<float>()) v = static_cast<float>(rng.uniform(-1, 1));
    });
  }
  static void defaults(EngineOptions& o) {
    o.optimizer = published(OptimizerKind::adam);
    o.optimizer.learning_rate = 0.05;
  }

  std::array<double, 2> loss_counts(const Batch& b) const { return {static_cast<double>(b.y.numel()), 1000.0}; }
  std::array<Tensor, 2> loss(const Batch& batch, const nn::Run& run) {
    const StepKey poisoned{.seed = setup_.seed, .step = static_cast<std::int64_t>(config_.poison)};
    Tensor x = batch.x.clone();
    Rng rng(run.seed);
    for (float& v : x.span<float>()) v += static_cast<float>(config_.noise * rng.normal() + drift_);
    if (run.seed == poisoned.run(0).seed) x.span<float>()[0] = std::nanf("");
    return apply<SquaredError>({}, w_.value(), x, batch.y);
  }
  void evaluate(const Batch& b, Evaluation& e, const nn::Run&) {
    std::this_thread::sleep_for(Trouble::evaluation);
    const auto n = static_cast<double>(b.y.numel());
    e.mse.add(apply<SquaredError>({}, w_.value(), b.x, b.y)[0].item() / n, n);
    e.rows.add(n);
  }
  Query query(const std::string& line, std::int64_t number) const {
    const double x = std::stod(line);
    require<DataError>(x >= 0, "line ", number, ": a number must be >= 0, got ", x);
    return {x};
  }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run&) const {
    std::vector<std::string> out;
    for (const Query& q : queries) out.push_back(join_text(q.x * static_cast<double>(w_.value().span<float>()[0])));
    return out;
  }
  std::string data_digest() const { return "rows-" + std::to_string(config_.rows); }
  Batch bench_batch(std::int64_t index) const { return rows_of(99, index * setup_.batch_size, setup_.batch_size); }

 protected:
  /// Row i of a kind is a function of (kind, i): y = 1 + sum of x.
  Batch rows_of(std::uint64_t kind, std::int64_t first, std::int64_t count) const {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), first);
    return rows_of(kind, rows);
  }
  Batch rows_of(std::uint64_t kind, std::span<const std::int64_t> rows) const {
    const auto count = static_cast<std::int64_t>(rows.size());
    if (kind >= 100) {
      std::this_thread::sleep_for(Trouble::batch);
      require<DataError>(std::ranges::find(rows, Trouble::broken_row) == rows.end(), "row ", Trouble::broken_row, " cannot be read");
    }
    Batch b{Tensor(Shape{count, config_.width}), Tensor(Shape{count})};
    for (std::int64_t i = 0; i < count; ++i) {
      Rng rng(random_key(setup_.seed, "row", {kind, static_cast<std::uint64_t>(rows[static_cast<std::size_t>(i)])}));
      float sum = 1;
      for (std::int64_t j = 0; j < config_.width; ++j) {
        const auto v = static_cast<float>(rng.normal());
        b.x.span<float>()[static_cast<std::size_t>(i * config_.width + j)] = v;
        sum += v;
      }
      const std::int64_t row = rows[static_cast<std::size_t>(i)];
      const bool wild = row == Trouble::wild_row && kind == 100 + static_cast<std::uint64_t>(Trouble::wild_epoch);
      b.y.span<float>()[static_cast<std::size_t>(i)] = wild ? 1000 * sum : sum;
      if (kind >= 100 && row == Trouble::nan_row) b.x.span<float>()[static_cast<std::size_t>(i * config_.width)] = std::nanf("");
    }
    return b;
  }
  Batch of_split(Split split, std::span<const std::int64_t> rows) const { return rows_of(split == Split::test ? 7 : 3, rows); }

  static constexpr std::int64_t kHeldOut = 64;
  Config config_;
  Setup setup_;
  Parameter w_;
  double drift_ = 0;
};

struct Linear : LinearBase {
  static constexpr std::string_view name = "linear";
  using LinearBase::LinearBase;
  std::int64_t size(Split split) const { return split == Split::train ? config_.rows : kHeldOut; }
  Batch batch(const Samples& s) const {
    return s.split == Split::train ? rows_of(100 + static_cast<std::uint64_t>(s.epoch), s.indices) : of_split(s.split, s.indices);
  }
  NamedTensors artifacts() const { return {{"vocabulary", text_tensor("one two")}}; }
};

struct Drifting : LinearBase {
  static constexpr std::string_view name = "drifting";
  using LinearBase::LinearBase;
  std::array<Tensor, 2> loss(const Batch& batch, const nn::Run& run) {
    const std::array<Tensor, 2> sums = LinearBase::loss(batch, run);
    drift_ = 0.9 * drift_ + 1e-4 * sums[0].item();
    return sums;
  }
  std::int64_t batches_per_epoch() const { return (config_.rows + setup_.batch_size - 1) / setup_.batch_size; }
  std::int64_t items(const Batch& b) const { return b.y.numel(); }
  void begin_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    next_ = 0;
    drift_ = 0;
  }
  std::optional<Batch> next_batch() {
    if (next_ == batches_per_epoch()) return std::nullopt;
    const std::int64_t first = next_++ * setup_.batch_size;
    return rows_of(100 + static_cast<std::uint64_t>(epoch_), first, std::min(setup_.batch_size, config_.rows - first));
  }
  std::function<std::optional<Batch>()> evaluation_batches(Split split) const {
    return [this, split, left = true]() mutable -> std::optional<Batch> {
      if (!std::exchange(left, false)) return std::nullopt;
      std::vector<std::int64_t> rows(kHeldOut);
      std::iota(rows.begin(), rows.end(), 0);
      return of_split(split, rows);
    };
  }
  NamedTensors state() const { return {{"cursor", Tensor::from({next_}, {1})}, {"drift", Tensor::scalar(drift_, DType::f64)}}; }
  void set_state(const NamedTensors& s) {
    next_ = s.at("cursor").span<std::int64_t>()[0];
    drift_ = s.at("drift").item();
  }

 private:
  std::int64_t epoch_ = 0, next_ = 0;
};

/// With parameters that the loss does not read, one of them frozen.
struct Forgetful : Linear {
  static constexpr std::string_view name = "forgetful";
  Forgetful(const Config& config, const Setup& setup, const nn::Scope& scope) : Linear(config, setup, scope) {
    const nn::Initializer nothing = [](const Tensor& t, std::uint64_t) {
      for (float& v : t.span<float>()) v = 0;
    };
    scope.parameter("head/weight", {2}, nothing);
    scope.parameter("head/bias", {1}, nothing);
    scope.parameter("head/mean", {1}, nothing, {.trainable = false});
  }
};

/// Its loss is computed from what was cut off the tape.
struct Detached : Linear {
  static constexpr std::string_view name = "detached";
  using Linear::Linear;
  std::array<Tensor, 2> loss(const Batch& batch, const nn::Run& run) {
    const std::array<Tensor, 2> sums = Linear::loss(batch, run);
    return {sums[0].detach(), sums[1].detach()};
  }
};

}  // namespace capstan::engine::test
