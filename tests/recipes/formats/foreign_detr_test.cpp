// DETR of other programs (tests/goldens/make_detr.py): what a directory says, in and out again; the original's tensors; a backbone from a
// classifier.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/hdf5/hdf5.h"
#include "nn/models/detr.h"
#include "nn/models/resnet.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/formats/detr.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/resnet.h"
#include "tests/close.h"
#include "tests/message_of.h"
#include "tests/recipes/formats/foreign_fixtures.h"

namespace capstan::formats {
namespace {

using engine::ModelDirectory;
using nn::ParameterStore;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Tensor result(const std::string& name) {
  static const data::Hdf5Reader file(golden("detr.h5"), {.require_seal = false});
  return file.read("/" + name);
}

struct Config {
  nn::DetrOptions model = {};
  nn::ResNetOptions backbone = {};
  template <class V>
  void visit(V& v) {
    v.section("model", model);
    v.section("model.backbone", backbone);
  }
};

/// A DETR as a recipe configures it, and its forms.
struct Detector : Config {
  Detector() = default;
  explicit Detector(const std::string& directory, std::size_t form = 0) { take(directory, form); }
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;
  ~Detector() = default;

  void take(const std::string& directory, std::size_t form = 0) {
    engine::OptionTable table(static_cast<Config&>(*this));
    for (const engine::Assignment& a : forms[form].directory.settings(ModelDirectory(directory)))
      if (engine::Option* const option = table.find(a.key)) option->set(a.value);
    model.classes = 3;
  }
  /// The form among ours that a directory is of.
  const ForeignForm& of(const std::string& directory) const { return engine::form_of(ModelDirectory(directory), forms, "detr"); }

  DetectionPreparation images = {.side = 480, .longest = 640};
  std::vector<ForeignForm> forms = detr_forms(model, backbone, images);
};

/// That a DETR has the network of a classifier.
void expect_backbone(const ParameterStore& detr, const ParameterStore& classifier) {
  for (const Parameter& p : classifier.parameters()) {
    if (p.name().starts_with("head/")) continue;
    EXPECT_EQ(detr.find("backbone/" + p.name()).value().to_vector(), p.value().to_vector()) << p.name();
  }
}

TEST(ForeignDetr, FromTransformersAndBack) {
  const std::string path = golden("detr_hf");
  const Detector d(path);
  EXPECT_EQ(d.model.width, 16);
  EXPECT_EQ(d.model.inner, 24);
  EXPECT_EQ(d.model.queries, 5);
  EXPECT_EQ(d.model.attention_dropout, 0);
  EXPECT_TRUE(d.model.auxiliary) << "is how it is trained here";
  EXPECT_EQ(d.backbone.blocks, (std::vector<std::int64_t>{1, 1, 1, 2}));
  EXPECT_EQ(d.backbone.norm, nn::ResNetNorm::frozen);
  EXPECT_EQ(&d.of(path), &d.forms[0]);
  EXPECT_TRUE(d.forms[0].directory.is_native(ModelDirectory(path)));
  EXPECT_EQ(engine::stored_lines(d.forms[0].directory.artifacts(ModelDirectory(path)), kClassNames),
            (std::vector<std::string>{"N/A", "cat", "N/A"}));
  ParameterStore store;
  const nn::Detr model(store.root(), d.model, d.backbone);
  EXPECT_THAT(load(path, d.forms, store).fresh, IsEmpty());
  const nn::Detr::Result found = model(result("images"), result("real"), {});
  expect_close(found.logits.to_vector(), result("logits").to_vector(), 1e-4, "logits");
  expect_close(found.boxes.to_vector(), result("boxes").to_vector(), 1e-4, "boxes");
  expect_goes_out(d.forms[0], store, path);
}

TEST(ForeignDetr, ItsDirectorySaysTheSameAgain) {
  Copy copy("detr_hf");
  Detector d(copy.path);
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.side"), "40");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.longest"), "72");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.filter"), "bilinear");
  EXPECT_EQ(copy.setting(d.forms[0], "data.mean"), "0.485, 0.456, 0.406");
  d.images = {.side = 40, .longest = 72};
  d.forms = detr_forms(d.model, d.backbone, d.images);
  const auto settings = [&] {
    std::map<std::string, std::string> all;
    for (const engine::Assignment& a : d.forms[0].directory.settings(ModelDirectory(copy.path))) all[a.key] = a.value;
    return all;
  };
  const auto before = settings();
  const auto artifacts = d.forms[0].directory.artifacts(ModelDirectory(copy.path));
  for (const auto& [name, content] : d.forms[0].directory.files(artifacts)) copy.scratch.write("model/" + name, content);
  EXPECT_EQ(settings(), before);
  EXPECT_EQ(d.forms[0].directory.artifacts(ModelDirectory(copy.path)).at("class_names").to_vector(),
            artifacts.at("class_names").to_vector());
  EXPECT_THAT(copy.text("config.json"), AllOf(HasSubstr("DetrForObjectDetection"), HasSubstr("\"out_features\": [\"stage4\"]"),
                                              HasSubstr("\"use_timm_backbone\": false"), HasSubstr("\"auxiliary_loss\": false")));
}

