// Models of other programs, small and random, against what those programs compute with them (tests/goldens/make_foreign.py): in, and out
// again byte for byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "data/hdf5/hdf5.h"
#include "data/text/tokenizer.h"
#include "nn/models/bert_heads.h"
#include "nn/models/gru4rec.h"
#include "nn/models/sasrec.h"
#include "nn/models/swin.h"
#include "nn/models/vit.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/pretrained/foreign_model.h"
#include "recipes/formats/bert.h"
#include "recipes/formats/gru4rec.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/sasrec.h"
#include "recipes/formats/swin.h"
#include "recipes/formats/vit.h"
#include "recipes/tasks/text/vocabulary.h"
#include "tests/close.h"
#include "tests/message_of.h"
#include "tests/recipes/formats/foreign_fixtures.h"

namespace capstan::formats {
namespace {

using nn::ParameterStore;
using ::testing::AllOf;
using ::testing::HasSubstr;

Tensor result(const std::string& name) {
  static const data::Hdf5Reader file(golden("foreign.h5"), {.require_seal = false});
  return file.read("/" + name);
}
Tensor swin_result(const std::string& name) {  // tests/goldens/make_swin.py
  static const data::Hdf5Reader file(golden("swin.h5"), {.require_seal = false});
  return file.read("/" + name);
}

template <class Options>
struct ModelConfig {
  Options model = {};
  template <class V>
  void visit(V& v) {
    v.section("model", model);
  }
};

/// Options as a model directory has them.
template <class Options>
Options options_of(const std::string& directory, const ForeignForm& form) {
  ModelConfig<Options> config;
  engine::OptionTable table(config);
  for (const engine::Assignment& a : form.directory.settings(engine::ModelDirectory(directory)))
    if (engine::Option* const option = table.find(a.key)) option->set(a.value);
  return config.model;
}

// ---- BERT

struct Line {
  explicit Line(int i)
      : name("bert/" + std::to_string(i) + "/"),
        ids(result(name + "ids")),
        segments(result(name + "segments")),
        layout(nn::token_layout(std::vector<std::int64_t>{ids.numel()}, ids.numel(), true, nn::Align::left)) {}
  std::string name;
  Tensor ids, segments;
  nn::TokenLayout layout;
};

constexpr std::int64_t kTokens = 40;

template <class Check>
void check_pretraining(const std::string& path, const nn::BertOptions& o, const Check& check) {
  ParameterStore store;
  const nn::BertPretraining model(store.root(), kTokens, o);
  const auto forms = bert_forms(o, {.head = BertHead::pretraining});
  EXPECT_THAT(load(path, forms, store).fresh, testing::IsEmpty());
  for (int i = 0; i < 3; ++i) {
    const Line line(i);
    const Tensor x = model.encoder().encode(line.ids, line.segments, line.layout, {});
    const Tensor all = Tensor::from(std::vector<std::int64_t>(line.layout.positions.span<const std::int64_t>().begin(),
                                                              line.layout.positions.span<const std::int64_t>().end()),
                                    {line.ids.numel()});
    expect_near(linear(model.transformed(x, all), model.word_table().value(), model.output_bias().value()),
                result(line.name + "masked_logits"), line.name);
    expect_near(model.next_sentence_logits(x, line.layout), result(line.name + "next_logits"), line.name);
  }
  check(forms.front(), store);
}

TEST(ForeignBert, PretrainingFromTransformersAndBack) {
  const std::string path = golden("bert_pretraining");
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::pretraining});
  o = options_of<nn::BertOptions>(path, forms.front());
  EXPECT_EQ(o.heads, 3);
  EXPECT_TRUE(forms.front().directory.is_native(engine::ModelDirectory(path)));
  check_pretraining(path, o, [&](const ForeignForm& form, const ParameterStore& store) { expect_goes_out(form, store, path); });
  check_pretraining(golden("bert_google.safetensors"), o, [](const ForeignForm&, const ParameterStore&) {});
}

TEST(ForeignBert, ClassificationFromTransformersAndBack) {
  const std::string path = golden("bert_classification");
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::classification});
  o = options_of<nn::BertOptions>(path, forms.front());
  ParameterStore store;
  const nn::BertClassifier model(store.root(), kTokens, o, {.classes = 3});
  load(path, forms, store);
  for (int i = 0; i < 3; ++i) {
    const Line line(i);
    expect_near(model.logits(line.ids, line.segments, line.layout, {}), result(line.name + "class_logits"), line.name);
  }
  expect_goes_out(forms.front(), store, path);
  const auto artifacts = forms.front().directory.artifacts(engine::ModelDirectory(path));
  EXPECT_EQ(engine::stored_lines(artifacts, "class_names"), (std::vector<std::string>{"poor", "fair", "good"}));
}

