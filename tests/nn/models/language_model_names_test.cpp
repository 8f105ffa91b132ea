// Language models of transformers, small and random, against what it computes with them (tests/goldens/make_language_models.py): in, and
// out again byte for byte. Heads of keys and values averaged against the formula.

#include "nn/models/language_model_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "autograd/ops/matmul.h"
#include "autograd/ops/shape_ops.h"
#include "data/hdf5/hdf5.h"
#include "data/safetensors.h"
#include "nn/import.h"
#include "tests/close.h"
#include "tests/message_of.h"

namespace capstan::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const LanguageModelOptions kLlama{.layers = 2,
                                  .hidden_size = 16,
                                  .heads = 4,
                                  .kv_heads = 2,
                                  .intermediate_size = 24,
                                  .norm_epsilon = 1e-4,
                                  .rope_theta = 500,
                                  .max_positions = 32,
                                  .tied = false};
const LanguageModelOptions kGpt2{.layers = 2,
                                 .hidden_size = 16,
                                 .heads = 4,
                                 .intermediate_size = 40,
                                 .activation = FeedForwardKind::gelu_tanh,
                                 .norm = NormKind::layer,
                                 .bias = true,
                                 .norm_epsilon = 1e-4,
                                 .positions = LanguagePositions::learned,
                                 .max_positions = 32};
constexpr std::int64_t kLlamaRows = 404, kGpt2Rows = 400;

std::string golden(const std::string& name) { return CAPSTAN_SOURCE_DIR "/tests/goldens/foreign/" + name; }
Tensor result(const std::string& name) {
  static const data::Hdf5Reader file(golden("language_models.h5"), {.require_seal = false});
  return file.read("/" + name);
}

using Tensors = std::vector<std::pair<std::string, Tensor>>;

TensorSource source_of(const Tensors& tensors) {
  TensorSource out{.name = "file", .tensors = {}, .read = {}};
  for (const auto& [name, t] : tensors) out.tensors.emplace_back(name, t.spec());
  out.read = [tensors](std::string_view name) { return std::ranges::find(tensors, name, &Tensors::value_type::first)->second; };
  return out;
}
Tensors file_of(const std::string& model) {
  const data::SafetensorsSet file(golden(model + "/model.safetensors"));
  Tensors out;
  for (const auto& [name, spec] : file.tensors()) out.emplace_back(name, file.read(name));
  return out;
}
/// Loads tensors with the names of transformers; returns what was said.
std::vector<std::string> load(const Tensors& tensors, const LanguageModelOptions& o, const ParameterStore& store) {
  std::vector<std::string> names;
  for (const auto& [name, t] : tensors) names.push_back(name);
  EXPECT_TRUE(is_hugging_face_language_model(names));
  const TensorSource ours = translated(source_of(tensors), hugging_face_names(o, names), store);
  const Imported done = import_parameters(ours, {}, {}, store);
  EXPECT_THAT(done.fresh, IsEmpty());
  return ours.notes;
}

struct Loaded {
  Loaded(const Tensors& tensors, std::int64_t rows, const LanguageModelOptions& options)
      : o(options), model(store.root(), rows, options), said(load(tensors, options, store)) {}
  Tensor logits(const Tensor& ids) const {
    const Tensor h = model.hidden(ids, {}, {});
    return matmul(reshape(h, {ids.numel(), o.hidden_size}), permute(model.output_table().value(), {1, 0}));
  }
  LanguageModelOptions o;
  ParameterStore store;
  LanguageModel model;
  std::vector<std::string> said;
};

void expect_logits(const Loaded& loaded, const std::string& name) {
  const Tensor wanted = result(name + "/logits"), ids = result(name + "/ids");
  const auto a = loaded.logits(ids).to_vector(), b = wanted.to_vector();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5) << name << " " << i;
}

/// What transformers' generate goes on with, by the whole text at every step.
std::vector<std::int64_t> greedy(const Loaded& loaded, const std::string& name) {
  const auto row = result(name + "/prompt").to_vector();
  std::vector<std::int64_t> text(row.begin(), row.end()), out;
  while (out.size() < 12) {
    const auto logits = loaded.logits(Tensor::from(text, {1, std::ssize(text)})).to_vector();
    const auto last = logits.end() - loaded.model.embedding().shape()[0];
    out.push_back(std::max_element(last, logits.end()) - last);
    text.push_back(out.back());
  }
  return out;
}

void expect_equal(const Tensors& written, const Tensors& wanted) {
  std::map<std::string, Tensor> found(written.begin(), written.end());
  EXPECT_EQ(found.size(), wanted.size());
  for (const auto& [name, t] : wanted) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name).spec(), t.spec()) << name;
    EXPECT_EQ(found.at(name).to_vector(), t.to_vector()) << name;
  }
}