TEST(ForeignDetr, ADilatedBackboneIsTimms) {
  Copy copy("detr_hf");
  Detector d;
  d.model = {.classes = 3, .width = 16, .heads = 2, .encoder_layers = 1, .decoder_layers = 1, .inner = 8, .queries = 2};
  d.backbone = nn::resnet_options(nn::kResNetSizes[0]);
  d.backbone.classes = 0;
  d.backbone.dilate_last = true;
  d.backbone.norm = nn::ResNetNorm::frozen;
  EXPECT_NO_THROW(d.forms[0].require_writable());
  for (const auto& [name, content] : d.forms[0].directory.files({})) copy.scratch.write("model/" + name, content);
  EXPECT_THAT(copy.text("config.json"), AllOf(HasSubstr("\"use_timm_backbone\": true"), HasSubstr("\"backbone\": \"resnet18\"")));
  EXPECT_EQ(copy.setting(d.forms[0], "model.backbone.dilate_last"), "true");
  EXPECT_EQ(copy.setting(d.forms[0], "model.backbone.blocks"), "2, 2, 2, 2");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.side"), "480");
  const nn::ForeignNames names = d.forms[0].names({});
  EXPECT_THAT(names.pairs,
              testing::Contains(testing::Field(&nn::TensorPair::theirs, "model.backbone.conv_encoder.model.layer4.1.conv2.weight")));
  d.backbone.blocks = {2, 2, 2, 3};
  EXPECT_THAT(message_of<ConfigError>([&] { d.forms[0].require_writable(); }), HasSubstr("only of a published size"));
}

TEST(ForeignDetr, BackbonesAsConfigurationsOfAllReleasesHaveThem) {
  Copy copy("detr_hf");
  const Detector d;
  const ForeignForm& hf = d.forms[0];
  const auto config = [&](const std::string& backbone) {
    copy.scratch.write("model/config.json", R"({"model_type": "detr", "d_model": 8, "encoder_layers": 1, "decoder_layers": 1,
      "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "num_queries": 3)" +
                                                backbone + "}");
  };
  config("");
  EXPECT_EQ(copy.setting(hf, "model.backbone.blocks"), "3, 4, 6, 3");
  EXPECT_EQ(copy.setting(hf, "model.backbone.dilate_last"), "false");
  config(R"(, "backbone": "resnet101", "use_timm_backbone": true, "backbone_config": null, "dilation": true)");
  EXPECT_EQ(copy.setting(hf, "model.backbone.blocks"), "3, 4, 23, 3");
  EXPECT_EQ(copy.setting(hf, "model.backbone.dilate_last"), "true");
  config(R"(, "backbone_config": {"model_type": "timm_backbone", "backbone": "resnet50.a1_in1k", "num_channels": 1,
      "out_features": ["layer1", "layer4"], "out_indices": [1, 4], "output_stride": 16})");
  EXPECT_EQ(copy.setting(hf, "model.backbone.channels"), "1");
  EXPECT_EQ(copy.setting(hf, "model.backbone.dilate_last"), "true");
  config(R"(, "backbone": "resnet50", "backbone_kwargs": {"in_chans": 3, "out_indices": [1, 2, 3, 4], "output_stride": 16})");
  EXPECT_EQ(copy.setting(hf, "model.backbone.dilate_last"), "true");
  config(R"(, "backbone": "resnet50", "backbone_kwargs": {"act_layer": "silu"})");
  EXPECT_THAT(copy.refusal(hf), HasSubstr("/backbone_kwargs/act_layer: expected nothing"));
  config(R"(, "backbone": "swin_tiny_patch4_window7_224")");
  EXPECT_THAT(copy.refusal(hf), HasSubstr("/backbone: expected resnet18, 34, 50, 101 or 152"));
  config(R"(, "backbone_config": {"model_type": "swin"})");
  EXPECT_THAT(copy.refusal(hf), HasSubstr("/backbone_config/model_type: expected resnet or timm_backbone"));
  config(R"(, "backbone_config": {"model_type": "timm_backbone", "backbone": "resnet50", "out_indices": [1, 2, 3]})");
  EXPECT_THAT(copy.refusal(hf), HasSubstr("/backbone_config/out_indices: expected 4 as the last one"));
  config(R"(, "backbone": "microsoft/resnet-50", "use_timm_backbone": false)");
  EXPECT_THAT(copy.refusal(hf), HasSubstr("/use_timm_backbone: expected true, for the backbone has a name of timm's"));
}

