// torch.nn.Transformer and the options of its attention, against PyTorch (tests/goldens/make_transformer.py).
#include "nn/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/transformer_names.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"
#include "tests/nn/golden.h"

namespace capstan::nn {
namespace {

using ::testing::HasSubstr;

constexpr char kSet[] = "transformer";

/// The masks that a case has.
TorchMask torch_mask(const Golden& golden, const std::string& attn, const std::string& padding) {
  TorchMask mask;
  if (golden.has_mask(attn)) mask.attn_mask = golden.mask(attn);
  if (golden.has_mask(padding)) mask.key_padding_mask = golden.mask(padding);
  return mask;
}

TransformerOptions options_of(const Golden& golden) {
  const std::vector<double> o = golden.values("options");
  return {.width = 4,
          .heads = 2,
          .encoder_layers = static_cast<std::int64_t>(o[4]),
          .decoder_layers = static_cast<std::int64_t>(o[5]),
          .inner = 6,
          .dropout = 0,
          .activation = o[1] != 0 ? Activation::gelu : Activation::relu,
          .pre_norm = o[0] != 0,
          .epsilon = o[6] != 0 ? 1e-3 : 1e-5,
          .bias = o[2] != 0,
          .batch_first = o[3] != 0};
}

TEST(Transformer, FollowsPyTorchInEveryCombinationOfOptionsAndMasks) {
  in_both_precisions([](DType dtype, double tolerance) {
    for (int i = 0; i < 24; ++i) {
      const Golden golden("transformer/" + std::to_string(i), dtype, kSet);
      ParameterStore store(1, dtype);
      const Transformer transformer(store.root(), options_of(golden));
      const TransformerMasks masks{.source = torch_mask(golden, "src_mask", "src_key_padding_mask"),
                                   .target = torch_mask(golden, "tgt_mask", "tgt_key_padding_mask"),
                                   .memory = torch_mask(golden, "memory_mask", "memory_key_padding_mask")};
      golden.expect(store, tolerance, [&] { return transformer(golden.input("source"), golden.input("target"), masks, {}); });
    }
  });
}

TEST(Transformer, AttentionTakesExtraKeysAndOtherWidths) {
  const std::map<std::string, AttentionOptions> cases{
      {"extra", {.width = 4, .heads = 2, .extra_key = true}},
      {"zero", {.width = 4, .heads = 2, .zero_key = true}},
      {"extra_and_zero", {.width = 4, .heads = 2, .extra_key = true, .zero_key = true}},
      {"extra_and_zero_causal", {.width = 4, .heads = 2, .extra_key = true, .zero_key = true}},
      {"widths", {.width = 4, .heads = 2, .key_width = 3, .value_width = 6}},
  };
  for (const auto& [name, options] : cases)
    in_both_precisions([&, &name = name, &options = options](DType dtype, double tolerance) {
      const Golden golden("attention/" + name, dtype, kSet);
      ParameterStore store(1, dtype);
      const MultiHeadAttention attention(store.root(), options);
      AttentionMask mask = attention_mask(torch_mask(golden, "attn_mask", "key_padding_mask"), 2);
      if (name == "extra_and_zero_causal") mask = {.causal = true};  // the same mask by its name
      const Tensor &query = golden.input("query"), &key = golden.input("key"), &value = golden.input("value");
      golden.expect(store, tolerance, [&] { return attention(query, key, value, mask, {}); });
      const auto mean = attention.with_weights(query, key, value, mask, {}),
                 heads = attention.with_weights(query, key, value, mask, {}, false);
      expect_close(mean.weights.to_vector(), golden.values("mean_weights"), tolerance, name);
      expect_close(heads.weights.to_vector(), golden.values("weights"), tolerance, name);
      expect_close(mean.output.to_vector(), golden.values("output"), tolerance, name);
    });
}

TEST(Transformer, ExtraKeysAreDroppedOutByTheirNumber) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention attention(store.root(), {.width = 4, .heads = 2, .dropout = .5, .extra_key = true, .zero_key = true});
  const Tensor x = cosine({2, 3, 4}, 0);
  const Tensor both =
      attention(x, x, x, {.causal = true}, {.training = true, .token_ids = Tensor::from<std::int64_t>({0, 1, 2, 3, 4, 5}, Shape{2, 3})});
  const Tensor last = slice(x, 0, 1, 1);
  const Tensor alone =
      attention(last, last, last, {.causal = true}, {.training = true, .token_ids = Tensor::from<std::int64_t>({3, 4, 5}, Shape{1, 3})});
  expect_close(alone.to_vector(), slice(both, 0, 1, 1).to_vector(), 1e-14, "the second sequence");
}

TEST(Transformer, AQueryThatMayAttendToNothingGetsZeros) {
  ParameterStore store(1, DType::f64);
  const MultiHeadAttention attention(store.root(), {.width = 4, .heads = 2});
  const Tensor x = cosine({1, 2, 4}, 0);
  const Tensor blocked = Tensor::from<std::uint8_t>({1, 1, 0, 0}, Shape{2, 2});
  const auto result = attention.with_weights(x, x, x, attention_mask({.attn_mask = blocked}, 2), {}, false);
  expect_close(slice(result.weights, 2, 0, 1).to_vector(), std::vector<double>(4, 0.0), 0, "weights");
  expect_close(slice(result.output, 1, 0, 1).to_vector(), std::vector<double>(4, 0.0), 0, "output without biases but zeros");
}

TEST(Transformer, TakesStacksOfTheCallers) {
  ParameterStore store(1, DType::f64);
  const Transformer transformer(store.root(), {.width = 4,
                                               .heads = 2,
                                               .decoder_layers = 1,
                                               .inner = 6,
                                               .dropout = 0,
                                               .batch_first = true,
                                               .encoder = [](const Tensor& x, const AttentionMask&, const nn::Run&) { return add(x, x); }});
  for (const Parameter& p : store.parameters()) EXPECT_EQ(p.name().rfind("decoder/", 0), 0u) << p.name();
  const Tensor source = cosine({1, 3, 4}, 0), target = cosine({1, 2, 4}, 1);
  const Tensor y = transformer(source, target, {}, {});
  expect_close(y.to_vector(), transformer.decode(target, add(source, source), {}, {}, {}).to_vector(), 0, "decoder alone");
}

TEST(Transformer, GoesOutUnderTheNamesOfPyTorchAndComesIn) {
  const TransformerOptions options{.width = 4, .heads = 2, .encoder_layers = 2, .decoder_layers = 1, .inner = 6};
  ParameterStore store(3), other(4);
  const Transformer first(store.root(), options), second(other.root(), options);
  const ForeignNames names = torch_names(options);
  std::map<std::string, Tensor, std::less<>> written;
  TensorSource file{.name = "test", .tensors = {}, .read = [&](std::string_view name) { return written.find(name)->second; }};
  for (auto& [name, value] : translated_back(names, store)) {
    file.tensors.emplace_back(name, value.spec());
    written.emplace(name, value);
  }
  EXPECT_EQ(written.at("decoder.layers.0.multihead_attn.in_proj_weight").shape(), (Shape{12, 4}));
  EXPECT_EQ(written.count("encoder.layers.1.norm2.bias"), 1u);
  EXPECT_EQ(written.count("decoder.norm.weight"), 1u);
  import_parameters(translated(file, names, other), {}, {}, other);
  for (std::size_t i = 0; i < store.parameters().size(); ++i)
    EXPECT_EQ(other.parameters()[i].value().to_vector(), store.parameters()[i].value().to_vector()) << store.parameters()[i].name();
}

TEST(Transformer, Positions) {
  const auto row = [](std::int64_t width, std::int64_t position) {
    return slice(sinusoidal_positions(position + 1, width, DType::f64), 0, position, 1).to_vector();
  };
  expect_close(row(4, 0), {0, 1, 0, 1}, 0, "position 0");
  expect_close(row(4, 1), {.841471, .540302, .01, .99995}, 1e-6, "position 1");
  expect_close(row(4, 3), {.14112, -.989992, .029996, .99955}, 1e-6, "position 3");
  expect_close(row(6, 2), {.909297, -.416147, .092699, .995694, .004309, .999991}, 1e-6, "width 6");
  expect_close(
      row(5, 2),
      {.909297, -.416147, std::sin(2 * std::pow(10000.0, -.4)), std::cos(2 * std::pow(10000.0, -.4)), std::sin(2 * std::pow(10000.0, -.8))},
      1e-6, "an odd width lacks the last cosine");
  const double none = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(square_subsequent_mask(2, DType::f64).to_vector(), (std::vector<double>{0, none, 0, 0}));
}

TEST(Transformer, SaysWhatIsWrong) {
  const Tensor x = cosine({3, 2, 2}, 0);
  EXPECT_THAT(message_of([&] { attention_mask({.attn_mask = x}, 2); }), HasSubstr("attn_mask must be [L, S] or [B * heads, L, S]"));
  EXPECT_THAT(message_of([&] { attention_mask({.key_padding_mask = x}, 2); }), HasSubstr("key_padding_mask must be [B, S]"));
  EXPECT_THAT(message_of([&] { attention_mask({.attn_mask = Tensor({2, 2}, DType::i64)}, 2); }), HasSubstr("must be u8 or floating"));
  ParameterStore store(1);
  const MultiHeadAttention attention(store.root(), {.width = 4, .heads = 2, .zero_key = true});
  KeyValueCache cache;
  const Tensor y({1, 2, 4});
  EXPECT_THAT(message_of([&] { attention.extend(cache, y, y); }), HasSubstr("extra keys do not go together with a cache"));
}

}  // namespace
}  // namespace capstan::nn
