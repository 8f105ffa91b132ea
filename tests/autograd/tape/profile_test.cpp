// What operations and kernels tell a profile.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/profile.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/candidate_loss.h"
#include "autograd/ops/conv.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/session_loss.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/checkpoint.h"

namespace capstan {
namespace {

using profile::Event;
using profile::Kind;

Tensor filled(const Shape& shape, DType dtype = DType::f32) { return Tensor::full(shape, .5, dtype); }

/// The work of all events of an operation, those in it included.
profile::Work work_of(const profile::Recorder& recorder, std::string_view operation) {
  profile::Work work;
  const auto& events = recorder.events();
  for (const Event& e : events)
    for (const Event* at = &e;; at = &events[static_cast<std::size_t>(at->parent)]) {
      if (at->kind == Kind::operation && at->name == operation) {
        work += e.work;
        break;
      }
      if (at->parent < 0) break;
    }
  return work;
}

TEST(ProfileOfATape, CountsProductsOnceAndOperandsOfBothPasses) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const double size = static_cast<double>(size_of(dtype));
    const Tensor x = make_leaf(filled({30, 20}, dtype)), weight = make_leaf(filled({40, 20}, dtype));
    const profile::Recorder recorder;
    Tape tape;
    const Tensor y = linear(x, weight), dy = filled({30, 40}, dtype);
    EXPECT_EQ(work_of(recorder, "linear").flops, 2 * 30 * 20 * 40);
    EXPECT_EQ(work_of(recorder, "linear").bytes, size * (30 * 20 + 40 * 20 + 30 * 40));
    const Gradients g = tape.backward(std::span(&y, 1), std::span(&dy, 1));
    EXPECT_EQ(work_of(recorder, "linear").flops, 3 * 2 * 30 * 20 * 40);
    const double gradients = size * (30 * 20) + static_cast<double>(size_of(g.of(weight).dtype())) * 40 * 20;
    EXPECT_GE(work_of(recorder, "linear").bytes, 2 * size * (30 * 20 + 40 * 20 + 30 * 40) + gradients);
    EXPECT_TRUE(std::ranges::any_of(recorder.events(), [](const Event& e) { return e.kind == Kind::product && e.name == "Matmul"; }));
  }
}

/// A layer on leaves filled with a number, and the hand count of its products.
struct Layer {
  std::string_view name;
  std::vector<Shape> leaves;
  std::function<Tensor(std::span<const Tensor> leaves)> output;
  double product = 0;                ///< FLOP of one
  double forward = 1, backward = 2;  ///< products
  double frozen = 1;                 ///< what a frozen first leaf saves of them
  friend void PrintTo(const Layer& layer, std::ostream* out) { *out << layer.name; }
};

Tensor ids(const std::vector<std::int64_t>& numbers, const Shape& shape) { return Tensor::from(std::span(numbers), shape); }

std::vector<Layer> layers() {
  using Leaves = std::span<const Tensor>;
  constexpr double kPlaces = 2 * 8 * 8, kState = 2 * 7 * 7;  // of images; batch 2, width 7
  const auto convolution = [](std::int64_t groups) {
    return [groups](Leaves x) { return conv2d(x[0], x[1], {}, {.window = square_window(1, 1), .groups = groups}); };
  };
  const auto attention = [](std::string_view name, bool causal, double pairs) {
    const Shape heads{2, 5, 3, 4};  // 2 sequences, 5 tokens, 3 heads of width 4
    return Layer{.name = name,
                 .leaves = {heads, heads, heads},
                 .output = [causal](Leaves x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = causal}); },
                 .product = 2 * 2 * 3 * 4 * pairs,
                 .forward = 2,
                 .backward = 4,
                 .frozen = 0};
  };
  // Of 5 steps. A frozen first state saves the product that leads back to it from the first step.
  const auto gru_of = [&](std::string_view name, GruVariant variant, double frozen) {
    return Layer{.name = name,
                 .leaves = {{2, 7}, {2, 5, 21}, {21, 7}},
                 .output = [variant](Leaves x) { return gru(x[1], x[0], x[2], {}, {}, {.variant = variant})[0]; },
                 .product = 2 * 5 * 3 * kState,
                 .frozen = frozen / 5};
  };
  return {
      {"linear", {{30, 20}, {40, 20}}, [](Leaves x) { return linear(x[0], x[1]); }, 2 * 30 * 20 * 40},
      {"matmul", {{5, 6, 7}, {5, 7, 3}}, [](Leaves x) { return matmul(x[0], x[1]); }, 2 * 5 * 6 * 7 * 3},
      {"conv2d", {{2, 3, 8, 8}, {4, 3, 3, 3}}, convolution(1), 2 * kPlaces * 4 * 3 * 9},
      {"conv2d_of_groups", {{2, 4, 8, 8}, {6, 2, 3, 3}}, convolution(2), 2 * kPlaces * 6 * 2 * 9},
      {"conv2d_as_matmul", {{2, 3, 8, 8}, {4, 3, 1, 1}}, [](Leaves x) { return conv2d(channels_last(x[0]), x[1]); }, 2 * kPlaces * 4 * 3},
      {"conv2d_1x1_with_bias",
       {{2, 3, 8, 8}, {4, 3, 1, 1}, {4}},
       [](Leaves x) { return conv2d(channels_last(x[0]), x[1], x[2]); },
       2 * kPlaces * 4 * 3},
      attention("attention", false, 5 * 5),
      attention("attention_causal", true, 1 + 2 + 3 + 4 + 5),
      {"gru_cell", {{2, 7}, {2, 21}, {21, 7}}, [](Leaves x) { return gru_cell(x[1], x[0], x[2]); }, 2 * 3 * kState},
      gru_of("gru", GruVariant::reset_after, 1),
      gru_of("gru_reset_before", GruVariant::reset_before, 2. / 3),  // that of n is needed for r
      {"lstm_cell", {{2, 7}, {2, 7}, {2, 28}, {28, 7}}, [](Leaves x) { return lstm_cell(x[2], x[0], x[1], x[3])[0]; }, 2 * 4 * kState},
      {.name = "lstm",
       .leaves = {{2, 7}, {2, 7}, {2, 5, 28}, {28, 7}},
       .output = [](Leaves x) { return lstm(x[2], x[0], x[1], x[3], {}, {})[0]; },
       .product = 2 * 5 * 4 * kState,
       .frozen = 1. / 5},
      {.name = "linear_cross_entropy",  // makes gradients in forward
       .leaves = {{6, 5}, {9, 5}},
       .output =
           [](Leaves x) {
             return linear_cross_entropy(x[0], x[1], {}, ids({0, 8, 3, 3, 1, 7}, {6})).value;
           },
       .product = 2 * 6 * 5 * 9,
       .forward = 3,
       .backward = 0},
      {"sampled_session_loss",
       {{2, 5}, {9, 5}},
       [](Leaves x) {
         return sampled_session_loss(x[0], x[1], {}, ids({4, 8, 0}, {3}), {}, {});
       },
       2 * 2 * 5 * 3},
      {"candidate_scores",  // of two rows that take part
       {{3, 5}, {9, 5}},
       [](Leaves x) {
         return candidate_scores(x[0], x[1], ids({1, 2, 3, 4, 5, 6}, {3, 2}), Tensor::from<std::uint8_t>({1, 0, 1}, {3}));
       },
       2 * 2 * 2 * 5},
  };
}