TEST(ForeignBert, SpansFromTransformersAndBack) {
  const std::string path = golden("bert_spans");
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::spans});
  o = options_of<nn::BertOptions>(path, forms.front());
  ParameterStore store;
  const nn::BertSpans model(store.root(), kTokens, o);
  load(path, forms, store);
  for (int i = 0; i < 3; ++i) {
    const Line line(i);
    expect_near(model.logits(line.ids, line.segments, line.layout, {}), result(line.name + "span_logits"), line.name);
  }
  expect_goes_out(forms.front(), store, path);
}

TEST(ForeignBert, OldNamesOfABareModelAndAFreshHead) {
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::classification});
  o = options_of<nn::BertOptions>(golden("bert_classification"), forms.front());
  ParameterStore store;
  const nn::BertClassifier model(store.root(), kTokens, o, {.classes = 2});
  EXPECT_THAT(load(golden("bert_old.safetensors"), forms, store).fresh, testing::ElementsAre("classifier/weight", "classifier/bias"));
  for (int i = 0; i < 3; ++i) {
    const Line line(i);
    const Tensor x = model.encoder().encode(line.ids, line.segments, line.layout, {});
    expect_near(x, result(line.name + "hidden"), line.name);
    expect_near(model.encoder().pooled(x, line.layout), result(line.name + "pooled"), line.name);
  }
}

TEST(ForeignBert, EverythingThatDoesNotFitIsSaidAtOnce) {
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::pretraining});
  o = options_of<nn::BertOptions>(golden("bert_pretraining"), forms.front());
  o.layers = 1;
  o.max_positions = 20;
  ParameterStore store;
  const nn::BertPretraining model(store.root(), kTokens, o);
  try {
    load(golden("bert_pretraining"), forms, store);
    FAIL();
  } catch (const CheckpointError& e) {
    EXPECT_THAT(e.what(),
                AllOf(HasSubstr("of another shape or type: bert/embeddings/position_embeddings: the model has f32[20, 12], the file "
                                "f32[16, 12] (bert.embeddings.position_embeddings.weight)"),
                      HasSubstr("unexpected: bert/encoder/layer/1/attention/self/query/weight f32[12, 12]")));
  }
}

TEST(ForeignBert, TheRealModelComputesWhatTransformersDo) {
  const char* const directory = std::getenv("CAPSTAN_MINILM");
  if (directory == nullptr) GTEST_SKIP() << "CAPSTAN_MINILM names no directory of all-MiniLM-L6-v2";
  nn::BertOptions o;
  const auto forms = bert_forms(o, {.head = BertHead::pretraining});
  o = options_of<nn::BertOptions>(directory, forms.front());
  const engine::ModelDirectory files(directory);
  const auto artifacts = forms.front().directory.artifacts(files);
  const auto vocabulary = text::vocabulary_of(artifacts);
  const data::Tokenizer tokenizer(*vocabulary, text::tokenizer_of(artifacts));
  ParameterStore store;
  const nn::BertPretraining model(store.root(), vocabulary->size(), o);
  EXPECT_EQ(load(directory, forms, store).taken.size(), 103U);
  const data::Hdf5Reader golden_file(golden("minilm.h5"), {.require_seal = false});
  for (int i = 0; i < 3; ++i) {
    const std::string name = "/" + std::to_string(i) + "/";
    std::vector<std::int64_t> ids{vocabulary->id("[CLS]")};
    for (const std::int32_t id : tokenizer.encode(golden_file.read_text(name + "text"))) ids.push_back(id);
    ids.push_back(vocabulary->id("[SEP]"));
    const auto length = static_cast<std::int64_t>(ids.size());
    const nn::TokenLayout layout = nn::token_layout(std::vector{length}, length, true, nn::Align::left);
    const Tensor x = model.encoder().encode(Tensor::from(ids, {length}), Tensor::zeros({length}, DType::i64), layout, {});
    const auto near = [&](const Tensor& value, const Tensor& wanted) {
      const auto a = value.to_vector(), b = wanted.to_vector();
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-4) << name << k;
    };
    near(x, golden_file.read(name + "hidden"));
    near(model.encoder().pooled(x, layout), golden_file.read(name + "pooled"));
  }
}

