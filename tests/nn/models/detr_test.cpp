// DETR: the transformer by formula (specification, 9.6), a small random network of Hugging Face transformers against what it computes
// (tests/goldens/make_detr.py), in and out again byte for byte, and under the names of the original code.

#include "nn/models/detr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "data/hdf5/hdf5.h"
#include "data/safetensors.h"
#include "nn/import.h"
#include "nn/models/detr_names.h"
#include "tests/close.h"
#include "tests/message_of.h"
#include "tests/nn/formulas.h"

namespace capstan::nn {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// PyTorch's layers in PyTorch's order, numbered from `t`; the number behind them.
int fill_layer(const ParameterStore& store, const std::string& path, const std::vector<std::string>& attentions, int t,
               const DetrOptions& o) {
  const auto set = [&](const std::string& name, double offset = 0) {
    const Parameter p = store.find(path + name);
    set_values(p.value(), sines(t++, 0, static_cast<int>(p.shape().numel()), offset));
  };
  for (const std::string& attention : attentions) {
    fill_packed_attention(store, path + attention + "/", t, static_cast<int>(o.width));
    t += 4;
  }
  for (const char* layer : {"inner", "outer"})
    for (const char* part : {"/weight", "/bias"}) set(std::string("feed_forward/") + layer + part);
  std::vector<std::string> norms;
  for (const std::string& attention : attentions) norms.push_back(attention + "_norm");
  norms.emplace_back("feed_forward_norm");
  for (const std::string& norm : norms) {
    set(norm + "/weight", 1);
    set(norm + "/bias");
  }
  return t;
}

TEST(DetrTransformer, ComputesTheValuesOfTheSpecification) {
  for (const bool pre_norm : {false, true}) {
    DetrOptions o{.classes = 1, .width = 4, .heads = 2, .encoder_layers = 1, .decoder_layers = 2, .inner = 8, .queries = 3};
    o.pre_norm = pre_norm;
    ParameterStore store;
    const DetrTransformer transformer(store.root(), o);
    int t = fill_layer(store, "encoder/0/", {"attention"}, 0, o);
    const auto norm = [&](const std::string& path) {
      set_values(store.find(path + "/weight").value(), sines(t++, 0, 4, 1));
      set_values(store.find(path + "/bias").value(), sines(t++, 0, 4));
    };
    if (pre_norm) norm("encoder/norm");
    for (const char* layer : {"decoder/0/", "decoder/1/"}) t = fill_layer(store, layer, {"self_attention", "cross_attention"}, t, o);
    norm("decoder/norm");
    const auto places = [](double k) {
      return flatten(permute(cast(cosine({1, 4, 2, 3}, k), DType::f32), {0, 2, 3, 1}), 1, 2).contiguous();
    };
    const Tensor keys = Tensor::from(std::vector<std::uint8_t>{1, 1, 0, 1, 1, 0}, {1, 6});
    const DetrMemory memory = transformer.encode({.tokens = places(0), .positions = places(1), .keys = keys}, {});
    const Tensor queries = reshape(cast(cosine({3, 4}, 2), DType::f32), {1, 3, 4});
    const std::vector<double> y =
        transformer.decode(memory, {.states = {}, .positions = queries}, /*all_layers=*/true, {}).to_vector();  // [2, 3, 4]
    double sum = 0, magnitudes = 0;
    for (const double v : y) sum += v, magnitudes += std::abs(v);
    const auto row = [&](std::size_t layer, std::size_t query) {
      const auto first = y.begin() + static_cast<std::ptrdiff_t>((layer * 3 + query) * 4);
      return std::vector<double>(first, first + 4);
    };
    if (pre_norm) {
      expect_close(row(1, 0), {-1.05643, -.568736, 1.237416, -.311793}, 1e-5, "pre-norm");
      EXPECT_NEAR(magnitudes, 18.872306, 1e-4);
      continue;
    }
    expect_close(row(1, 0), {.046848, -1.446994, 1.316258, -.200211}, 1e-5, "post-norm");
    expect_close(row(0, 2), {-.065311, -1.522175, 1.222641, .019601}, 1e-5, "post-norm, first layer");
    EXPECT_NEAR(sum, -1.888384, 1e-4);
    EXPECT_NEAR(magnitudes, 17.528087, 1e-4);
    const std::vector<double> m = memory.tokens.to_vector();
    expect_close({m.begin(), m.begin() + 4}, {1.314139, -.842285, .24029, -1.069033}, 1e-5, "memory");
    // The last layer alone, and with its attention.
    const std::vector<double> last = transformer.decode(memory, {.states = {}, .positions = queries}, /*all_layers=*/false, {}).to_vector();
    expect_close(last, {y.begin() + 12, y.end()}, 1e-6, "last layer");
    const auto observed = transformer.observed(memory, {.states = {}, .positions = queries}, {});
    expect_close(observed.states.to_vector(), last, 1e-6, "observed");
    EXPECT_EQ(observed.weights.shape(), (Shape{1, 3, 6}));
  }
}

const DetrOptions kTiny{.classes = 3, .width = 16, .heads = 2, .encoder_layers = 2, .decoder_layers = 2, .inner = 24, .queries = 5};
ResNetOptions tiny_backbone() {
  return {.classes = 0, .blocks = {1, 1, 1, 2}, .widths = {16, 16, 24, 32}, .stem_width = 8, .norm = ResNetNorm::frozen};
}

std::string golden(const std::string& name) { return CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/" + name; }
Tensor result(const std::string& name) {
  static const data::Hdf5Reader file(golden("detr.h5"), {.require_seal = false});
  return file.read("/" + name);
}

using Tensors = std::vector<std::pair<std::string, Tensor>>;
Tensors file_of_transformers() {
  const data::SafetensorsSet file(golden("detr_hf/model.safetensors"));
  Tensors out;
  for (const auto& [name, spec] : file.tensors()) out.emplace_back(name, file.read(name));
  return out;
}
std::vector<std::string> names_of(const Tensors& tensors) {
  std::vector<std::string> out;
  for (const auto& [name, value] : tensors) out.push_back(name);
  return out;
}
void load(const Tensors& tensors, const ForeignNames& names, const ParameterStore& store) {
  TensorSource source{.name = "file", .tensors = {}, .read = {}};
  for (const auto& [name, t] : tensors) source.tensors.emplace_back(name, t.spec());
  source.read = [&](std::string_view name) { return std::ranges::find(tensors, name, &Tensors::value_type::first)->second; };
  EXPECT_THAT(import_parameters(translated(source, names, store), {}, {}, store).fresh, IsEmpty());
}
void expect_equal(const Tensors& written, const Tensors& wanted) {
  const std::map<std::string, Tensor> found(written.begin(), written.end());
  EXPECT_EQ(found.size(), wanted.size());
  for (const auto& [name, t] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name).spec(), t.spec()) << name;
    EXPECT_EQ(found.at(name).to_vector(), t.to_vector()) << name;
  }
}
void expect_result(const Tensor& actual, const std::string& name) {
  expect_close(actual.to_vector(), result(name).to_vector(), 1e-4, name);
}

