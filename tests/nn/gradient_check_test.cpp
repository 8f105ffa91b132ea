// The table of all layers: each one's gradients against central differences. And what the check finds.
#include "tests/nn/gradient_check.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/conv_norm.h"
#include "nn/decoder_layer.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/feed_forward.h"
#include "nn/grid_interpolation.h"
#include "nn/image_normalization.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/patch_embedding.h"
#include "nn/recurrent.h"
#include "nn/stochastic_depth.h"
#include "nn/transformer_layer.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

namespace {

struct LayerCase {
  std::string name;
  LayerBuilder build;
  std::vector<Tensor> inputs;
};
void PrintTo(const LayerCase& c, std::ostream* out) { *out << c.name; }

/// Training with a number for every token of a batch of two by three.
nn::Run training() { return {.training = true, .seed = 3, .token_ids = Tensor::from(std::vector<std::int64_t>{4, 5, 6, 7, 8, 9}, {6})}; }
nn::Run training_again() {
  nn::Run run = training();
  run.checkpoint_activations = true;
  return run;
}
const Tensor kLengths = Tensor::from(std::vector<std::int64_t>{3, 2}, {2});
const Tensor kMemoryIds = Tensor::from(std::vector<std::int64_t>{1, 2, 3, 4}, {4});
const Tensor kKeys = Tensor::from(std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0}, {2, 3});

TransformerLayerOptions small(bool pre_norm, bool bias = true) {
  return {.width = 4,
          .heads = 2,
          .inner = 5,
          .pre_norm = pre_norm,
          .dropout = .2,
          .attention_dropout = .2,
          .activation_dropout = .2,
          .bias = bias};
}

template <class Layer>
LayerCase recurrent_case(const std::string& name, const typename Layer::Options& cell, bool bidirectional) {
  return {name,
          [=](const Scope& s) {
            const Recurrent<Layer> layer(s, {.cell = cell, .layers = 2, .bidirectional = bidirectional, .dropout = .2});
            return [=](Inputs in) {
              const auto [output, last] = layer(in[0], bidirectional ? kLengths : Tensor{}, {.training = true, .seed = 3});
              Tensor state;
              if constexpr (std::is_same_v<Layer, LstmCell>) {
                state = add(last[0].c, last[1].h);
              } else {
                state = add(last[0], last[1]);
              }
              return concat({flatten(output), flatten(state)}, 0);
            };
          },
          {random_input({2, 3, 3})}};
}

