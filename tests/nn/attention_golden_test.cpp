// Attention against PyTorch beyond the plain layer: shared key heads, masks and biases, windows, decoding with a cache, cross-attention.
#include <gtest/gtest.h>

#include "autograd/ops/attention.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/attention.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

using Args = ops::ScaledDotProductAttention::Args;

/// A case of the op: with the bias of that name among its inputs, if it has one.
void expect_op(const std::string& name, const Args& args, bool masked, bool biased) {
  SCOPED_TRACE(name);
  in_both_precisions([&](DType dtype, double tolerance) {
    const Golden golden("op/" + name, dtype, "attention");
    ParameterStore none(1, dtype);
    AttentionInputs in;
    if (masked) in.mask = golden.mask("mask");
    if (biased) in.bias = golden.input("bias");
    golden.expect(none, tolerance, [&] {
      return scaled_dot_product_attention(golden.input("query"), golden.input("key"), golden.input("value"), args, in);
    });
  });
}

TEST(AttentionGoldens, Op) {
  expect_op("gqa_causal", {.causal = true}, false, false);
  expect_op("mqa_mask", {.scale = 0.3}, true, false);
  for (const std::string kind : {"head", "sample", "keys", "all"}) expect_op("bias_of_" + kind, {}, true, true);
  expect_op("offset", {.causal = true, .query_offset = 2}, false, false);
}

// The mask of shifted windows is -100 in the original, beside which what is left of a probability is below f64: it may as well remove.
TEST(AttentionGoldens, WindowsWithRelativePositions) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("layer/windows", dtype, "attention");
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2});
    const Tensor& x = golden.input("x");
    const auto table = [&] {  // [H, N, N]
      return permute(reshape(index_select(golden.input("table"), 0, golden.input("index")), {4, 4, 2}), {2, 0, 1});
    };
    const Tensor added = golden.mask("added"), allowed(added.shape(), DType::u8);  // [windows, 1, N, N]
    const std::vector<double> values = added.to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) allowed.data<std::uint8_t>()[i] = values[i] == 0;
    golden.expect(store, tolerance, [&] { return layer(x, x, x, {.mask = allowed, .bias = table()}, {}); });
    golden.expect(store, tolerance, [&] { return layer(x, x, x, {.bias = add(table(), added)}, {}); });
  });
}

TEST(AttentionGoldens, DecodingWithACache) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("layer/decoding", dtype, "attention");
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 8, .heads = 4, .key_value_heads = 2, .head_width = 3});
    const Tensor& x = golden.input("x");
    golden.expect(store, tolerance, [&] { return layer(x, x, x, {.causal = true}, {}); });
    const NoGrad no_grad;
    for (const std::int64_t chunk : {1, 2, 7}) {
      KeyValueCache cache;
      std::vector<Tensor> parts;
      for (std::int64_t t = 0; t < 7; t += chunk)
        parts.push_back(layer.step(x.detach().view(x.layout().slice(1, t, std::min(chunk, 7 - t))), cache, {}, {}));
      expect_close(concat(parts, 1).to_vector(), golden.values("output"), tolerance, "chunks of " + std::to_string(chunk));
    }
  });
}

TEST(AttentionGoldens, CrossAttentionWithABiasOfEveryHead) {
  in_both_precisions([](DType dtype, double tolerance) {
    const Golden golden("layer/cross", dtype, "attention");
    ParameterStore store(1, dtype);
    const MultiHeadAttention layer(store.root(), {.width = 6, .heads = 2, .key_width = 4, .value_width = 4});
    const Tensor& memory = golden.input("memory");
    golden.expect(store, tolerance,
                  [&] { return layer(golden.input("x"), memory, memory, {.bias = golden.input("bias"), .keys = golden.mask("key")}, {}); });
  });
}

}  // namespace
}  // namespace capstan::nn