TEST(Detr, ComputesWhatTransformersDo) {
  const Tensors file = file_of_transformers();
  const std::vector<std::string> names = names_of(file);
  EXPECT_TRUE(is_hugging_face_detr(names));
  EXPECT_FALSE(is_original_detr(names));
  ParameterStore store;
  const Detr model(store.root(), kTiny, tiny_backbone());
  const ForeignNames theirs = hugging_face_detr_names(kTiny, tiny_backbone(), names);
  load(file, theirs, store);
  const Tensor images = result("images"), real = result("real");
  const Detr::Observed seen = model.observed(images, real, {});
  expect_result(seen.result.logits, "logits");
  expect_result(seen.result.boxes, "boxes");
  expect_result(seen.attention, "attention");
  expect_close(model(images, real, {}).logits.to_vector(), seen.result.logits.to_vector(), 1e-6, "without attention");
  expect_equal(translated_back(theirs, store), file);

  // All layers answer in training; dropout is none of a second store's business.
  DetrOptions still = kTiny;
  still.dropout = still.attention_dropout = still.activation_dropout = 0;
  ParameterStore other;
  const Detr trained(other.root(), still, tiny_backbone());
  load(file, theirs, other);
  const Detr::Result all = trained(images, real, {.training = true});
  EXPECT_EQ(all.boxes.shape(), (Shape{2, 2, 5, 4}));
  expect_result(slice(all.logits, 0, 0, 1), "auxiliary_logits");
  expect_result(slice(all.boxes, 0, 0, 1), "auxiliary_boxes");
  expect_result(slice(all.boxes, 0, 1, 1), "boxes");
}