std::vector<LayerCase> cases() {
  const Tensor x = random_input({2, 3, 4}), memory = random_input({2, 2, 4}, 2), images = random_input({2, 3, 4, 4}),
               last = random_input({3, 5});
  const Tensor ids = Tensor::from(std::vector<std::int64_t>{1, 4, 1, 0}, {2, 2});
  std::vector<LayerCase> all;
  const auto add_case = [&](std::string name, LayerBuilder build, std::vector<Tensor> inputs) {
    all.push_back({std::move(name), std::move(build), std::move(inputs)});
  };

  add_case("linear", [](const Scope& s) { return [l = Linear(s, {.in = 5, .out = 3})](Inputs in) { return l(in[0]); }; }, {last});
  add_case("linear_no_bias",
           [](const Scope& s) { return [l = Linear(s, {.in = 5, .out = 3, .bias = false})](Inputs in) { return l(in[0]); }; }, {last});
  for (const bool sparse : {false, true})
    add_case(sparse ? "embedding_sparse" : "embedding",
             [=](const Scope& s) {
               return [l = Embedding(s, {.rows = 5, .width = 3, .scale = 2, .sparse_gradient = sparse})](Inputs in) { return l(in[0]); };
             },
             {ids});
  add_case("layer_norm", [](const Scope& s) { return [l = LayerNorm(s, {.width = 5})](Inputs in) { return l(in[0]); }; }, {last});
  add_case("layer_norm_no_bias",
           [](const Scope& s) { return [l = LayerNorm(s, {.width = 5, .bias = false})](Inputs in) { return l(in[0]); }; }, {last});
  add_case("rms_norm",
           [](const Scope& s) { return [l = LayerNorm(s, {.width = 5, .kind = NormKind::rms})](Inputs in) { return l(in[0]); }; }, {last});
  add_case("layer_norm_after_residual",
           [](const Scope& s) {
             return [l = LayerNorm(s, {.width = 4}), drop = Dropout(s, .3)](Inputs in) {
               const LayerNorm::Sum both = l.after_residual_with_sum(in[0], in[1], in[2], drop, training());
               return concat({both.normalized, both.sum, l.after_residual(in[0], in[1], in[2], drop, training())}, 0);
             };
           },
           {x, random_input({4}, 2), random_input({2, 3, 4}, 3)});
  add_case("dropout", [](const Scope& s) { return [l = Dropout(s, .4)](Inputs in) { return l(in[0], training()); }; }, {x});
  add_case("stochastic_depth", [](const Scope& s) { return [l = StochasticDepth(s, .4)](Inputs in) { return l(in[0], training()); }; },
           {x});
  for (const Activation a : {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::tanh})
    for (const bool bias : {false, true})
      add_case("feed_forward_" + to_text(a) + (bias ? "" : "_no_bias"),
               [=](const Scope& s) {
                 return [l = FeedForward(s, {.width = 4, .inner = 5, .activation = a, .dropout = .2, .bias = bias})](Inputs in) {
                   return l(in[0], training());
                 };
               },
               {x});

  for (const Gate g : {Gate::swiglu, Gate::geglu})
    add_case(g == Gate::swiglu ? "feed_forward_swiglu" : "feed_forward_geglu",
             [=](const Scope& s) {
               return [l = FeedForward(s, {.width = 4, .inner = 5, .gate = g, .dropout = .2, .bias = g == Gate::geglu})](Inputs in) {
                 return l(in[0], training());
               };
             },
             {x});

  add_case("attention",
           [](const Scope& s) {
             return [l = MultiHeadAttention(s, {.width = 4, .heads = 2, .dropout = .2})](Inputs in) {
               return l(in[0], in[0], in[0], {.bias = in[1], .keys = kKeys, .causal = true}, training());
             };
           },
           {x, random_input({2, 1, 3, 3}, 2)});
  add_case("attention_extra_keys",
           [=](const Scope& s) {
             return [l = MultiHeadAttention(s, {.width = 4, .heads = 2, .dropout = .2, .extra_key = true, .zero_key = true}),
                     ids](Inputs in) { return l(in[0], in[1], in[1], {.bias = in[2], .causal = true, .key_ids = ids}, training()); };
           },
           {x, memory, random_input({2, 1, 3, 1}, 3)});
  add_case("attention_rotary",
           [](const Scope& s) {
             return [l = MultiHeadAttention(s, {.width = 4, .heads = 2, .key_value_heads = 1, .dropout = .2, .rotary_base = 10})](
                        Inputs in) { return l(in[0], in[0], in[0], {.causal = true}, training()); };
           },
           {x});
  add_case("attention_other_widths",
           [](const Scope& s) {
             return [l = MultiHeadAttention(s, {.width = 4, .heads = 2, .key_width = 3, .value_width = 2, .bias = false})](Inputs in) {
               return l(in[0], in[1], in[2], {}, {});
             };
           },
           {x, random_input({2, 2, 3}, 2), random_input({2, 2, 2}, 3)});
  for (const RelativePositions kind : {RelativePositions::key, RelativePositions::key_query})
    add_case(kind == RelativePositions::key ? "attention_relative_key" : "attention_relative_key_query",
             [=](const Scope& s) {
               return [l = MultiHeadAttention(s, {.width = 4, .heads = 2, .relative = kind, .max_length = 3})](Inputs in) {
                 return l(in[0], in[0], in[0], {.keys = kKeys}, {});
               };
             },
             {x});

  add_case("encoder_layer_grouped_queries",
           [](const Scope& s) {
             const TransformerLayerOptions options{.width = 4, .heads = 4, .inner = 5, .key_value_heads = 2, .head_width = 2};
             return [l = EncoderLayer(s, options)](Inputs in) { return l(in[0], {.causal = true}, {}); };
           },
           {x});
  for (const bool pre_norm : {false, true}) {
    const std::string form = pre_norm ? "_pre" : "_post";
    for (const bool bias : {false, true}) {
      const std::string name = form + (bias ? "" : "_no_bias");
      add_case("encoder_layer" + name,
               [=](const Scope& s) {
                 return [l = EncoderLayer(s, small(pre_norm, bias))](Inputs in) { return l(in[0], {.keys = kKeys}, training()); };
               },
               {x});
      add_case("decoder_layer" + name,
               [=](const Scope& s) {
                 return [l = DecoderLayer(s, small(pre_norm, bias))](Inputs in) {
                   return l(in[0], {.memory = in[1], .memory_mask = {.key_ids = kMemoryIds}}, training());
                 };
               },
               {x, memory});
    }
    TransformerStackOptions stack{.layers = 2, .layer = small(pre_norm)};
    stack.layer.stochastic_depth = .4;
    add_case("encoder" + form,
             [=](const Scope& s) { return [l = TransformerStack<EncoderLayer>(s, stack)](Inputs in) { return l(in[0], {}, training()); }; },
             {x});
    stack.final_norm = false, stack.layer.attention_dropout = 0;
    add_case("encoder_positions" + form,
             [=](const Scope& s) {
               return [l = TransformerStack<EncoderLayer>(s, stack)](Inputs in) {
                 return l(in[0], {.query_positions = in[1], .key_positions = in[1]}, training_again());
               };
             },
             {x, random_input(x.shape(), 2)});
    add_case("decoder_positions" + form,
             [=](const Scope& s) {
               return [l = TransformerStack<DecoderLayer>(s, stack)](Inputs in) {
                 return l(in[0],
                          {.memory = in[1],
                           .mask = {.query_positions = in[2], .key_positions = in[2]},
                           .memory_mask = {.key_ids = kMemoryIds, .query_positions = in[2], .key_positions = in[3]}},
                          training_again());
               };
             },
             {x, memory, random_input(x.shape(), 2), random_input(memory.shape(), 3)});
    add_case("encoder_first_token" + form,
             [=](const Scope& s) {
               return [l = TransformerStack<EncoderLayer>(s, stack)](Inputs in) {
                 return l.first_token(in[0], {.bias = in[1]}, training_again());
               };
             },
             {x, random_input({3, 3}, 2)});
    add_case("decoder" + form,
             [=](const Scope& s) {
               return [l = TransformerStack<DecoderLayer>(s, stack)](Inputs in) {
                 return l(in[0], {.memory = in[1], .memory_mask = {.key_ids = kMemoryIds}}, training_again());
               };
             },
             {x, memory});
  }

  add_case("conv2d",
           [](const Scope& s) {
             return [l = Conv2d(s, {.in = 3, .out = 2, .kernel = 3, .stride = 2, .padding = padding(1)})](Inputs in) { return l(in[0]); };
           },
           {images});
  for (const DeviationForm form : {DeviationForm::root, DeviationForm::sum})
    add_case(form == DeviationForm::root ? "std_conv2d_root" : "std_conv2d_sum",
             [=](const Scope& s) {
               return [l = StdConv2d(s, {.in = 3, .out = 2, .kernel = 2, .padding = same_padding()}, {.form = form})](Inputs in) {
                 return l(in[0]);
               };
             },
             {images});
  add_case("group_norm", [](const Scope& s) { return [l = GroupNorm(s, {.channels = 3, .groups = 3})](Inputs in) { return l(in[0]); }; },
           {images});
  for (const bool train : {false, true})
    add_case(train ? "batch_norm_training" : "batch_norm_evaluation",
             [=](const Scope& s) { return [=, l = BatchNorm2d(s, {.channels = 3})](Inputs in) { return l(in[0], {.training = train}); }; },
             {images});
  for (const bool frozen : {false, true})
    add_case(frozen ? "conv_norm_frozen" : "conv_norm_training",
             [=](const Scope& s) {
               const ConvNormOptions options{.conv = {.in = 3, .out = 3, .kernel = 3, .padding = padding(1)},
                                             .norm = {.channels = 3, .frozen = frozen}};
               return [l = ConvNorm(s / "conv", s / "norm", options)](Inputs in) {
                 return l(in[0], {.training = true}, {.residual = in[0], .relu = true});
               };
             },
             {images});
  add_case("patch_embedding",
           [](const Scope& s) { return [l = PatchEmbedding(s, {.channels = 3, .patch = 2, .width = 4})](Inputs in) { return l(in[0]); }; },
           {images});
  add_case("grid_interpolation",
           [](const Scope&) { return [](Inputs in) {
                                return interpolate_grid(in[0], {2, 3}, {3, 2}, Interpolation::bicubic);
                              }; },
           {random_input({6, 2})});

  for (const GruVariant variant : {GruVariant::reset_after, GruVariant::reset_before}) {
    const std::string name = variant == GruVariant::reset_after ? "gru" : "gru_reset_before";
    add_case(name + "_cell",
             [=](const Scope& s) {
               return [l = GruCell(s, {.input = 3, .hidden = 2, .variant = variant})](Inputs in) { return l.step(in[0], in[1]); };
             },
             {random_input({2, 3}), random_input({2, 2}, 2)});
    all.push_back(recurrent_case<GruCell>(name, {.input = 3, .hidden = 2, .variant = variant}, false));
    all.push_back(recurrent_case<GruCell>(name + "_bidirectional", {.input = 3, .hidden = 2, .variant = variant}, true));
  }
  add_case("lstm_cell",
           [](const Scope& s) {
             return [l = LstmCell(s, {.input = 3, .hidden = 2})](Inputs in) {
               const LstmState next = l.step(in[0], {in[1], in[2]});
               return concat({next.h, next.c}, 0);
             };
           },
           {random_input({2, 3}), random_input({2, 2}, 2), random_input({2, 2}, 3)});
  all.push_back(recurrent_case<LstmCell>("lstm", {.input = 3, .hidden = 2}, false));
  all.push_back(recurrent_case<LstmCell>("lstm_bidirectional", {.input = 3, .hidden = 2, .bias = false}, true));
  return all;
}