TEST(ForeignBert, RowsOfNoTokenAndAddedTokens) {
  Copy model("bert_classification");
  const nn::BertOptions o;
  const ForeignForm hf = bert_forms(o, {.head = BertHead::classification}).front();
  model.change("vocab.txt", "##g\n##h\n##i\n", "");
  model.scratch.write("model/added_tokens.json", R"({"[NEW]": 38})");
  const std::vector<std::string> tokens = text::tokens_of(hf.directory.artifacts(engine::ModelDirectory(model.path)));
  ASSERT_EQ(tokens.size(), 40U);
  EXPECT_EQ(tokens[36], "##f");
  EXPECT_EQ(tokens[37], "[row 37 of no token]");
  EXPECT_EQ(tokens[38], "[NEW]");
}

TEST(ForeignBert, WhatAClassifierIsOf) {
  const nn::BertOptions o;
  const ForeignForm hf = bert_forms(o, {.head = BertHead::classification}).front();
  Copy model("bert_classification");
  EXPECT_EQ(model.setting(hf, "data.target"), "");
  EXPECT_EQ(model.setting(hf, "model.classifier_dropout"), "0.1") << "that of the hidden states where null";
  model.change("config.json", "\"classifier_dropout\": null", "\"classifier_dropout\": 0.3, \"problem_type\": \"regression\"");
  EXPECT_EQ(model.setting(hf, "data.target"), "number");
  EXPECT_EQ(model.setting(hf, "model.classifier_dropout"), "0.3");
  EXPECT_THAT(engine::stored_lines(hf.directory.artifacts(engine::ModelDirectory(model.path)), "class_names"), testing::IsEmpty());
  model.change("config.json", "regression", "multi_label_classification");
  EXPECT_THAT(model.refusal(hf), HasSubstr("/problem_type: expected single_label_classification or regression"));
}

TEST(ForeignBert, OnlyTheTokenizerThatIsKnown) {
  const nn::BertOptions o;
  const ForeignForm hf = bert_forms(o, {.head = BertHead::classification}).front();
  Copy model("bert_classification");
  std::filesystem::remove(model.path + "/tokenizer_config.json");
  model.scratch.write("model/tokenizer.json", R"({"normalizer": null, "model": {"type": "WordPiece", "vocab": {}}})");
  EXPECT_EQ(model.setting(hf, "data.lower_case"), "false") << "nothing lower-cases";
  model.scratch.write("model/tokenizer.json", R"({"normalizer": {"type": "Sequence"}, "model": {"type": "WordPiece", "vocab": {}}})");
  EXPECT_THAT(model.refusal(hf), HasSubstr("/normalizer/type: expected BertNormalizer, found text \"Sequence\""));
}

TEST(HuggingFace, ClassesOfOneNameAreWrittenOnce) {
  const JsonMembers members = label_members(std::vector<std::string>{"crane", "ant", "crane"});
  EXPECT_EQ(members[1].second, "{\n  \"crane\": 2,\n  \"ant\": 1\n}");
}

// ---- ViT

TEST(ForeignVit, RefusesWhatTimmDoesNotMeanThisWay) {
  const nn::VitOptions o;
  const ForeignForm timm = vit_forms(o, {})[1];
  for (const std::string name :
       {"vit_base_patch16_99999999999999999999", "vit_base_patch_224", "vit_giant_patch14_224", "vit_base_patch16_224x"}) {
    Copy model("vit_timm");
    model.change("config.json", "vit_base_patch16_224", name);
    EXPECT_THAT(model.refusal(timm), HasSubstr("/architecture: expected vit_{tiny,small,base,large,huge}_patchP_S")) << name;
  }
  Copy model("vit_timm");
  model.change("config.json", "[3, 8, 8]", "[3]");
  EXPECT_THAT(model.refusal(timm), HasSubstr("/pretrained_cfg/input_size: expected three numbers"));
  Copy other("vit_timm");
  other.change("config.json", "\"mlp_ratio\"", "\"act_layer\": \"quick_gelu\", \"mlp_ratio\"");
  EXPECT_THAT(other.refusal(timm), HasSubstr("/model_args/act_layer: expected nothing"));
}