TEST(Detr, KnowsTheNamesOfTheOriginal) {
  for (const DetrPositions positions : {DetrPositions::sine, DetrPositions::learned}) {
    DetrOptions o = kTiny;
    o.positions = positions;
    ParameterStore store(2), other;
    const Detr model(store.root(), o, tiny_backbone()), copy(other.root(), o, tiny_backbone());
    const ForeignNames names = original_detr_names(o, tiny_backbone());
    const Tensors file = translated_back(names, store);
    EXPECT_TRUE(is_original_detr(names_of(file)));
    const std::map<std::string, Tensor> by_name(file.begin(), file.end());
    EXPECT_EQ(by_name.at("transformer.decoder.layers.1.multihead_attn.in_proj_weight").shape(), (Shape{48, 16}));
    EXPECT_EQ(by_name.at("input_proj.weight").shape(), (Shape{16, 32, 1, 1}));
    EXPECT_EQ(by_name.at("backbone.0.body.layer4.1.bn3.running_var").shape(), (Shape{32}));
    EXPECT_EQ(by_name.at("bbox_embed.layers.2.bias").shape(), (Shape{4}));
    EXPECT_EQ(by_name.contains("backbone.1.row_embed.weight"), positions == DetrPositions::learned);
    load(file, names, other);
    const Tensor images = result("images"), real = result("real");
    EXPECT_EQ(model(images, real, {}).boxes.to_vector(), copy(images, real, {}).boxes.to_vector());
  }
}

TEST(Detr, AnchorsSpreadOverTheImageAndBoxesCountFromThem) {
  DetrOptions o = kTiny;
  o.anchors = true;
  o.queries = 40;
  ParameterStore store(3);
  const Detr model(store.root(), o, tiny_backbone());
  for (const char* part : {"box_head/2/weight", "box_head/2/bias"}) {
    Tensor zero = store.find(part).value();
    set_values(zero, std::vector<double>(static_cast<std::size_t>(zero.numel()), 0));
  }
  const std::vector<double> boxes = model(result("images"), result("real"), {}).boxes.to_vector();  // [1, 2, 40, 4]
  const auto points = spread_points(40);
  std::map<std::pair<int, int>, int> in_quarter;
  for (std::size_t q = 0; q < 40; ++q) {
    ++in_quarter[{points[q][0] < .5, points[q][1] < .5}];
    expect_close({boxes.begin() + static_cast<std::ptrdiff_t>(4 * q), boxes.begin() + static_cast<std::ptrdiff_t>(4 * q + 4)},
                 {points[q][0], points[q][1], .119203, .119203}, 1e-6, "query");
  }
  for (const auto& [quarter, count] : in_quarter) EXPECT_NEAR(count, 10, 2) << quarter.first << quarter.second;
  EXPECT_EQ(in_quarter.size(), 4u);
}

TEST(Detr, AttentionFallsWithTheDistanceFromThePoint) {
  // 2 x 3 places, of which the last column is padding: two real columns, with centres at .25 and .75.
  const Tensor keys = Tensor::from(std::vector<std::uint8_t>{1, 1, 0, 1, 1, 0}, {1, 6});
  const Tensor near = nearness_of({{.25, .75}}, keys, 2, 3, 2);
  EXPECT_EQ(near.shape(), (Shape{1, 2, 1, 6}));
  const double narrow = 2 * .05 * .05, wide = 2 * .4 * .4;
  expect_close(near.to_vector(),
               {-.25 / narrow, -.5 / narrow, -1.25 / narrow, 0, -.25 / narrow, -1 / narrow, -.25 / wide, -.5 / wide, -1.25 / wide, 0,
                -.25 / wide, -1 / wide},
               1e-6, "nearness");
  EXPECT_EQ(nearness_of({{.5, .5}}, {}, 4, 4, 8).shape(), (Shape{1, 8, 1, 16}));
}

