// The worked example: 6 items, width 4, length 4, two heads, one block, with weights from a formula. All expected numbers were
// computed independently in f64.

#include "nn/models/sasrec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "optim/adam.h"
#include "optim/clip.h"
#include "recipes/tasks/next_item/batch.h"
#include "recipes/tasks/next_item/losses.h"
#include "recipes/tasks/next_item/network.h"
#include "tests/close.h"
#include "tests/recipes/tasks/next_item/fixtures.h"

namespace capstan::next_item {
namespace {

constexpr std::int64_t kItems = 6;

nn::SasrecOptions options(bool packed, double dropout = 0) {
  return {.max_length = 4, .hidden_size = 4, .blocks = 1, .heads = 2, .dropout = dropout, .packed = packed};
}

void set(const nn::ParameterStore& store, std::string_view name, const Tensor& value) {
  const Tensor& p = store.find(name).value();
  ASSERT_EQ(p.shape(), value.shape()) << name;
  const std::vector<double> v = value.to_vector();
  dispatch_floating("set", p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;
    std::ranges::transform(v, p.span<T>().begin(), [](double x) { return static_cast<T>(static_cast<Compute>(x)); });
  });
}

/// Weights of the example are [in, out]; ours are [out, in].
Tensor turned(const Tensor& t) { return t.view(t.layout().transpose(0, 1)).contiguous(); }

struct Example {
  nn::ParameterStore store;
  nn::Sasrec model;

  Network network() const {
    return {
        .form = {.max_length = 4},
        .hidden = [&](const Tensor& items, const nn::TokenLayout& layout, const nn::Run& run) { return model.hidden(items, layout, run); },
        .item_table = model.item_table(),
        .position_table = model.position_table()};
  }

