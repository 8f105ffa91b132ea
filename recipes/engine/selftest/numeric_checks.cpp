#include "recipes/engine/selftest/numeric_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

#include "autograd/core/rng.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/conv.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/normalization.h"
#include "autograd/ops/operators.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/ops/softmax.h"
#include "autograd/ops/window.h"
#include "autograd/tape/tape.h"
#include "nn/parameter_store.h"
#include "nn/transformer_layer.h"

namespace capstan::engine {
namespace {

using Size = NumericSample::Size;

/// Numbers that bf16 holds, uniform around 0 (or around `centre`), in the type.
Tensor numbers(const Shape& shape, DType dtype, std::string_view purpose, double width = 1.5, double centre = 0) {
  Tensor wide(shape, DType::f64);
  Rng draw(random_key(17, purpose));
  for (double& x : wide.span<double>()) x = centre + draw.uniform(-width, width);
  const NoGrad no_grad;
  return cast(cast(wide, DType::bf16), dtype);
}

/// A point of named variables.
class Point {
 public:
  explicit Point(DType dtype) : dtype_(dtype) {}
  const Tensor& variable(const std::string& name, const Shape& shape, double width = 1.5, double centre = 0) {
    made_.names.push_back(name);
    return made_.variables.emplace_back(make_leaf(numbers(shape, dtype_, name, width, centre)));
  }
  Differentiable with(std::function<Tensor()> value) && {
    made_.value = std::move(value);
    return std::move(made_);
  }

 private:
  DType dtype_;
  Differentiable made_;
};

/// Indices below `end`, each now and then.
Tensor indices(std::int64_t count, std::int64_t end) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  Rng draw(random_key(17, "indices"));
  for (std::int64_t& i : all) i = static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(end)));
  return Tensor::from(all, {count});
}

Differentiable matrix_product(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t m = large ? 96 : 3, k = large ? 70 : 4, n = large ? 130 : 5;
  Point at(dtype);
  const Tensor a = at.variable("left", {2, m, k}), b = at.variable("right", {2, n, k});
  return std::move(at).with([=] { return matmul(a, transpose(b, 1, 2), .5); });
}

Differentiable linear_gelu(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t rows = large ? 100 : 4, in = large ? 72 : 5, out = large ? 136 : 3;
  Point at(dtype);
  const Tensor x = at.variable("input", {rows, in}), w = at.variable("weight", {out, in}, .4), b = at.variable("bias", {out});
  return std::move(at).with([=] { return bias_activation(linear(x, w), b, Activation::gelu); });
}

Differentiable convolution(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t in = large ? 16 : 2, out = large ? 32 : 3, side = large ? 14 : 5;
  Point at(dtype);
  const Tensor x = at.variable("images", {2, in, side, side}), w = at.variable("weight", {out, in, 3, 3}, .4),
               b = at.variable("bias", {out});
  return std::move(at).with([=] { return conv2d(x, w, b, {.window = square_window(2, 1)}); });
}

Differentiable attention(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t length = large ? 70 : 4, heads = large ? 4 : 2, width = large ? 32 : 3;
  Point at(dtype);
  const Shape shape{2, length, heads, width};
  const Tensor q = at.variable("query", shape), k = at.variable("key", shape), v = at.variable("value", shape);
  return std::move(at).with([=] { return scaled_dot_product_attention(q, k, v, {.causal = true}); });
}

Differentiable packed_attention(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t first = large ? 45 : 2, tokens = large ? 128 : 5, heads = 2, width = large ? 16 : 3;
  Point at(dtype);
  const Shape shape{tokens, heads, width};
  const Tensor q = at.variable("query", shape), k = at.variable("key", shape), v = at.variable("value", shape);
  const Tensor ends = Tensor::from<std::int64_t>({0, first, tokens}, {3});
  return std::move(at).with([=] { return scaled_dot_product_attention(q, k, v, {.dropout = .25, .key = 5}, {.cu_seqlens = ends}); });
}

Differentiable softmaxes(DType dtype, Size size) {
  const bool large = size == Size::large;
  Point at(dtype);
  const Tensor x = at.variable("scores", large ? Shape{50, 131} : Shape{3, 5}, 3);
  return std::move(at).with([=] { return softmax(x) + log_softmax(x, 0); });
}

