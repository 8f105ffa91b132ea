#include "recipes/kernel_regression/recipe.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "data/figure.h"
#include "data/output_file.h"
#include "data/packing.h"
#include "data/synthetic/noisy_curve.h"
#include "nn/models/kernel_regression.h"
#include "recipes/engine/config/value.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/metrics/regression.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"

namespace capstan::kernel_regression {
namespace {

using engine::Purpose;
using engine::Split;
using Form = nn::KernelRegression::Form;

constexpr std::int64_t kGrid = 50;              // places of the test
constexpr double kGridStep = 0.1;               // between them, from 0 on
constexpr std::string_view kX = "x", kY = "y";  // artifacts of a checkpoint: the points

struct DataOptions {
  std::int64_t points = 50;
  double noise = 0.5;

  template <class V>
  void visit(V& v) {
    v("points", points, "known points of the curve y = 2 sin x + x^0.8, drawn from run.seed", V::between(2, 1e6));
    v("noise", noise, "standard deviation of the noise of y", V::non_negative());
  }
};

struct ModelOptions {
  Form form = Form::parametric;

  template <class V>
  void visit(V& v) {
    v("form", form, "parametric: the width of the kernel is learned; nonparametric: it is 1, of a trained checkpoint or not",
      {{"parametric", Form::parametric}, {"nonparametric", Form::nonparametric}})
        .of_use();
  }
};

struct EvaluateOptions {
  std::string curve, attention;

  template <class V>
  void visit(V& v) {
    v("curve", curve, "an SVG file for `evaluate` to draw the points, the true curve and the predicted one in; empty: none").output();
    v("attention", attention, "an SVG file for `evaluate` to draw the weights in: places that are predicted, by known points; empty: none")
        .output();
  }
};

struct Config {
  DataOptions data;
  ModelOptions model;
  EvaluateOptions evaluate;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    v.section("data", data);
    v.section("evaluate", evaluate, V::of_use());
  }
};

Tensor floats(const std::vector<double>& values, const Shape& shape) { return cast(Tensor::from(values, shape), DType::f32); }
Tensor line_of(const std::vector<double>& values) { return floats(values, {std::ssize(values)}); }

double number_in(const std::string& line, std::int64_t number) {
  double value = 0;
  const std::string_view text = engine::trimmed(line);
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require<DataError>(error == std::errc() && stop == text.data() + text.size() && std::isfinite(value), "line ", number,
                     ": expected a number, found '", text, "'");
  return value;
}

class KernelRegression {
 public:
  static constexpr std::string_view name = "kernel_regression", metric = "loss";
  using Config = kernel_regression::Config;
  using Query = double;

  struct Batch {
    Tensor x, keys, values, truth;     ///< f32 [B], [B, N - 1] or of the test [N], the same, [B]
    std::vector<std::int64_t> places;  ///< [B] numbers within the part
  };

  struct Evaluation {
    Evaluation(std::int64_t cases, std::function<std::vector<engine::Finding>(const std::vector<double>& predicted)> show)
        : numbers(cases), predicted(static_cast<std::size_t>(cases)), show_(std::move(show)) {}
    engine::Regression numbers;
    std::vector<double> predicted;   ///< [cases]
    std::vector<float> weights;      ///< [cases, known points of each]
    std::vector<std::int64_t> kept;  ///< the cases that are there
    std::vector<engine::Accumulator*> accumulators() { return {&numbers}; }
    std::vector<engine::Finding> findings() const { return show_(predicted); }
    void keep(std::int64_t place, double value, std::span<const float> of_points) {
      weights.resize(predicted.size() * of_points.size());
      predicted.at(static_cast<std::size_t>(place)) = value;
      std::ranges::copy(of_points, weights.begin() + place * std::ssize(of_points));
      kept.push_back(place);
    }
    std::vector<std::byte> rest() const {
      const std::size_t width = weights.size() / predicted.size();
      data::Packer out;
      for (const std::int64_t place : kept) {
        out.put(place);
        out.put(predicted[static_cast<std::size_t>(place)]);
        out.put_list(std::span(weights).subspan(static_cast<std::size_t>(place) * width, width));
      }
      return std::move(out).bytes();
    }
    void add_rest(std::span<const std::byte> rest) {
      for (data::Unpacker in(rest); !in.done();) {
        const auto place = in.get<std::int64_t>();
        const auto value = in.get<double>();
        keep(place, value, in.list<float>());
      }
    }

   private:
    std::function<std::vector<engine::Finding>(const std::vector<double>& predicted)> show_;
  };