  Example(DType dtype, bool packed, double dropout = 0) : store(1, dtype), model(store.root(), kItems, options(packed, dropout)) {
    Tensor items = mat(1, 7, 4);
    std::ranges::fill(items.span<double>().first(4), 0.0);
    set(store, "item_embedding/weight", items);
    set(store, "position_embedding/weight", mat(2, 4, 4));
    int s = 3;
    for (const char* name : {"query", "key", "value"}) {
      set(store, std::string("blocks/0/") + name + "/weight", turned(mat(s++, 4, 4)));
      set(store, std::string("blocks/0/") + name + "/bias", vec(s++, 4));
    }
    for (const char* name : {"blocks/0/attention_norm", "blocks/0/forward_norm"}) {
      set(store, std::string(name) + "/weight", vec(s++, 4, 0.5, 1.0));
      set(store, std::string(name) + "/bias", vec(s++, 4));
    }
    for (const char* name : {"inner", "outer"}) {
      set(store, std::string("blocks/0/") + name + "/weight", turned(mat(s++, 4, 4)));
      set(store, std::string("blocks/0/") + name + "/bias", vec(s++, 4));
    }
    set(store, "last_norm/weight", vec(s++, 4, 0.5, 1.0));
    set(store, "last_norm/bias", vec(s++, 4));
  }
};

Batch example_batch(bool packed) {
  const std::vector<std::int32_t> in0{3, 1, 5}, pos0{1, 5, 2}, in1{2, 4, 6, 1}, pos1{4, 6, 1, 3};
  const std::vector<Sequence> sequences{{in0, pos0}, {in1, pos1}};
  Batch b = make_batch(sequences, {.max_length = 4, .packed = packed});
  set_candidates(b, std::vector<std::int32_t>{4, 6, 4, 5, 3, 5, 5}, 1, /*shared=*/false);
  return b;
}

Tensor real_hidden(const nn::Sasrec& model, const Batch& batch) {
  const Tensor h = model.hidden(batch.items, batch.layout, {});
  return batch.layout.packed ? h : index_select(h, 0, batch.layout.real);
}

struct Step {
  double loss = 0;
  std::vector<Gradient> gradients;
};

Step run_step(const Example& e, const Batch& batch, const nn::Run& run = {.training = true}, const LossOptions& loss = {}) {
  Tape tape;
  const Tensor sum = loss_sum(e.network(), batch, loss, run);
  const double n = static_cast<double>(batch.layout.real_tokens());
  const Tensor cotangent = Tensor::full(sum.shape(), 1 / n, sum.dtype());
  const Gradients g = tape.backward(std::span(&sum, 1), std::span(&cotangent, 1));
  return {sum.item() / n, e.store.gradients(g)};
}

std::vector<double> dense(const Gradient& g) {
  if (!g.is_sparse()) return g.dense().to_vector();
  const std::vector<double> rows = g.row_values().to_vector(), indices = g.indices().to_vector();
  std::vector<double> out(static_cast<std::size_t>(g.shape().numel()), 0.0);
  const std::size_t width = indices.empty() ? 0 : rows.size() / indices.size();
  for (std::size_t i = 0; i < rows.size(); ++i) out[static_cast<std::size_t>(indices[i / width]) * width + i % width] += rows[i];
  return out;
}

void expect_row(const std::vector<double>& all, std::size_t row, const std::vector<double>& expected, double tolerance,
                const std::string& what) {
  for (std::size_t j = 0; j < expected.size(); ++j)
    EXPECT_NEAR(all[row * expected.size() + j], expected[j], tolerance) << what << " [" << j << "]";
}

class SasrecExample : public ::testing::TestWithParam<std::tuple<DType, bool>> {
 protected:
  DType dtype() const { return std::get<0>(GetParam()); }
  bool packed() const { return std::get<1>(GetParam()); }
  double tolerance() const { return dtype() == DType::f64 ? 1.1e-6 : 2e-5; }  // the numbers have six digits after the point
};

TEST_P(SasrecExample, HiddenStatesAndScores) {
  const Example e(dtype(), packed());
  const Batch batch = example_batch(packed());
  const std::vector<double> h = real_hidden(e.model, batch).to_vector();
  expect_row(h, 0, {1.590308, -.721886, -.513410, -.459309}, tolerance(), "sequence 0, t1");
  expect_row(h, 1, {-.361464, -1.036002, .215066, .733991}, tolerance(), "sequence 0, t2");
  expect_row(h, 2, {.049743, 1.008488, -1.996353, .366639}, tolerance(), "sequence 0, t3");
  expect_row(h, 6, {-.337195, -1.068635, .509016, .468527}, tolerance(), "sequence 1, t3");
  const std::vector<double> table = e.model.item_table().value().to_vector(), last = last_hidden(e.network(), batch, {}).to_vector();
  const std::vector<std::vector<double>> scores{{-.275874, .865392, .194883, -.001262, 1.025708, .190661},
                                                {.614355, .023562, -.278055, .349746, -.326705, -.373412}};
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t item = 1; item <= 6; ++item) {
      double s = 0;
      for (std::size_t j = 0; j < 4; ++j) s += last[4 * b + j] * table[4 * item + j];
      EXPECT_NEAR(s, scores[b][item - 1], tolerance()) << "sequence " << b << ", item " << item;
    }
}

TEST_P(SasrecExample, LossAndGradients) {
  const Example e(dtype(), packed());
  Step s = run_step(e, example_batch(packed()));
  EXPECT_NEAR(s.loss, 1.54775098, dtype() == DType::f64 ? 1e-8 : 1e-6);
  std::map<std::string, std::vector<double>> g;
  const auto parameters = e.store.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) g[parameters[i].name()] = dense(s.gradients[i]);
  const auto column_of_weight = [&](const std::string& name) {  // row 0 of the example's [in, out] matrix
    std::vector<double> out;
    for (std::size_t j = 0; j < 4; ++j) out.push_back(g[name][4 * j]);
    return out;
  };
  expect_row(g["item_embedding/weight"], 0, {0, 0, 0, 0}, 0, "padding");
  expect_row(g["item_embedding/weight"], 1, {-.150284, -.061922, .159570, .149471}, tolerance(), "item 1");
  expect_row(g["position_embedding/weight"], 3, {-.006551, .016349, -.020449, .013729}, tolerance(), "position 3");
  expect_row(column_of_weight("blocks/0/query/weight"), 0, {-.001374, -.001898, -.000885, -.001383}, tolerance(), "query");
  expect_row(g["blocks/0/attention_norm/weight"], 0, {.032838, .000117, .043373, -.084238}, tolerance(), "gamma 1");
  expect_row(column_of_weight("blocks/0/inner/weight"), 0, {.000287, -.069238, -.052082, .011705}, tolerance(), "inner");
  expect_row(g["last_norm/bias"], 0, {.058483, .027475, -.085455, -.085499}, tolerance(), "beta f");
  expect_row(g["blocks/0/key/bias"], 0, {0, 0, 0, 0}, dtype() == DType::f64 ? 1e-15 : 1e-7, "softmax does not see a shift of all scores");
  EXPECT_NEAR(optim::global_norm(s.gradients), .909339, tolerance());
}

