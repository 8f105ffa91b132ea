// The decoder layer against PyTorch and by properties.
#include "nn/decoder_layer.h"

#include <gtest/gtest.h>

#include <string>

#include "autograd/ops/shape_ops.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

TEST(DecoderLayer, FollowsPyTorch) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (const bool pre_norm : {false, true})
      for (const bool bias : {false, true}) {
        const std::string name = std::string(bias ? "causal_" : "no_bias_masks_") + (pre_norm ? "pre" : "post");
        SCOPED_TRACE(name);
        const Golden golden("decoder_layer/" + name, dtype);
        ParameterStore store(1, dtype);
        const DecoderLayer layer(store.root(), {.width = 4,
                                                .heads = 2,
                                                .inner = 6,
                                                .activation = bias ? Activation::gelu : Activation::relu,
                                                .pre_norm = pre_norm,
                                                .bias = bias});
        DecoderInputs inputs{.memory = golden.input("memory"),
                             .mask = {.keys = golden.mask("key"), .causal = bias},
                             .memory_mask = {.keys = golden.mask("memory_key")}};
        if (!bias) inputs.mask.bias = golden.mask("added"), inputs.memory_mask.bias = golden.mask("memory_added");
        golden.expect(store, 10 * tolerance, [&] { return layer(golden.input("x"), inputs, {}); });
      }
  });
}

TEST(DecoderLayer, LooksBackOnlyAndAtAllOfTheMemory) {
  for (const bool pre_norm : {false, true}) {
    ParameterStore store(1, DType::f64);
    const DecoderLayer layer(store.root(), {.width = 4, .heads = 2, .inner = 6, .pre_norm = pre_norm});
    const Tensor x = cosine({2, 3, 4}, 0), memory = cosine({2, 5, 4}, 1);
    const auto first_two = [&](const Tensor& from, const Tensor& source) {
      return slice(layer(from, {.memory = source}, {}), 1, 0, 2).to_vector();
    };
    const std::vector<double> expected = first_two(x, memory);
    expect_close(first_two(slice(x, 1, 0, 2), memory), expected, 1e-12, "without the last token");
    EXPECT_NE(first_two(x, slice(memory, 1, 0, 4)), expected);
  }
}

TEST(DecoderLayer, NeedsAMemory) {
  ParameterStore store(1, DType::f64);
  const DecoderLayer layer(store.root(), {.width = 4, .heads = 2, .inner = 6});
  EXPECT_THROW(layer(cosine({2, 3, 4}, 0), {}, {}), ShapeError);
}

TEST(DecoderLayer, HasRelativePositionsInSelfAttentionOnly) {
  ParameterStore store(1, DType::f64);
  const DecoderLayer layer(store.root(), {.width = 4, .heads = 2, .inner = 6, .relative = RelativePositions::key, .max_length = 3});
  EXPECT_NO_THROW(store.find("self_attention/distance_embedding"));
  EXPECT_THROW(store.find("cross_attention/distance_embedding"), ConfigError);
  EXPECT_EQ(layer(cosine({2, 3, 4}, 0), {.memory = cosine({2, 5, 4}, 1)}, {}).shape(), (Shape{2, 3, 4}));
}

}  // namespace
}  // namespace capstan::nn