  KernelRegression(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : config_(config), setup_(setup), model_(scope) {
    require<ConfigError>(setup.purpose != Purpose::train || config.model.form == Form::parametric,
                         "model.form = nonparametric: there is nothing to train; train the parametric form, then evaluate or predict with "
                         "model.form=nonparametric");
    require<ConfigError>(setup.precision == DType::f32, "kernel_regression: train.precision must be f32");
    if (const auto x = setup.artifacts.find(kX); x != setup.artifacts.end()) {
      points_ = {.x = x->second.to_vector(), .y = setup.artifacts.find(kY)->second.to_vector()};
    } else {
      points_ = data::NoisyCurve::make({.points = config.data.points, .noise = config.data.noise, .seed = setup.seed});
    }
  }

  // ---- data

  std::int64_t size(Split split) const { return split == Split::test ? kGrid : std::ssize(points_.x); }
  /// Of training and validation: every point is predicted from all others.
  Batch batch(const engine::Samples& samples) const {
    Batch out;
    out.places.assign(samples.indices.begin(), samples.indices.end());
    std::vector<double> x, truth, keys, values;
    const bool known = samples.split != Split::test;
    for (const std::int64_t i : samples.indices) {
      const auto at = static_cast<std::size_t>(i);
      x.push_back(known ? points_.x[at] : grid(i));
      truth.push_back(known ? points_.y[at] : data::NoisyCurve::truth(grid(i)));
      for (std::size_t k = 0; known && k < points_.x.size(); ++k)
        if (k != at) keys.push_back(points_.x[k]), values.push_back(points_.y[k]);
    }
    const auto count = samples.size();
    out.x = line_of(x), out.truth = line_of(truth);
    out.keys = known ? floats(keys, {count, std::ssize(points_.x) - 1}) : line_of(points_.x);
    out.values = known ? floats(values, {count, std::ssize(points_.x) - 1}) : line_of(points_.y);
    return out;
  }
  data::DataReport data_report() const {
    data::DataReport report;
    report.fact("train", join_text(points_.x.size(), " points of y = 2 sin x + x^0.8, noise ", config_.data.noise, ", ",
                                   setup_.artifacts.empty() ? join_text("drawn from run.seed = ", setup_.seed) : "of the checkpoint",
                                   "; training and validation predict each from the others"));
    report.fact("test", join_text(kGrid, " places 0, ", kGridStep, ", ... and the curve without noise there"));
    return report;
  }
  engine::NamedTensors artifacts() const {
    const Shape shape{std::ssize(points_.x)};
    return {{std::string(kX), Tensor::from(points_.x, shape)}, {std::string(kY), Tensor::from(points_.y, shape)}};
  }

  // ---- training

  /// The sum of squared errors over all points, as the origin takes it; of a smaller batch what that estimates.
  Tensor loss(const Batch& b, const nn::Run&) const { return sum(square(sub(model_(b.x, b.keys, b.values).values, b.truth)), {0}); }
  std::array<double, 1> loss_counts(const Batch& b) const {
    return {static_cast<double>(b.places.size()) / static_cast<double>(points_.x.size())};
  }

  // ---- use

  Evaluation evaluation(Split split) const {
    return {size(split), [this, split](const std::vector<double>& predicted) { return findings(split, predicted); }};
  }
  void evaluate(const Batch& b, Evaluation& to, const nn::Run&) const {
    const auto [values, weights] = model_(b.x, b.keys, b.values, config_.model.form);
    const std::vector<double> predicted = values.to_vector(), truth = b.truth.to_vector();
    const Tensor of_points = weights.contiguous();
    const auto width = static_cast<std::size_t>(weights.size(1));
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      to.numbers.add(b.places[i], truth[i], predicted[i]);
      to.keep(b.places[i], predicted[i], of_points.span<const float>().subspan(i * width, width));
    }
  }
  void evaluated(Split split, const Evaluation& e) const {
    if (setup_.purpose != Purpose::evaluate || split != Split::test) return;
    write(config_.evaluate.curve, [&] { return curve(e); });
    write(config_.evaluate.attention, [&] { return attention(e); });
  }
  /// The mean of the known values, and the non-parametric form.
  engine::Metrics baselines(Split split) const {
    if (split != Split::test) return {};
    const NoGrad no_grad;
    double mean = 0;
    for (const double y : points_.y) mean += y / static_cast<double>(points_.y.size());
    std::vector<double> x;
    for (std::int64_t i = 0; i < kGrid; ++i) x.push_back(grid(i));
    const std::vector<double> plain = model_(line_of(x), line_of(points_.x), line_of(points_.y), Form::nonparametric).values.to_vector();
    engine::Mean of_mean("mean/loss", engine::Goal::minimize), of_plain("nonparametric/loss", engine::Goal::minimize);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const double truth = data::NoisyCurve::truth(x[i]);
      of_mean.add(std::pow(mean - truth, 2));
      of_plain.add(std::pow(plain[i] - truth, 2));
    }
    return {{"mean/loss", of_mean.value()}, {"nonparametric/loss", of_plain.value()}};
  }