TEST_P(SasrecExample, ThreeAdamSteps) {
  Example e(dtype(), packed());
  optim::Adam adam(e.store.parameters(), {.beta2 = 0.98, .placement = optim::AdamEpsilon::before_correction});
  const Batch batch = example_batch(packed());
  for (const double expected : {1.54775098, 1.47589140, 1.41817352, 1.37323655}) {
    const Step s = run_step(e, batch);
    EXPECT_NEAR(s.loss, expected, dtype() == DType::f64 ? 1e-8 : 2e-5);
    adam.step(s.gradients, 0.01);
  }
  expect_row(e.store.find("item_embedding/weight").value().to_vector(), 0, {0, 0, 0, 0}, 0, "padding stays zero");
}

INSTANTIATE_TEST_SUITE_P(All, SasrecExample, ::testing::Combine(::testing::Values(DType::f64, DType::f32), ::testing::Bool()),
                         [](const auto& tested) {
                           return to_text(std::get<0>(tested.param)) + (std::get<1>(tested.param) ? "Packed" : "Padded");
                         });

TEST(SasrecModel, PackedEqualsPaddedWithDropout) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Example packed(dtype, true, 0.5), padded(dtype, false, 0.5), plain(dtype, true, 0.0);
    const nn::Run run{.training = true, .seed = 5};
    const auto with_keys = [&](Batch b) {
      nn::Run r = run;
      r.token_ids = b.layout.keys;
      return std::pair(std::move(b), r);
    };
    const auto [b1, r1] = with_keys(example_batch(true));
    const auto [b2, r2] = with_keys(example_batch(false));
    const Step s1 = run_step(packed, b1, r1), s2 = run_step(padded, b2, r2);
    const double tolerance = dtype == DType::f64 ? 1e-12 : 1e-5;
    const double rounding = dtype == DType::f64 ? 1e-15 : 1e-7;  // the gradient of the keys' bias is nothing else
    EXPECT_NEAR(s1.loss, s2.loss, tolerance);
    EXPECT_GT(std::abs(s1.loss - run_step(plain, b1, r1).loss), 1e-3) << "dropout changes something";
    for (std::size_t i = 0; i < s1.gradients.size(); ++i) {
      expect_close(dense(s1.gradients[i]), dense(s2.gradients[i]), tolerance, packed.store.parameters()[i].name(), rounding);
    }
  }
}