TEST(ForeignVit, ImagesAreMadeReadyAlike) {
  const nn::VitOptions o{.image_size = 8, .patch_size = 4, .hidden_size = 12, .layers = 0, .heads = 3};
  const ForeignForm hf = vit_forms(o, {.image_size = 16, .filter = data::Filter::bilinear, .crop_share = .8}).front();
  Copy model("vit_hf");
  for (const auto& [name, content] : hf.directory.files({})) model.scratch.write("model/" + name, content);
  EXPECT_EQ(model.setting(hf, "model.image_size"), "16") << "positions are written for the size that images have";
  EXPECT_EQ(model.setting(hf, "data.image_size"), "");
  EXPECT_EQ(model.setting(hf, "evaluate.filter"), "bilinear");
  EXPECT_EQ(model.setting(hf, "evaluate.crop_share"), "0.8");
  ParameterStore store;
  const nn::Vit network(store.root(), o);
  for (const auto& [name, value] : nn::translated_back(hf.names({}), store))
    EXPECT_TRUE(name != "vit.embeddings.position_embeddings" || value.shape() == (Shape{1, 17, 12})) << to_text(value);
}

TEST(ForeignVit, FromTransformersAndBackAndTheOriginalCode) {
  nn::VitOptions o;
  const auto forms = vit_forms(o, {});
  o = options_of<nn::VitOptions>(golden("vit_hf"), forms[0]);
  o.classes = 3;
  for (const std::string name : {"vit_hf", "vit_google.npz"}) {
    ParameterStore store;
    const nn::Vit model(store.root(), o);
    load(golden(name), forms, store);
    expect_near(model.logits(result("vit/images"), {}), result("vit/hf_logits"), name);
    expect_near(model.logits(result("vit/larger"), {}), result("vit/hf_larger_logits"), name + ", larger images");
    expect_goes_out(forms[0], store, golden("vit_hf"));
  }
}

TEST(ForeignVit, FromTimmAndBack) {
  nn::VitOptions o;
  const auto forms = vit_forms(o, {});
  const std::string path = golden("vit_timm");
  o = options_of<nn::VitOptions>(path, forms[1]);
  o.classes = 4;
  ParameterStore store;
  const nn::Vit model(store.root(), o);
  load(path, forms, store);
  expect_near(model.logits(result("vit/images"), {}), result("vit/timm_logits"), "timm");
  expect_goes_out(forms[1], store, path);
  o.head = nn::VitHeadInput::average;
  EXPECT_THROW(forms[0].require_writable(), ConfigError);
  EXPECT_THROW(forms[1].require_writable(), ConfigError);
}

TEST(ForeignVit, PositionsOfAnotherGridAreInterpolated) {
  nn::VitOptions o;
  const auto forms = vit_forms(o, {});
  o = options_of<nn::VitOptions>(golden("vit_hf"), forms[0]);
  o.classes = 3;
  o.image_size = 16;
  ParameterStore store;
  const nn::Vit model(store.root(), o);
  const engine::ForeignWeights w = engine::foreign_weights(golden("vit_google.npz"), forms, store, "vit");
  EXPECT_THAT(w.tensors.notes, testing::ElementsAre("positions of [17, 12] is interpolated from [1, 5, 12]"));
  nn::import_parameters(w.tensors, {}, {}, store);
  expect_near(model.logits(result("vit/larger"), {}), result("vit/hf_larger_logits"), "interpolated when it is read");
}

TEST(ForeignVit, TheHybridInThreeForms) {
  nn::VitOptions o{.image_size = 8,
                   .classes = 3,
                   .patch_size = 1,
                   .hidden_size = 8,
                   .layers = 1,
                   .heads = 2,
                   .mlp_size = 12,
                   .stem = nn::VitStem::resnet,
                   .stem_blocks = {2},
                   .stem_width = 32};
  const auto forms = vit_forms(o, {});
  std::map<std::string, std::vector<double>> first;
  for (const std::string name : {"vit_hybrid_own.safetensors", "vit_hybrid_google.npz", "vit_hybrid_torch.safetensors"}) {
    ParameterStore store;
    const nn::Vit model(store.root(), o);
    EXPECT_EQ(load(golden(name), forms, store).taken.size(), store.parameters().size()) << name;
    for (const Parameter& p : store.parameters()) {
      const auto [at, added] = first.emplace(p.name(), p.value().to_vector());
      EXPECT_EQ(p.value().to_vector(), at->second) << name << ": " << p.name();
    }
  }
}

// ---- Swin