class LayerGradients : public ::testing::TestWithParam<LayerCase> {};
TEST_P(LayerGradients, EqualCentralDifferences) { EXPECT_EQ(gradient_errors(GetParam().build, GetParam().inputs), ""); }
INSTANTIATE_TEST_SUITE_P(All, LayerGradients, ::testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

TEST(GradientCheck, FindsAParameterWithoutGradient) {
  const auto cut = [](const Scope& s) {
    return [w = s.parameter("weight", {3}, ones(), {}), b = s.parameter("bias", {3}, ones(), {})](Inputs in) {
      return add(mul(in[0], w.value().detach()), b.value());
    };
  };
  EXPECT_EQ(gradient_errors(cut, {random_input({2, 3})}), "weight gets no gradient\n");
}

TEST(GradientCheck, FindsAGradientThatIsWrong) {
  const auto half = [](const Scope& s) {  // the derivative of w^2 by one of its factors only
    return [w = s.parameter("weight", {3}, ones(), {})](Inputs in) { return mul(in[0], mul(w.value(), w.value().detach())); };
  };
  const std::string errors = gradient_errors(half, {random_input({2, 3})});
  EXPECT_NE(errors.find("weight, element 0 of 3: analytic "), std::string::npos) << errors;
  EXPECT_EQ(errors.find("input"), std::string::npos) << errors;
}

}  // namespace
}  // namespace capstan::nn
