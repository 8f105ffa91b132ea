// What operations and kernels tell a profile.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "autograd/core/profile.h"
#include "autograd/ops/attention.h"
#include "autograd/ops/conv.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"

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

TEST(ProfileOfATape, CountsConvolutionsAndAttention) {
  const profile::Recorder recorder;
  const Tensor image = filled({2, 3, 8, 8}), filters = filled({4, 3, 3, 3});
  conv2d(image, filters, {}, {.window = square_window(1, 1)});
  EXPECT_EQ(work_of(recorder, "conv2d").flops, 2.0 * 2 * 8 * 8 * 4 * 3 * 9);
  conv2d(channels_last(image), filled({4, 3, 1, 1}));  // a matrix product
  EXPECT_EQ(work_of(recorder, "conv2d").flops, 2.0 * 2 * 8 * 8 * 4 * 3 * 9 + 2.0 * 2 * 8 * 8 * 4 * 3);
  const Tensor q = filled({2, 5, 3, 4});  // 5 queries, 3 heads
  scaled_dot_product_attention(q, q, q, {.causal = true});
  const Event* const attention = &*std::ranges::find(recorder.events(), "AttentionForward", &Event::name);
  EXPECT_EQ(attention->work.flops, 2.0 * 2 * 4 * 2 * 3 * (1 + 2 + 3 + 4 + 5)) << "two products of 4 for what causality leaves";
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