TEST(ForeignDetr, RefusesWhatWouldComputeSomethingElse) {
  const Detector d;
  for (const auto& [from, to, said] :
       {std::array<std::string, 3>{"\"auxiliary_loss\": false", "\"auxiliary_loss\": true", "/auxiliary_loss: expected false: with it"},
        std::array<std::string, 3>{"\"decoder_ffn_dim\": 24", "\"decoder_ffn_dim\": 32", "/decoder_ffn_dim: expected 24"},
        std::array<std::string, 3>{"\"activation_function\": \"relu\"", "\"activation_function\": \"gelu\"", "expected relu"},
        std::array<std::string, 3>{"\"sine\"", "\"v2\"", "/position_embedding_type: expected one of sine, learned"}}) {
    Copy copy("detr_hf");
    copy.change("config.json", from, to);
    EXPECT_THAT(copy.refusal(d.forms[0]), HasSubstr(said));
  }
  Detector early;
  early.model.pre_norm = true;
  EXPECT_THAT(message_of<ConfigError>([&] { early.forms[0].require_writable(); }), HasSubstr("model.pre_norm = no"));
  EXPECT_NO_THROW(early.forms[1].require_writable());
  early.model.anchors = true;
  for (const std::size_t form : {0U, 1U})
    EXPECT_THAT(message_of<ConfigError>([&] { early.forms[form].require_writable(); }), HasSubstr("model.anchors = yes"));
}

TEST(ForeignDetr, SizesOfImages) {
  const Detector d;
  Copy copy("detr_hf");
  const auto processor = [&](const std::string& text) { copy.scratch.write("model/preprocessor_config.json", text); };
  processor(R"({"size": 800, "max_size": 1000, "do_normalize": false})");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.side"), "800");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.longest"), "1000");
  EXPECT_EQ(copy.setting(d.forms[0], "data.mean"), "0");
  processor(detection_preprocessor_text({.side = 640, .longest = 0, .filter = data::Filter::bicubic}, 3));
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.side"), "640");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.longest"), "16384") << "no limit";
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.filter"), "bicubic");
  processor(R"({"size": 640})");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.longest"), "1333");
  processor(R"({"size": {"height": 640, "width": 640}})");
  EXPECT_THAT(copy.refusal(d.forms[0]), HasSubstr("/size: expected shortest_edge and longest_edge"));
  processor(R"({"do_resize": false})");
  EXPECT_THAT(copy.refusal(d.forms[0]), HasSubstr("/do_resize: expected true"));
  processor(R"({"resample": 4})");
  EXPECT_EQ(copy.setting(d.forms[0], "evaluate.filter"), "box");
  processor(R"({"resample": 1})");
  EXPECT_THAT(copy.refusal(d.forms[0]), HasSubstr("/resample: expected 2 (bilinear), 3 (bicubic) or 4 (box)"));
}

TEST(ForeignDetr, ABareModelAndLearnedPositionsOfTwoReleases) {
  Detector d(golden("detr_hf"));
  d.model.positions = nn::DetrPositions::learned;
  ParameterStore store(1);
  const nn::Detr model(store.root(), d.model, d.backbone);
  const auto tensors = nn::translated_back(d.forms[0].names({}), store);
  const std::string release5 = "model.position_embedding.", release4 = "model.backbone.position_embedding.";
  data::Scratch scratch;
  auto early = tensors, bare = tensors;
  std::size_t moved = 0;
  for (auto& [name, value] : early)
    if (name.starts_with(release5)) name.replace(0, release5.size(), release4), ++moved;
  EXPECT_EQ(moved, 2U);
  std::erase_if(bare, [](const auto& t) { return !t.first.starts_with("model."); });
  for (auto& [name, value] : bare) name.erase(0, 6);
  for (const auto& file : {tensors, early, bare}) {
    ParameterStore other(2);
    const nn::Detr copy(other.root(), d.model, d.backbone);
    const nn::Imported done = load(written(scratch, file), d.forms, other);
    for (const std::string& name : done.fresh) EXPECT_TRUE(name.starts_with("class_head/") || name.starts_with("box_head/")) << name;
    EXPECT_EQ(done.fresh.size(), file.size() == bare.size() ? 8U : 0U);
    expect_close(other.find("row_positions").value().to_vector(), store.find("row_positions").value().to_vector(), 0, "rows");
  }
}