TEST(LanguageModelNames, ModelsOfTransformersComeInAndGoOutAgain) {
  for (const std::string name : {"llama_hf", "gpt2_hf"}) {
    SCOPED_TRACE(name);
    const bool llama = name == "llama_hf";
    const Tensors file = file_of(name);
    const Loaded loaded(file, llama ? kLlamaRows : kGpt2Rows, llama ? kLlama : kGpt2);
    expect_logits(loaded, name);
    EXPECT_EQ(is_gpt2(loaded.o), !llama);
    EXPECT_EQ(is_llama(loaded.o), llama);
    const auto wanted = result(name + "/greedy").to_vector();
    EXPECT_EQ(greedy(loaded, name), std::vector<std::int64_t>(wanted.begin(), wanted.end()));
    expect_equal(translated_back(hugging_face_names(loaded.o), loaded.store), file);
  }
}

TEST(LanguageModelNames, FilesMayLackThePrefixAndHaveMasksAndCopies) {
  Tensors file;
  for (const auto& [name, t] : file_of("gpt2_hf")) file.emplace_back(name.substr(std::string("transformer.").size()), t);
  file.emplace_back("h.1.attn.bias", Tensor::zeros({1, 1, 32, 32}, DType::u8));
  file.emplace_back("h.1.attn.masked_bias", Tensor::zeros({}, DType::f32));
  file.emplace_back("lm_head.weight", file_of("gpt2_hf").front().second);
  for (auto& [name, t] : file)
    if (name == "lm_head.weight") t = std::ranges::find(file, "wte.weight", &Tensors::value_type::first)->second;
  expect_logits(Loaded(file, kGpt2Rows, kGpt2), "gpt2_hf");
  file.back().second = Tensor::zeros(file.back().second.shape(), DType::f32);
  EXPECT_THAT(message_of<CheckpointError>([&] { Loaded(file, kGpt2Rows, kGpt2); }),
              HasSubstr("lm_head.weight is not wte.weight, and the model here has one tensor for both"));

  Tensors llama;
  for (const auto& [name, t] : file_of("llama_hf")) llama.emplace_back(name.starts_with("model.") ? name.substr(6) : name, t);
  llama.emplace_back("layers.0.self_attn.rotary_emb.inv_freq", Tensor::zeros({2}, DType::f32));
  expect_logits(Loaded(llama, kLlamaRows, kLlama), "llama_hf");
}

/// Means of groups of heads: theirs [heads * width, columns] -> [heads / group * width, columns].
std::vector<double> means(const Tensor& theirs, std::int64_t group, std::int64_t width) {
  const auto x = theirs.to_vector();
  const std::int64_t row = theirs.numel() / theirs.size(0), heads = theirs.size(0) / width;
  std::vector<double> out;
  for (std::int64_t h = 0; h < heads / group; ++h)
    for (std::int64_t i = 0; i < width * row; ++i) {
      double sum = 0;
      for (std::int64_t g = 0; g < group; ++g) sum += x[static_cast<std::size_t>((h * group + g) * width * row + i)];
      out.push_back(sum / static_cast<double>(group));
    }
  return out;
}
void expect_means(const ParameterStore& fewer, const ParameterStore& more, std::int64_t group, bool bias) {
  for (const std::string layer : {"0", "1"})
    for (const std::string part : {"key", "value"})
      for (const std::string of : {"weight", "bias"}) {
        if (of == "bias" && !bias) continue;
        const std::string name = "layers/" + layer + "/attention/" + part + "/" + of;
        const auto ours = fewer.find(name).value().to_vector(), wanted = means(more.find(name).value(), group, 4);
        ASSERT_EQ(ours.size(), wanted.size()) << name;
        for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], wanted[i], 1e-7) << name << " " << i;
      }
}

TEST(LanguageModelNames, HeadsOfKeysAndValuesAreAveraged) {
  const Loaded gpt2(file_of("gpt2_hf"), kGpt2Rows, kGpt2), llama(file_of("llama_hf"), kLlamaRows, kLlama);
  LanguageModelOptions o = kGpt2;
  for (const std::int64_t heads : {2, 1}) {
    o.kv_heads = heads;
    const Loaded fewer(file_of("gpt2_hf"), kGpt2Rows, o);
    expect_means(fewer.store, gpt2.store, 4 / heads, true);
    EXPECT_THAT(fewer.said, ElementsAre("heads of keys and values are averaged in groups, 4 -> " + std::to_string(heads)));
    EXPECT_FALSE(is_gpt2(o));  // which has none of these
    // What stays of one file with our own names is the same.
    Tensors own;
    for (const Parameter& p : gpt2.store.parameters()) own.emplace_back(p.name(), p.value());
    ParameterStore store;
    const LanguageModel model(store.root(), kGpt2Rows, o);
    const TensorSource seen = translated(source_of(own), own_names(o), store);
    import_parameters(seen, {}, {}, store);
    EXPECT_EQ(seen.notes, fewer.said);
    for (const Parameter& p : store.parameters()) EXPECT_EQ(p.value().to_vector(), fewer.store.find(p.name()).value().to_vector());
  }
  o = kLlama;
  o.kv_heads = 1;
  expect_means(Loaded(file_of("llama_hf"), kLlamaRows, o).store, llama.store, 2, false);
  o.kv_heads = 4;  // more than there are
  EXPECT_THAT(message_of<CheckpointError>([&] { Loaded(file_of("llama_hf"), kLlamaRows, o); }),
              HasSubstr("of another shape or type: layers/0/attention/key/weight"));
}

}  // namespace
}  // namespace capstan::nn