TEST(ForeignSwin, FromTransformersAndBack) {
  nn::SwinOptions o;
  const auto forms = swin_forms(o, {});
  o = options_of<nn::SwinOptions>(golden("swin_hf"), forms[0]);
  o.classes = 3;
  ParameterStore store;
  const nn::Swin model(store.root(), o);
  EXPECT_THAT(load(golden("swin_hf"), forms, store).fresh, testing::IsEmpty());
  expect_near(model.logits(swin_result("images"), {}), swin_result("hf_logits"), "hf");
  expect_near(model.logits(swin_result("other"), {}), swin_result("hf_other_logits"), "a map that windows do not divide");
  expect_goes_out(forms[0], store, golden("swin_hf"));
  // The attention of its last block, 6 x 6 tokens in four windows.
  const nn::Swin::WithAttention seen = model.with_attention(slice(swin_result("images"), 0, 0, 1), {});
  EXPECT_EQ(seen.grid, (std::pair<std::int64_t, std::int64_t>{6, 6}));
  const std::vector<double> all = seen.probabilities.at(0).to_vector(), windows = swin_result("hf_attention").to_vector();
  for (std::size_t h = 0; h < 4; ++h)
    for (std::size_t query = 0; query < 36; ++query)
      for (std::size_t key = 0; key < 36; ++key) {
        const auto window = [](std::size_t token) { return token / 18 * 2 + token % 6 / 3; };
        const auto place = [](std::size_t token) { return token / 6 % 3 * 3 + token % 3; };
        const double wanted = window(query) == window(key) ? windows[((window(query) * 4 + h) * 9 + place(query)) * 9 + place(key)] : 0.0;
        ASSERT_NEAR(all[(h * 36 + query) * 36 + key], wanted, 1e-5) << h << " " << query << " " << key;
      }
  o.image_size = 28;
  EXPECT_NO_THROW(forms[0].require_writable());
  EXPECT_THROW(forms[1].require_writable(), ConfigError);
  o.window_size = 9;
  EXPECT_THAT(message_of<ConfigError>([&] { forms[0].require_writable(); }),
              HasSubstr("the last stage has 7 rows, model.window_size is 9"));
}

TEST(ForeignSwin, FromTimmAndTheOriginalAndBack) {
  nn::SwinOptions o;
  const auto forms = swin_forms(o, {});
  o = options_of<nn::SwinOptions>(golden("swin_timm"), forms[1]);
  o.classes = 4;
  std::vector<double> first;
  for (const std::string name : {"swin_timm", "swin_original.safetensors"}) {
    ParameterStore store;
    const nn::Swin model(store.root(), o);
    EXPECT_THAT(load(golden(name), forms, store).fresh, testing::IsEmpty());
    expect_near(model.logits(swin_result("images"), {}), swin_result("timm_logits"), name);
    expect_near(model.logits(swin_result("other"), {}), swin_result("timm_other_logits"), name + ", padded");
    expect_goes_out(forms[1], store, golden("swin_timm"));
  }
  EXPECT_NO_THROW(forms[1].require_writable());
}

TEST(ForeignSwin, TablesOfAnotherWindowAreInterpolated) {
  nn::SwinOptions o;
  const auto forms = swin_forms(o, {});
  o = options_of<nn::SwinOptions>(golden("swin_hf"), forms[0]);
  o.classes = 3;
  o.window_size = 4;
  o.image_size = 32;
  ParameterStore store;
  const nn::Swin model(store.root(), o);
  const engine::ForeignWeights w = engine::foreign_weights(golden("swin_hf"), forms, store, "swin");
  EXPECT_THAT(w.tensors.notes, testing::ElementsAre("positions of [256, 8] is interpolated from [1, 144, 8]",
                                                    "relative_position_bias_table of [49, 2] is interpolated from [25, 2]",
                                                    "relative_position_bias_table of [49, 4] is interpolated from [25, 4]"));
  nn::import_parameters(w.tensors, {}, {}, store);
  const Tensor theirs =
      engine::foreign_tensors(golden("swin_hf")).read("swin.encoder.layers.1.blocks.0.attention.self.relative_position_bias_table");
  expect_near(store.find("stages/1/blocks/0/attention/relative_position_bias_table").value(),
              nn::interpolate_grid(theirs, {5, 5}, {7, 7}, nn::Interpolation::bicubic), "table");
}