  Query query(const std::string& line, std::int64_t number) const { return number_in(line, number); }
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const {
    std::vector<std::string> out;
    for (const double y : answer_rows(queries, run).to_vector()) {
      const double value = std::round(y * 1e6) / 1e6;
      out.push_back(setup_.json_answers ? engine::to_json({{"value", value}}) : join_text(value));
    }
    return out;
  }
  static std::int64_t row_width() { return 1; }
  Tensor answer_rows(std::span<const Query> queries, const nn::Run&) const {
    const Tensor y =
        model_(line_of({queries.begin(), queries.end()}), line_of(points_.x), line_of(points_.y), config_.model.form).values;  // [lines]
    return reshape(y, {y.size(0), 1});
  }

  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::sgd);
    o.optimizer.learning_rate = 0.5;
    o.train.epochs = 5;
    o.train.batch_size = 50;
    o.train.log_every = 1;
  }

 private:
  /// The curve that is known and the one that is predicted, of the places of the split.
  std::vector<engine::Finding> findings(Split split, const std::vector<double>& predicted) const {
    const bool known = split != Split::test;
    std::vector<engine::FindingCurves::Curve> curves{
        {.name = "true curve", .points = {}}, {.name = "predicted", .points = {}}, {.name = "known points", .points = {}, .joined = false}};
    for (std::int64_t i = 0; i < kGrid; ++i) curves[0].points.emplace_back(grid(i), data::NoisyCurve::truth(grid(i)));
    for (std::size_t i = 0; i < predicted.size(); ++i)
      curves[1].points.emplace_back(known ? points_.x[i] : grid(static_cast<std::int64_t>(i)), predicted[i]);
    for (std::size_t i = 0; i < points_.x.size(); ++i) curves[2].points.emplace_back(points_.x[i], points_.y[i]);
    for (auto& c : curves) std::ranges::sort(c.points);
    return {
        {.title = "Curve",
         .text = join_text("Kernel regression, ", form(), ": what is predicted ",
                           known ? "at each known point from all others" : "between the known points", ", beside the curve without noise."),
         .shown = engine::FindingCurves{.x_title = "x", .y_title = "y", .curves = std::move(curves)}}};
  }

  static double grid(std::int64_t i) { return kGridStep * static_cast<double>(i); }

  template <class Draw>
  static void write(const std::string& path, const Draw& draw) {
    if (!path.empty()) data::write_output(engine::expand_home(path), draw());
  }
  std::string form() const { return config_.model.form == Form::parametric ? "parametric" : "non-parametric"; }
  std::string curve(const Evaluation& e) const {
    data::Curve truth{.name = "true curve", .x = {}, .y = {}}, predicted{.name = "predicted", .x = {}, .y = e.predicted};
    for (std::int64_t i = 0; i < kGrid; ++i) {
      truth.x.push_back(grid(i)), truth.y.push_back(data::NoisyCurve::truth(grid(i)));
      predicted.x.push_back(grid(i));
    }
    return data::svg_of(
        data::CurveFigure{.title = "Nadaraya-Watson kernel regression, " + form(),
                          .x_title = "x",
                          .y_title = "y",
                          .curves = {truth, predicted, {.name = "known points", .x = points_.x, .y = points_.y, .points = true}}});
  }
  std::string attention(const Evaluation& e) const {
    data::MatrixFigure figure{.title = "Weights of the known points, " + form(),
                              .columns_title = "x of the known points, sorted",
                              .rows_title = "x that is predicted",
                              .columns = {},
                              .rows = {},
                              .values = e.weights};
    const auto shown = [](double x) { return join_text(std::round(x * 100) / 100); };
    for (const double x : points_.x) figure.columns.push_back(shown(x));
    for (std::int64_t i = 0; i < kGrid; ++i) figure.rows.push_back(shown(grid(i)));
    return data::svg_of(figure);
  }

  Config config_;
  engine::Setup setup_;
  nn::KernelRegression model_;
  data::NoisyCurve points_;
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<KernelRegression>(); }

}  // namespace capstan::kernel_regression