Differentiable normalisation(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t rows = large ? 60 : 3, width = large ? 132 : 6;
  Point at(dtype);
  const Tensor x = at.variable("input", {rows, width}), b = at.variable("bias", {width}), residual = at.variable("residual", {rows, width}),
               gain = at.variable("gain", {width}, .5, 1), offset = at.variable("offset", {width});
  return std::move(at).with([=] { return dropout_residual_layer_norm(x, b, residual, gain, offset, {.p = .25, .key = 3}); });
}

Differentiable embedded(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t rows = large ? 200 : 5, width = large ? 48 : 3;
  const Tensor named = indices(large ? 500 : 7, rows);
  Point at(dtype);
  const Tensor table = at.variable("table", {rows, width});
  return std::move(at).with([=] { return embedding(table, named, {.scale = 2, .sparse = true}); });
}

/// A sequence through a recurrent layer with `gates` gates.
Differentiable recurrent(DType dtype, Size size, std::int64_t gates) {
  const bool large = size == Size::large;
  const std::int64_t batch = large ? 12 : 2, length = large ? 20 : 3, width = large ? 40 : 3;
  const Tensor lengths = [&] {
    std::vector<std::int64_t> all(static_cast<std::size_t>(batch), length);
    all.back() = length - 1;
    return Tensor::from(all, {batch});
  }();
  Point at(dtype);
  const Tensor x = at.variable("projected input", {batch, length, gates * width}), state = at.variable("first state", {batch, width}),
               w = at.variable("weight", {gates * width, width}, .3), b = at.variable("bias", {gates * width}, .5);
  if (gates == 3) return std::move(at).with([=] { return gru(x, state, w, b, lengths)[0]; });
  return std::move(at).with([=] { return lstm(x, state, {}, w, b, lengths)[0]; });
}

Differentiable class_loss(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t rows = large ? 90 : 4, classes = large ? 300 : 6;
  const Tensor targets = indices(rows, classes);
  Point at(dtype);
  const Tensor logits = at.variable("logits", {rows, classes}, 3);
  return std::move(at).with([=] { return cross_entropy(logits, targets, {.label_smoothing = .1}).value; });
}

Differentiable projected_loss(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t rows = large ? 90 : 3, width = large ? 40 : 4, classes = large ? 1000 : 6;
  const Tensor targets = indices(rows, classes);
  Point at(dtype);
  const Tensor x = at.variable("hidden", {rows, width}), w = at.variable("table", {classes, width}, .5), b = at.variable("bias", {classes});
  return std::move(at).with([=] { return linear_cross_entropy(x, w, b, targets).value; });
}

Differentiable transformer_layer(DType dtype, Size size) {
  const bool large = size == Size::large;
  const std::int64_t width = large ? 64 : 4, length = large ? 30 : 3;
  const auto store = std::make_shared<nn::ParameterStore>(3, dtype);
  const auto layer = std::make_shared<nn::EncoderLayer>(
      store->root(), nn::TransformerLayerOptions{.width = width, .heads = 2, .inner = 2 * width, .pre_norm = true});
  Point at(dtype);
  const Tensor x = at.variable("input", {2, length, width});
  Differentiable made = std::move(at).with([=] { return (*layer)(x, {.causal = true}, {}); });
  for (const Parameter& p : store->parameters()) {
    made.names.push_back(p.name());
    made.variables.push_back(p.value());
  }
  return made;
}

struct Derived {
  std::vector<double> value;
  std::vector<std::vector<double>> gradients;  // of the projection on `cotangent`, by variable
};

/// What the outputs are weighed with.
Tensor cotangent_of(const Tensor& output) { return numbers(output.shape(), output.dtype(), "cotangent", .7, 1); }

Derived derive(const Differentiable& f) {
  Tape tape;
  const Tensor y = f.value(), weights = cotangent_of(y);
  Derived found{y.to_vector(), {}};
  const Gradients gradients = tape.backward(std::span(&y, 1), std::span(&weights, 1));
  for (std::size_t i = 0; i < f.variables.size(); ++i) {
    const Gradient g = gradients.of(f.variables[i]);
    require<CheckFailed>(g.defined(), "expected a gradient of ", f.names[i], ", got none");
    found.gradients.push_back(g.to_dense().to_vector());
  }
  return found;
}