double flops(const profile::Recorder& recorder) {
  double sum = 0;
  for (const Event& e : recorder.events()) sum += e.work.flops;
  return sum;
}

struct ProductsOfALayer : testing::TestWithParam<Layer> {
  /// FLOP of a forward and a backward pass.
  static std::pair<double, double> counted(DType dtype, bool frozen_first) {
    const Layer& layer = GetParam();
    std::vector<Tensor> leaves;
    for (const Shape& shape : layer.leaves) leaves.push_back(filled(shape, dtype));
    for (std::size_t i = frozen_first ? 1 : 0; i < leaves.size(); ++i) leaves[i] = make_leaf(leaves[i]);
    const profile::Recorder recorder;
    Tape tape;
    const Tensor y = layer.output(leaves), dy = filled(y.shape(), y.dtype());
    const double forward = flops(recorder);
    tape.backward(std::span(&y, 1), std::span(&dy, 1));
    return {forward, flops(recorder) - forward};
  }
};

TEST_P(ProductsOfALayer, CountOnceInEachPass) {
  const Layer& layer = GetParam();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto [forward, backward] = counted(dtype, false);
    EXPECT_EQ(forward, layer.forward * layer.product) << to_text(dtype);
    EXPECT_EQ(backward, layer.backward * layer.product) << to_text(dtype);
    const auto [frozen_forward, frozen_backward] = counted(dtype, true);
    EXPECT_DOUBLE_EQ(frozen_forward + frozen_backward, (layer.forward + layer.backward - layer.frozen) * layer.product) << to_text(dtype);
  }
}

INSTANTIATE_TEST_SUITE_P(ProfileOfATape, ProductsOfALayer, testing::ValuesIn(layers()),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(ProfileOfATape, TellsWhatACheckpointComputesAgain) {
  const Tensor x = make_leaf(filled({30, 20})), weight = make_leaf(filled({20, 20}));
  const CheckpointedFunction part = [&](std::span<const Tensor> in) { return std::vector{linear(linear(in[0], weight), weight)}; };
  const profile::Recorder recorder;
  {
    const profile::Scope backward("backward", Kind::phase);
    Tape tape;
    const Tensor y = checkpoint(part, {x})[0], dy = filled({30, 20});
    tape.backward(std::span(&y, 1), std::span(&dy, 1));
  }
  double again = 0;
  for (const Event& e : recorder.events())
    for (const Event* at = &e; at->parent >= 0; at = &recorder.events()[static_cast<std::size_t>(at->parent)])
      if (at->kind == Kind::phase && at->name == kRecomputePhase) again += e.work.flops;
  constexpr double kProduct = 2.0 * 30 * 20 * 20;
  EXPECT_EQ(again, 2 * kProduct);
  EXPECT_EQ(flops(recorder), (2 + 2 + 4) * kProduct);
}

TEST(ProfileOfATape, ViewsMoveNothingAndPickedRowsAsMuchAsIsPicked) {
  const Tensor table = make_leaf(filled({1000, 8})), ids = Tensor::from<std::int64_t>({3, 1, 3}, {3});
  const profile::Recorder recorder;
  Tape tape;
  const Tensor rows = embedding(table, ids, {.sparse = true});
  EXPECT_EQ(work_of(recorder, "embedding").bytes, 2 * 3 * 8 * 4 + 3 * 8);
  const Tensor view = reshape(rows, {24});
  EXPECT_EQ(work_of(recorder, "reshape").bytes, 0);
  const Tensor loss = sum(view);
  tape.backward(loss);
  EXPECT_EQ(work_of(recorder, "reshape").bytes, 0);
  EXPECT_LT(work_of(recorder, "embedding").bytes, 1000 * 8 * 4);
}

}  // namespace
}  // namespace capstan
