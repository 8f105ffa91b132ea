// Whole models against PyTorch (tests/goldens/make_vit.py): logits, every parameter's gradient, and 50 steps of training.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "data/hdf5/hdf5.h"
#include "nn/models/vit.h"
#include "optim/adam.h"
#include "tests/nn/models/vit_formula.h"

namespace capstan::nn {
namespace {

struct Case {
  std::string name;
  VitOptions options;
};

VitOptions small() {
  return {.image_size = 12, .classes = 5, .patch_size = 4, .hidden_size = 16, .layers = 2, .heads = 2, .mlp_size = 24, .dropout = 0};
}
Case token() { return {"token", small()}; }
Case average() {
  VitOptions o = small();
  o.channels = 1;
  o.patch_size = 3;
  o.heads = 4;
  o.head = VitHeadInput::average;
  o.representation_size = 8;
  o.activation = Activation::gelu_tanh;
  o.norm_epsilon = 1e-12;
  return {"average", o};
}
Case convolutions() {
  VitOptions o = small();
  o.image_size = 11;
  o.patch_size = 3;
  o.layers = 1;
  o.stem = VitStem::convolutions;
  o.stem_channels = {8, 12};
  o.stem_strides = {1, 2};
  return {"convolutions", o};
}
Case hybrid(VitStemForm form) {
  VitOptions o = small();
  o.image_size = form == VitStemForm::flax ? 32 : 40;
  o.patch_size = 1;
  o.layers = 1;
  o.stem = VitStem::resnet;
  o.stem_blocks = {2, 1};
  o.stem_width = 32;
  o.stem_form = form;
  return {form == VitStemForm::flax ? "hybrid_flax" : "hybrid_torch_port", o};
}

const data::Hdf5Reader& file() {
  static const data::Hdf5Reader reader(CAPSTAN_SOURCE_DIR "/tests/goldens/vit.h5", {.require_seal = false});
  return reader;
}
std::vector<double> stored(const Case& c, const std::string& what) { return file().read("/" + c.name + "/" + what).to_vector(); }

void expect_follows_pytorch(const Case& c, DType dtype, double tolerance) {
  SCOPED_TRACE(c.name + " " + std::string(name_of(dtype)));
  ParameterStore store(1, dtype);
  const Vit model(store.root(), c.options);
  fill_by_chirp(store);
  const Tensor images = cast(file().read("/" + c.name + "/images"), dtype), labels = file().read("/" + c.name + "/labels");
  Tape tape;
  const Tensor logits = model.logits(images, {.training = true});  // nothing is dropped
  const std::vector<double> expected = stored(c, "logits"), actual = logits.to_vector();
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << "logit " << i;
  const Loss loss = cross_entropy(logits, labels);
  EXPECT_NEAR(loss.value.item(), stored(c, "loss")[0], tolerance);

  const Gradients gradients = tape.backward(loss.value);
  double largest = 0;  // norm of a gradient; what is left where such cancel is no gradient
  for (const Parameter& p : store.parameters())
    if (p.trainable()) largest = std::max(largest, stored(c, "gradient/" + p.name())[1]);
  const double rounding = 16 * largest * (dtype == DType::f64 ? 0x1p-52 : 0x1p-23);
  for (const Parameter& p : store.parameters()) {
    if (!p.trainable()) continue;
    double sum = 0, squares = 0;
    const std::vector<double> g = gradients.of(p.value()).dense().to_vector();
    for (const double v : g) sum += v, squares += v * v;
    const std::vector<double> wanted = stored(c, "gradient/" + p.name());
    const double bound = 10 * tolerance * wanted[1] + rounding;
    EXPECT_NEAR(sum, wanted[0], bound * std::sqrt(static_cast<double>(g.size()))) << p.name();
    EXPECT_NEAR(std::sqrt(squares), wanted[1], bound) << p.name();
    EXPECT_NEAR(g[0], wanted[2], bound) << p.name();
  }
}

TEST(VitGolden, PatchesFollowPyTorch) {
  for (const Case& c : {token(), average()}) {
    expect_follows_pytorch(c, DType::f64, 1e-10);
    expect_follows_pytorch(c, DType::f32, 1e-5);
  }
}

TEST(VitGolden, ConvolutionsFollowPyTorch) {
  expect_follows_pytorch(convolutions(), DType::f64, 1e-10);
  expect_follows_pytorch(convolutions(), DType::f32, 1e-4);
}

TEST(VitGolden, HybridsFollowPyTorch) {
  for (const VitStemForm form : {VitStemForm::flax, VitStemForm::torch_port}) {
    expect_follows_pytorch(hybrid(form), DType::f64, 1e-10);
    expect_follows_pytorch(hybrid(form), DType::f32, 1e-4);
  }
}

TEST(VitGolden, LearnsAsPyTorchDoes) {
  for (const Case& c : {token(), average(), convolutions()}) {
    SCOPED_TRACE(c.name);
    ParameterStore store;
    const Vit model(store.root(), c.options);
    fill_by_chirp(store);
    optim::AdamW optimizer(store.parameters(), {.weight_decay = .05});
    const Tensor images = file().read("/" + c.name + "/images"), labels = file().read("/" + c.name + "/labels");
    const std::vector<double> losses = stored(c, "curve"), rates = stored(c, "rates");
    ASSERT_EQ(losses.size(), 50u);
    for (std::size_t step = 0; step < losses.size(); ++step) {
      Tape tape;
      const Loss loss = cross_entropy(model.logits(images, {.training = true, .step = static_cast<std::int64_t>(step)}), labels);
      ASSERT_NEAR(loss.value.item(), losses[step], 1e-3) << "step " << step;
      optimizer.step(store.gradients(tape.backward(loss.value)), rates[step]);
    }
  }
}

}  // namespace
}  // namespace capstan::nn