double root_mean_square(std::span<const double> values) {
  double squares = 0;
  for (const double x : values) squares += x * x;
  return values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
}

std::string digits(double value) {
  std::ostringstream text;
  text << std::setprecision(8) << value;
  return text.str();
}

/// Every element within tolerance * (its own size + the root mean square of all + noise): what larger numbers leave where they cancel.
void require_close(std::span<const double> got, std::span<const double> expected, double tolerance, double noise, const std::string& what) {
  require<CheckFailed>(got.size() == expected.size(), what, ": expected ", expected.size(), " numbers, got ", got.size());
  const double typical = root_mean_square(expected) + noise;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double bound = tolerance * (std::abs(expected[i]) + typical);
    require<CheckFailed>(std::abs(got[i] - expected[i]) <= bound, what, ", number ", i, " of ", got.size(), ": expected ",
                         digits(expected[i]), " within ", digits(bound), ", got ", digits(got[i]));
  }
}

/// Gradients whose exact value is 0, such as that of an attention's bias of keys, consist of this alone.
double noise_of(const Derived& d) {
  double largest = 0;
  for (const std::vector<double>& g : d.gradients) largest = std::max(largest, root_mean_square(g));
  return .01 * largest;
}

/// Five-point central differences of the projection, element by element.
void check_differences(const Differentiable& f) {
  const Derived analytic = derive(f);
  const NoGrad no_grad;
  const std::vector<double> weights = cotangent_of(f.value()).to_vector();
  for (std::size_t v = 0; v < f.variables.size(); ++v) {
    const std::span<double> x = f.variables[v].span<double>();
    std::vector<double> numeric(x.size(), 0);
    for (std::size_t e = 0; e < x.size(); ++e) {
      const double at = x[e], h = 5e-4;
      for (const auto& [step, weight] : {std::pair{-2.0, 1.0}, {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}}) {
        x[e] = at + step * h;
        const std::vector<double> y = f.value().to_vector();
        for (std::size_t i = 0; i < y.size(); ++i) numeric[e] += weight * weights[i] * (y[i] - analytic.value[i]) / (12 * h);
      }
      x[e] = at;
    }
    require_close(analytic.gradients[v], numeric, 1e-6, noise_of(analytic), "gradient of " + f.names[v] + " in f64, against differences");
  }
}

}  // namespace

void check_numerically(const NumericSample& sample) {
  check_differences(sample.make(DType::f64, Size::small));
  const Derived expected = derive(sample.make(DType::f64, Size::large));
  for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 1e-4}, {DType::bf16, 5e-2}}) {
    if (dtype == DType::bf16 && !sample.has_bf16) continue;
    const Differentiable f = sample.make(dtype, Size::large);
    const Derived got = derive(f);
    const std::string in = join_text(" in ", dtype, ", against f64");
    require_close(got.value, expected.value, tolerance, 0, "result" + in);
    for (std::size_t v = 0; v < f.names.size(); ++v)
      require_close(got.gradients[v], expected.gradients[v], tolerance, noise_of(expected), "gradient of " + f.names[v] + in);
  }
}

std::vector<NumericSample> numeric_samples() {
  return {
      {"matrix product", matrix_product},
      {"linear layer with GELU", linear_gelu},
      {"convolution", convolution},
      {"causal attention", attention},
      {"attention of packed sequences with dropout", packed_attention},
      {"softmax and its logarithm", softmaxes},
      {"dropout, residual and layer normalisation", normalisation},
      {"embedding", embedded},
      {"GRU", [](DType dtype, Size size) { return recurrent(dtype, size, 3); }},
      {"LSTM", [](DType dtype, Size size) { return recurrent(dtype, size, 4); }},
      {"cross-entropy", class_loss},
      {"cross-entropy of a projection", projected_loss},
      {"transformer layer", transformer_layer, false},
  };
}

std::vector<SelfCheck> numeric_checks() {
  std::vector<SelfCheck> all;
  for (const NumericSample& s : numeric_samples()) {
    const std::string types = s.has_bf16 ? "f64, f32, bf16" : "f64, f32";
    all.push_back({"gradients: " + s.name + " (" + types + ")", [s] { check_numerically(s); }});
  }
  return all;
}

}  // namespace capstan::engine