TEST(Detr, DropoutGoesByTheImageAndNotByItsPlaceInTheBatch) {
  ParameterStore store(4);
  const Detr model(store.root(), kTiny, tiny_backbone());
  const Tensor images = result("images"), real = result("real");  // of two sizes
  const auto boxes = [&](const Tensor& x, const Tensor& r, const std::vector<std::int64_t>& numbers) {
    const auto count = std::ssize(numbers);
    return model(x, r, {.training = true, .seed = 5, .token_ids = Tensor::from(numbers, {count})}).boxes;
  };
  const Tensor both = boxes(images, real, {7, 9}), turned = boxes(flip(images, 0), flip(real, 0), {9, 7});
  expect_close(flip(turned, 1).to_vector(), both.to_vector(), 1e-5, "turned");
  // The first image alone, without the padding that the second does not need either.
  const Tensor alone = boxes(slice(images, 0, 0, 1).contiguous(), slice(real, 0, 0, 1).contiguous(), {7});
  expect_close(alone.to_vector(), slice(both, 1, 0, 1).contiguous().to_vector(), 1e-5, "alone");
  EXPECT_NE(boxes(images, real, {8, 9}).to_vector(), both.to_vector());
}

TEST(Detr, NumbersRealPlaces) {
  // The second column is padding: rows 1 and 2 of 2, column 1 of 1; padding, in a column of no real place, has row 0.
  const Tensor keys = Tensor::from(std::vector<std::uint8_t>{1, 0, 1, 0}, {1, 4});
  const std::vector<double> y = sine_positions(keys, 2, 2, 4).to_vector();  // [4 places, (sin, cos) of y, (sin, cos) of x]
  const auto share = [](double n, double all) { return 2 * std::acos(-1) * n / (all + 1e-6); };
  const auto expected = [](double row, double column) {
    return std::vector<double>{std::sin(row), std::cos(row), std::sin(column), std::cos(column)};
  };
  expect_close({y.begin(), y.begin() + 4}, expected(share(1, 2), share(1, 1)), 1e-5, "first");
  expect_close({y.begin() + 8, y.begin() + 12}, expected(share(2, 2), share(1, 1)), 1e-5, "below it");
  expect_close({y.begin() + 4, y.begin() + 8}, expected(0, share(1, 1)), 1e-5, "padding");
  const Tensor real = Tensor::from(std::vector<std::uint8_t>{1, 1, 0, 1, 1, 0, 0, 0, 0}, {1, 3, 3});
  EXPECT_EQ(nearest_places(real, 2, 2).to_vector(), (std::vector<double>{1, 1, 1, 1}));
  EXPECT_EQ(nearest_places(real, 3, 3).to_vector(), real.to_vector());
}

TEST(Detr, TrainsEverythingThatIsNotFrozen) {
  for (const bool checkpoint : {false, true}) {
    DetrOptions o = kTiny;
    o.positions = DetrPositions::learned;
    ParameterStore store(4);
    const Detr model(store.root(), o, tiny_backbone());
    store.freeze("backbone/stem");
    store.freeze("backbone/stages/0");
    Tape tape;
    const auto [logits, boxes] =
        model(result("images"), result("real"), {.training = true, .seed = 3, .checkpoint_activations = checkpoint});
    const Tensor loss = add(sum(square(logits)), sum(square(boxes)));
    const Gradients gradients = tape.backward(loss);
    EXPECT_FALSE(store.find("backbone/stages/0/0/conv1/weight").trainable());
    for (const Parameter& p : store.parameters()) {
      if (!p.trainable()) continue;
      EXPECT_TRUE(gradients.of(p.value()).defined()) << p.name();
    }
  }
}

TEST(Detr, SaysWhatDoesNotFit) {
  ParameterStore store;
  EXPECT_THAT(message_of([&] { Detr(store.root(), {.classes = 1, .width = 6, .heads = 2}, tiny_backbone()); }),
              HasSubstr("detr: the width must be a multiple of 4, got 6"));
  EXPECT_THAT(message_of([&] { Detr(store.root(), {}, tiny_backbone()); }), HasSubstr("detr: there must be a class to find"));
  ParameterStore other;
  const Detr model(other.root(), kTiny, tiny_backbone());
  const Tensor images = result("images");
  EXPECT_THAT(message_of([&] { model(images, Tensor::zeros({2, 40, 71}, DType::u8), {}); }), HasSubstr("detr: what is real must be u8"));
}

}  // namespace
}  // namespace capstan::nn
