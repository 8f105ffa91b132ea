// Residual networks of other programs against what those programs compute (tests/goldens/make_resnet.py): results in use, frozen and in
// training, and the files again byte for byte.

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "autograd/ops/loss.h"
#include "data/hdf5/hdf5.h"
#include "nn/models/resnet.h"
#include "optim/sgd.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/pretrained/foreign_model.h"
#include "recipes/formats/resnet.h"
#include "recipes/resnet/recipe.h"
#include "tests/close.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::resnet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string golden(const std::string& name) { return std::string(CAPSTAN_SOURCE_DIR) + "/tests/goldens/foreign/" + name; }
const data::Hdf5Reader& results() {
  static const data::Hdf5Reader file(golden("resnet.h5"), {.require_seal = false});
  return file;
}
Tensor result(const std::string& name) { return results().read("/" + name); }
bool has_result(const std::string& name) {
  return std::ranges::any_of(results().entries(), [&](const data::Hdf5Entry& e) { return e.name == "/" + name; });
}

struct ModelConfig {
  nn::ResNetOptions model = {};
  template <class V>
  void visit(V& v) {
    v.section("model", model);
  }
};

/// A directory's network: its options, its weights in a store, its form.
struct Foreign {
  Foreign(const std::string& name, std::size_t form_index, const std::function<void(nn::ResNetOptions&)>& change = {})
      : path(golden(name)), forms(formats::resnet_forms(options, {})), form(forms[form_index]) {
    ModelConfig config;
    engine::OptionTable table(config);
    for (const engine::Assignment& a : form.directory.settings(engine::ModelDirectory(path)))
      if (engine::Option* const option = table.find(a.key)) option->set(a.value);
    options = config.model;
    options.classes = form_index == 0 ? 3 : 4;
    if (change) change(options);
    model.emplace(store.root(), options);
    const engine::ForeignWeights w = engine::foreign_weights(path, forms, store, "test");
    imported = nn::import_parameters(w.tensors, {.heads = w.heads}, {}, store);
  }
  std::map<std::string, Tensor> written() const {
    std::map<std::string, Tensor> out;
    for (const auto& [name, value] : nn::translated_back(form.names({}), store)) out.emplace(name, value);
    return out;
  }

  std::string path;
  nn::ResNetOptions options;
  std::vector<engine::ForeignForm> forms;
  engine::ForeignForm form;
  nn::ParameterStore store;
  std::optional<nn::ResNet> model;
  nn::Imported imported;
};

void expect_goes_out(const Foreign& f) {
  const nn::TensorSource file = engine::foreign_tensors(f.path);
  const std::map<std::string, Tensor> written = f.written();
  EXPECT_EQ(written.size(), file.tensors.size());
  for (const auto& [name, spec] : file.tensors) {
    ASSERT_TRUE(written.contains(name)) << name;
    EXPECT_EQ(written.at(name).spec(), spec) << name;
    EXPECT_EQ(written.at(name).to_vector(), file.read(name).to_vector()) << name;
  }
}

TEST(ForeignResNet, FromTransformersAndBack) {
  const Foreign f("resnet_hf", 0);
  EXPECT_EQ(f.options.widths, (std::vector<std::int64_t>{16, 16, 24, 32}));
  EXPECT_EQ(f.options.image_size, 32);
  EXPECT_THAT(f.imported.fresh, IsEmpty());
  EXPECT_EQ(f.store.find("stages/1/1/norm2/batches_tracked").value().item(), 7);
  expect_close(f.model->logits(result("images"), {}).to_vector(), result("hf_logits").to_vector(), 1e-4, "logits");
  expect_goes_out(f);
}

TEST(ForeignResNet, FromTimmAndBack) {
  const Foreign f("resnet_timm", 1);
  EXPECT_EQ(f.options.block, nn::ResNetBlock::basic);
  EXPECT_THAT(f.imported.fresh, IsEmpty());
  expect_close(f.model->logits(result("images"), {}).to_vector(), result("timm_logits").to_vector(), 1e-4, "logits");
  expect_goes_out(f);
  const Foreign dilated("resnet_timm", 1, [](nn::ResNetOptions& o) { o.dilate_last = true; });
  const Tensor features = dilated.model->features(result("images"), {});
  EXPECT_EQ(features.shape(), result("timm_dilated").shape());
  expect_close(features.to_vector(), result("timm_dilated").to_vector(), 1e-4, "features");
}