TEST(SasrecModel, EveryGradientIsTheSlope) {
  // Directional derivatives along every parameter for each loss, in f64.
  for (const LossKind kind : {LossKind::bce, LossKind::ce, LossKind::sampled_softmax, LossKind::gbce}) {
    Example e(DType::f64, true, 0.3);
    Batch batch = example_batch(true);
    const LossOptions loss{.kind = kind, .negatives = kind == LossKind::bce ? 1 : 3, .l2_embedding = 0.01};
    if (kind != LossKind::bce) set_candidates(batch, std::vector<std::int32_t>{2, 4, 6, 3, 5, 3}, 3, /*shared=*/true);
    const nn::Run run{.training = true, .seed = 9, .token_ids = batch.layout.keys};
    const Step s = run_step(e, batch, run, loss);
    const auto parameters = e.store.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto values = parameters[i].value().span<double>();
      const std::vector<double> before(values.begin(), values.end()), g = dense(s.gradients[i]);
      const double h = 1e-5;
      const bool items = parameters[i].name() == "item_embedding/weight";
      const auto direction = [&](std::size_t j) { return items && j < 4 ? 0.0 : std::cos(static_cast<double>(j + 1)); };  // padding stays
      double slope = 0, expected = 0;
      for (const double sign : {1.0, -1.0}) {
        for (std::size_t j = 0; j < values.size(); ++j) values[j] = before[j] + sign * h * direction(j);
        slope += sign * run_step(e, batch, run, loss).loss / (2 * h);
      }
      for (std::size_t j = 0; j < values.size(); ++j) expected += g[j] * direction(j);
      std::ranges::copy(before, values.begin());
      EXPECT_NEAR(slope, expected, 1e-8 + 1e-6 * std::abs(expected)) << parameters[i].name() << ", loss " << static_cast<int>(kind);
    }
  }
}

TEST(SasrecModel, ComputesInBf16AsInF32) {
  const auto step = [](DType precision, const nn::SasrecOptions& o, LossKind kind) {
    nn::ParameterStore store(1);
    const nn::Sasrec model(store.root(), kItems, o, precision);
    const Network network{
        .form = {.max_length = o.max_length},
        .hidden = [&](const Tensor& items, const nn::TokenLayout& layout, const nn::Run& run) { return model.hidden(items, layout, run); },
        .item_table = model.item_table()};
    const Batch batch = example_batch(o.packed);
    EXPECT_EQ(model.hidden(batch.items, batch.layout, {}).dtype(), precision);
    EXPECT_EQ(last_hidden(network, batch, {}).dtype(), DType::f32) << "of which scores are computed";
    Tape tape;
    const Tensor sum = loss_sum(network, batch, {.kind = kind, .l2_embedding = .01}, {.training = true});
    std::vector<double> all{sum.item()};
    for (const Gradient& g : store.gradients(tape.backward(sum)))
      for (const double x : dense(g)) all.push_back(x);
    return all;
  };
  for (const nn::SasrecNorm norm : {nn::SasrecNorm::query, nn::SasrecNorm::post, nn::SasrecNorm::pre})
    for (const LossKind kind : {LossKind::bce, LossKind::ce})
      for (const bool packed : {true, false}) {
        nn::SasrecOptions o = options(packed);
        o.hidden_size = 16, o.norm = norm;
        const std::vector<double> exact = step(DType::f32, o, kind), rounded = step(DType::bf16, o, kind);
        double error = 0, size = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) error += std::pow(rounded[i] - exact[i], 2), size += std::pow(exact[i], 2);
        EXPECT_LT(std::sqrt(error / size), .05) << static_cast<int>(norm) << static_cast<int>(kind) << packed;
        EXPECT_GT(error, 0) << "computes in bf16";
      }
}

TEST(SasrecModel, StartsAsPublished) {
  nn::ParameterStore store(3);
  const nn::Sasrec model(store.root(), 500, {.max_length = 30, .hidden_size = 20, .blocks = 2, .heads = 1});
  const auto check = [&](const char* name, double fans) {
    const std::vector<double> v = store.find(name).value().to_vector();
    const double bound = std::sqrt(6 / fans);
    double largest = 0;
    for (const double x : v) largest = std::max(largest, std::abs(x));
    EXPECT_LE(largest, bound) << name;
    EXPECT_GT(largest, 0.95 * bound) << name;
  };
  check("item_embedding/weight", 501 + 20);
  check("position_embedding/weight", 30 + 20);
  check("blocks/1/outer/weight", 40);
  expect_row(store.find("item_embedding/weight").value().to_vector(), 0, std::vector<double>(20, 0.0), 0, "padding");
  expect_row(store.find("blocks/0/query/bias").value().to_vector(), 0, std::vector<double>(20, 0.0), 0, "bias");
  EXPECT_THROW(nn::Sasrec(nn::ParameterStore().root(), 5, {.hidden_size = 50, .heads = 3}), ConfigError);
}

}  // namespace
}  // namespace capstan::next_item