TEST(ForeignSwin, NamesOfTimmSayTheSize) {
  nn::SwinOptions o;
  const auto forms = swin_forms(o, {});
  Copy model("swin_timm");
  model.change("config.json", "swin_tiny_patch4_window7_224", "swin_base_patch4_window12_384.ms_in22k");
  model.change("config.json", "\"model_args\"", "\"others\"");
  EXPECT_EQ(model.setting(forms[1], "model.depths"), "2, 2, 18, 2");
  EXPECT_EQ(model.setting(forms[1], "model.heads"), "4, 8, 16, 32");
  EXPECT_EQ(model.setting(forms[1], "model.window_size"), "12");
  model.change("config.json", "_window12", "");
  EXPECT_THAT(model.refusal(forms[1]), HasSubstr("expected swin_{tiny,small,base,large}_patchP_windowW_S"));
}

// ---- recommenders

TEST(ForeignSasrec, ThePortInItsThreeFormsAndBack) {
  for (const auto& [form, norm] : {std::pair<std::string, nn::SasrecNorm>("post", nn::SasrecNorm::post),
                                   std::pair<std::string, nn::SasrecNorm>("pre", nn::SasrecNorm::pre),
                                   std::pair<std::string, nn::SasrecNorm>("query", nn::SasrecNorm::query)}) {
    const nn::SasrecOptions o{
        .max_length = 5, .hidden_size = 6, .blocks = 2, .heads = 2, .norm = norm, .output_projection = true, .dropout = 0};
    const std::string path = golden("sasrec_" + form + ".safetensors");
    const auto forms = sasrec_forms(o);
    ParameterStore store;
    const nn::Sasrec model(store.root(), 6, o);
    load(path, forms, store);
    const nn::TokenLayout layout = nn::token_layout(std::vector<std::int64_t>{5, 5}, 5, true, nn::Align::right);
    const Tensor h = index_select(model.hidden(reshape(result("sasrec/ids"), {10}), layout, {}), 0, layout.last);  // [2, d]
    expect_near(linear(h, slice(model.item_table().value(), 0, 1, 6), {}), result("sasrec/" + form + "_scores"), form);
    expect_goes_out(forms.front(), store, path);
  }
}

TEST(ForeignSasrec, AProjectionThatDoesSomethingNeedsOneHere) {
  const nn::SasrecOptions o{.max_length = 5, .hidden_size = 6, .blocks = 2, .heads = 2};
  const auto forms = sasrec_forms(o);
  ParameterStore store;
  const nn::Sasrec model(store.root(), 6, o);
  try {
    load(golden("sasrec_query.safetensors"), forms, store);
    FAIL();
  } catch (const CheckpointError& e) {
    EXPECT_THAT(e.what(), HasSubstr("attention_layers.1.out_proj.weight f32[6, 6] is there and does something, and the model here has no"));
  }
  std::map<std::string, Tensor> written;
  for (const auto& [name, value] : nn::translated_back(forms.front().names({}), store)) written.emplace(name, value);
  const auto identity = written.at("attention_layers.0.out_proj.weight").to_vector();
  EXPECT_EQ(identity[7], 1);
  EXPECT_EQ(std::ranges::count(identity, 1), 6);
}

TEST(ForeignGru4Rec, TheOfficialCodeAndBack) {
  for (const auto& [form, input] : {std::pair<std::string, nn::Gru4RecInput>("shared", nn::Gru4RecInput::shared),
                                    std::pair<std::string, nn::Gru4RecInput>("separate", nn::Gru4RecInput::separate)}) {
    const nn::Gru4RecOptions o{.input = input, .layers = {4, 3}, .embedding = form == "separate" ? 2 : 0};
    const std::string path = golden("gru4rec_" + form + ".safetensors");
    const auto forms = gru4rec_forms(o);
    ParameterStore store;
    const nn::Gru4Rec model(store.root(), 5, o);
    load(path, forms, store);
    nn::Hidden state = model.start(2);
    Tensor output;
    for (int i = 0; i < 3; ++i) output = model.step(reshape(slice(result("gru4rec/steps"), 0, i, 1), {2}), state, {});
    expect_near(model.scores(output), result("gru4rec/" + form + "_scores"), form);
    expect_goes_out(forms.front(), store, path);
  }
  const nn::Gru4RecOptions other{.gru = GruVariant::reset_before};
  EXPECT_THROW(gru4rec_forms(other).front().require_writable(), ConfigError);
  EXPECT_THROW(gru4rec_forms(other).front().names(std::vector<std::string>{"Wy.weight"}), ConfigError);
}

}  // namespace
}  // namespace capstan::formats