TEST(ForeignResNet, FrozenItHasTheGradientsOfPyTorch) {
  const Foreign f("resnet_hf", 0, [](nn::ResNetOptions& o) { o.norm = nn::ResNetNorm::frozen; });
  Tape tape;
  const Tensor loss = cross_entropy(f.model->logits(result("images"), {.training = true}), result("labels")).value;
  EXPECT_NEAR(loss.item(), result("frozen_loss").item(), 1e-5);
  const Gradients g = tape.backward(loss);
  std::size_t count = 0;
  for (const nn::TensorPair& pair : f.form.names({}).pairs) {
    if (!has_result("frozen/" + pair.theirs)) continue;
    ++count;
    expect_close(g.of(f.store.find(pair.ours).value()).dense().to_vector(), result("frozen/" + pair.theirs).to_vector(), 1e-4, pair.theirs);
  }
  EXPECT_EQ(count, 1 + 4 + 4 + 3 + 4 + 4) << "stem, stages";
}

TEST(ForeignResNet, TrainsAndCountsAsPyTorchDoes) {
  const Foreign f("resnet_hf", 0);
  optim::Sgd optimizer(f.store.parameters(), {});
  Tape tape;
  const Tensor loss = cross_entropy(f.model->logits(result("images"), {.training = true}), result("labels")).value;
  EXPECT_NEAR(loss.item(), result("loss").item(), 1e-4);
  optimizer.step(f.store.gradients(tape.backward(loss)), 0.1);
  for (const auto& [name, value] : f.written()) {
    const Tensor expected = result("after/" + name);
    // Weights before a normalisation have gradients that cancel: what is left of them is rounded otherwise.
    expect_close(value.to_vector(), expected.to_vector(), 1e-3, name);
    if (name.find("running") != std::string::npos) expect_close(value.to_vector(), expected.to_vector(), 1e-5, name);
  }
  EXPECT_EQ(f.store.find("stem/norm/batches_tracked").value().item(), 8);
}

struct ForeignResNetProgram : engine::test::RecipeProgram {
  ForeignResNetProgram()
      : RecipeProgram(resnet::recipe()),
        plain(scratch.write("plain.cfg",
                            "recipe = resnet\n[data]\nsource = shapes\n[shapes]\ntrain = 12\nvalidation = 6\ntest = 6\nsize = 32\n")) {}
  const std::string plain;
};

TEST_F(ForeignResNetProgram, TakesOverWhatTheModelSaysAndGivesItBack) {
  ASSERT_EQ(capstan({"train", plain, "run.dir=" + scratch / "run", "run.threads=1", "init.from=" + golden("resnet_hf"),
                     "train.batch_size=6", "train.max_steps=1", "evaluate.baselines=no"}),
            engine::kOk)
      << err.str();
  EXPECT_THAT(err.str(), AllOf(HasSubstr("model.widths = 16, 16, 24, 32; "), HasSubstr("data.mean = 0.485, 0.456, 0.406"),
                               HasSubstr("evaluate.crop_share = 0.8")));
  ASSERT_EQ(capstan({"export", checkpoint("run"), scratch / "out", "--as", "hf"}), engine::kOk) << err.str();
  EXPECT_THAT(engine::test::text_of(scratch / "out/config.json"),
              AllOf(HasSubstr("\"0\": \"disc\""), HasSubstr("ResNetForImageClassification"), HasSubstr("\"depths\": [1, 2, 1, 1]")));
  // The directory is a model like the checkpoint, and goes in again as it went out.
  ASSERT_EQ(capstan({"evaluate", plain, "--checkpoint", checkpoint("run"), "--json"}), engine::kOk) << err.str();
  const std::string before = out.str();
  ASSERT_EQ(capstan({"evaluate", plain, "--checkpoint", scratch / "out", "--json"}), engine::kOk) << err.str();
  const auto metrics = [](const std::string& line) { return line.substr(line.find("accuracy")); };
  EXPECT_EQ(metrics(out.str()), metrics(before));
  ASSERT_EQ(capstan({"export", scratch / "out", scratch / "again", "--as", "hf"}), engine::kOk) << err.str();
  for (const std::string name : {"model.safetensors", "config.json", "preprocessor_config.json"})
    EXPECT_TRUE(engine::test::text_of(scratch / "again/" + name) == engine::test::text_of(scratch / "out/" + name)) << name;

  EXPECT_EQ(capstan({"export", checkpoint("run"), scratch / "timm", "--as", "timm"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("timm's models have model.stem_width = 64"));
  ASSERT_EQ(capstan({"export", golden("resnet_timm"), scratch / "timm", "--as", "timm"}), engine::kOk) << err.str();
  ASSERT_EQ(capstan({"export", scratch / "timm", scratch / "weights.safetensors", "--as", "torchvision"}), engine::kOk) << err.str();
  EXPECT_TRUE(engine::test::text_of(scratch / "timm/model.safetensors") == engine::test::text_of(scratch / "weights.safetensors"));
}

}  // namespace
}  // namespace capstan::resnet