TEST(ForeignDetr, TheOriginalAndBack) {
  for (const nn::ResNetNorm norm : {nn::ResNetNorm::frozen, nn::ResNetNorm::batch}) {
    Detector d(golden("detr_hf"));
    d.model.pre_norm = true;
    d.model.positions = nn::DetrPositions::learned;
    d.backbone.norm = norm;
    ParameterStore store(1), other(2);
    const nn::Detr model(store.root(), d.model, d.backbone), copy(other.root(), d.model, d.backbone);
    data::Scratch scratch;
    const std::string path = written(scratch, nn::translated_back(d.forms[1].names({}), store));
    EXPECT_EQ(engine::foreign_weights(path, d.forms, other, "detr").form, "the original code");
    EXPECT_THAT(load(path, d.forms, other).fresh, IsEmpty());
    expect_same(other, store);
    expect_goes_out(d.forms[1], other, path);
  }
}

TEST(ForeignDetr, CountsOfBatchesMayBeMissing) {
  Detector d(golden("detr_hf"));
  d.backbone.norm = nn::ResNetNorm::batch;
  ParameterStore store;
  const nn::Detr model(store.root(), d.model, d.backbone);
  const nn::Imported done = load(golden("detr_hf"), d.forms, store);
  EXPECT_EQ(done.fresh.size(), 1 + 5 * 3 + 4U) << "of the stem, five blocks and four shortcuts";
  for (const std::string& name : done.fresh) EXPECT_TRUE(name.ends_with("/batches_tracked")) << name;
}

TEST(ForeignDetr, ABackboneFromAClassifier) {
  for (const std::string name : {"resnet_hf", "resnet_timm"}) {
    Detector d;
    const ForeignForm& form = d.of(golden(name));
    EXPECT_FALSE(form.writes);
    EXPECT_FALSE(form.directory.is_native(ModelDirectory(golden(name))));
    EXPECT_THAT(form.directory.artifacts(ModelDirectory(golden(name))), IsEmpty());
    std::vector<std::string> others;
    for (const engine::Assignment& a : form.directory.settings(ModelDirectory(golden(name))))
      if (!a.key.starts_with("model.backbone.")) others.push_back(a.key);
    EXPECT_THAT(others, ElementsAre("data.mean", "data.deviation"));
    d.model = {.classes = 3, .width = 8, .heads = 2, .encoder_layers = 1, .decoder_layers = 1, .inner = 8, .queries = 2};
    const nn::DetrOptions tiny = d.model;
    d.take(golden(name), static_cast<std::size_t>(&form - d.forms.data()));
    EXPECT_EQ(d.model.width, tiny.width);
    ParameterStore own;
    nn::ResNetOptions classifier = d.backbone;
    classifier.classes = name == "resnet_hf" ? 3 : 4;
    const nn::ResNet resnet(own.root(), classifier);
    load(golden(name), resnet_forms(classifier, {}), own);
    ParameterStore store;
    const nn::Detr model(store.root(), d.model, d.backbone);
    const nn::Imported done = load(golden(name), d.forms, store);
    expect_backbone(store, own);
    for (const std::string& fresh : done.fresh) EXPECT_FALSE(fresh.starts_with("backbone/")) << fresh;
    EXPECT_EQ(done.dropped.size(), 2U) << "the classifier";
  }
}

TEST(ForeignDetr, ABackboneIsStrict) {
  Detector d;
  d.model = {.classes = 3, .width = 8, .heads = 2, .encoder_layers = 1, .decoder_layers = 1, .inner = 8, .queries = 2};
  d.take(golden("resnet_hf"), 2);
  d.backbone.blocks = {1, 1, 1, 2};
  ParameterStore store;
  const nn::Detr model(store.root(), d.model, d.backbone);
  EXPECT_THAT(message_of<CheckpointError>([&] { load(golden("resnet_hf"), d.forms, store); }),
              AllOf(HasSubstr("missing: backbone/stages/3/1/conv1/weight"), HasSubstr("unexpected: resnet/encoder/stages/1/layers/1")));
}

TEST(ForeignDetr, WhatIsNoDetectorIsNamed) {
  const Detector d;
  EXPECT_THAT(message_of<DataError>([&] { d.of(golden("vit_hf")); }), AllOf(HasSubstr("a model of the kind 'vit'"), HasSubstr("original")));
}

}  // namespace
}  // namespace capstan::formats
