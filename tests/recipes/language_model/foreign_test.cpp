// Language models of Hugging Face transformers from the command line: used as they are, gone on with, written again, and what they ask for
// that is not known here.
#include <algorithm>
#include <filesystem>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/text/byte_bpe.h"
#include "data/text/subword.h"
#include "data/text/unicode.h"
#include "recipes/language_model/recipe.h"
#include "recipes/tasks/language_modelling/tokenizer_vocabulary.h"
#include "tests/message_of.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::language_model {
namespace {

namespace fs = std::filesystem;

using engine::test::text_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kGoldens = CAPSTAN_SOURCE_DIR "/tests/goldens/";
constexpr std::string_view kPrompt = "the quick brown fox";  // make_language_models.py

struct ForeignLanguageModel : engine::test::RecipeProgram {
  ForeignLanguageModel() : RecipeProgram(language_model::recipe()) {
    fs::copy(kGoldens + "foreign/llama_hf", scratch / "llama");
    fs::copy(kGoldens + "byte_bpe/tokenizer.json", scratch / "llama/tokenizer.json");
    fs::copy(kGoldens + "foreign/gpt2_hf", scratch / "gpt2");
    for (const std::string name : {"vocab.json", "merges.txt"}) fs::copy(kGoldens + "byte_bpe/" + name, scratch / "gpt2/" + name);
    std::string text;
    for (int i = 0; i < 30; ++i) text += "the quick brown fox jumps over the lazy dog\n";
    scratch.write("text.txt", text);
  }
  /// Replaces text in a model's config.json, which must have it.
  void configure(const std::string& model, std::string_view from, std::string_view to) const {
    const std::string path = scratch / model + "/config.json";
    std::string text = text_of(path);
    ASSERT_NE(text.find(from), std::string::npos) << from;
    scratch.write(model + "/config.json", text.replace(text.find(from), from.size(), to));
  }
  std::string generated(const std::string& model) {
    EXPECT_EQ(capstan({"generate", "--checkpoint", scratch / model, "--prompt", std::string(kPrompt), "generation.top_k=1",
                       "generation.max_length=12", "run.threads=1"}),
              engine::kOk)
        << err.str();
    return out.str();
  }
  int train(const std::string& run, const std::string& from, const Arguments& more) {
    scratch.write("own.cfg", "recipe = language_model\n");
    return capstan(joined({"train", scratch / "own.cfg", "run.dir=" + scratch / run, "run.data=" + scratch.path(), "data.train=text.txt",
                           "init.from=" + scratch / from, "train.max_steps=1", "train.batch_size=2", "run.threads=1",
                           "schedule.warmup_steps=0", "evaluate.examples=0"},
                          more));
  }
};

TEST_F(ForeignLanguageModel, WritesWhatTransformersWrite) {
  const data::Hdf5Reader results(kGoldens + "foreign/language_models.h5", {.require_seal = false});
  const data::ByteBpe tokenizer = data::ByteBpe::read(scratch / "llama/tokenizer.json");
  for (const std::string model : {"llama", "gpt2"}) {
    std::string wanted(kPrompt);
    for (const double id : results.read("/" + model + "_hf/greedy").to_vector())
      if (id < 401) wanted += tokenizer.bytes_of(static_cast<std::int32_t>(id));
    EXPECT_EQ(generated(model), data::unicode::to_utf8(data::unicode::to_utf32(wanted)) + "\n") << model;
  }
  configure("llama", R"("LlamaForCausalLM")", R"("MistralForCausalLM")");
  configure("llama", R"("model_type": "llama")", R"("model_type": "mistral", "sliding_window": null)");
  EXPECT_THAT(generated("llama"), HasSubstr(kPrompt));
}

TEST_F(ForeignLanguageModel, GoesOutAsItCameIn) {
  for (const std::string model : {"llama", "gpt2"}) {
    const std::string once = scratch / model + "-once", twice = scratch / model + "-twice";
    ASSERT_EQ(capstan({"export", scratch / model, once, "--as", "hf"}), engine::kOk) << err.str();
    ASSERT_EQ(capstan({"export", once, twice, "--as", "hf"}), engine::kOk) << err.str();
    EXPECT_EQ(text_of(once + "/model.safetensors"), text_of(scratch / model + "/model.safetensors"));
    for (const std::string name : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"})
      EXPECT_EQ(text_of(once + "/" + name), text_of(twice + "/" + name)) << name;
    EXPECT_EQ(generated(model), generated(model + "-once"));
    EXPECT_THAT(text_of(once + "/config.json"), HasSubstr(model == "gpt2" ? R"("eos_token_id": 0)" : R"("rope_theta": 500)"));
  }
}

TEST_F(ForeignLanguageModel, GoesOnLearningWithFewerHeadsOfKeysAndValues) {
  ASSERT_EQ(train("gpt2-run", "gpt2", {}), engine::kOk) << err.str();
  EXPECT_THAT(text_of(scratch / "gpt2-run/log.txt"),
              AllOf(HasSubstr("400 pieces of a byte-level BPE, of the model in init.from"), Not(HasSubstr("averaged"))));
  const std::string said = "start: heads of keys and values are averaged in groups, 4 -> 2";
  ASSERT_EQ(train("of-directory", "gpt2", {"model.kv_heads=2"}), engine::kOk) << err.str();
  EXPECT_THAT(text_of(scratch / "of-directory/log.txt"), HasSubstr(said));
  // Our own forms: a checkpoint, which says less about the run than a directory, and a file.
  const Arguments shape{"model.kv_heads=2", "data.length=32", "bench.prompt=8", "bench.written=8"};
  const std::string checkpoint_file = fs::relative(checkpoint("gpt2-run"), scratch.path()).string();
  ASSERT_EQ(train("of-checkpoint", checkpoint_file, joined(shape, {"optimizer.learning_rate=1e-12"})), engine::kOk) << err.str();
  EXPECT_THAT(text_of(scratch / "of-checkpoint/log.txt"), HasSubstr(said));
  const auto more = tensors(checkpoint("gpt2-run")), fewer = tensors(checkpoint("of-checkpoint"));
  for (const std::string part : {"key/weight", "value/weight", "key/bias", "value/bias"}) {
    const auto &theirs = more.at("/model/layers/1/attention/" + part), &ours = fewer.at("/model/layers/1/attention/" + part);
    const std::size_t head = theirs.size() / 4;  // numbers of a head
    ASSERT_EQ(ours.size(), 2 * head);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const std::size_t first = i / head * 2 * head + i % head;
      ASSERT_NEAR(ours[i], (theirs[first] + theirs[first + head]) / 2, 1e-6) << part << " " << i;
    }
  }
  EXPECT_EQ(train("three", checkpoint_file, joined(shape, {"model.kv_heads=3"})), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("model.heads must be a multiple of model.kv_heads, got 4 and 3"));
  ASSERT_EQ(capstan({"export", checkpoint("gpt2-run"), scratch / "own.safetensors"}), engine::kOk) << err.str();
  ASSERT_EQ(train("of-file", "own.safetensors",
                  joined(shape, {"model.layers=2", "model.hidden_size=16", "model.heads=4", "model.intermediate_size=40",
                                 "model.max_positions=32", "model.norm=layer", "model.bias=yes", "model.positions=learned",
                                 "model.activation=gelu_tanh", "data.tokens=byte_bpe", "data.tokenizer=gpt2/vocab.json"})),
            engine::kOk)
      << err.str();
  EXPECT_THAT(text_of(scratch / "of-file/log.txt"), HasSubstr(said));
  EXPECT_EQ(capstan({"export", checkpoint("of-file"), scratch / "none", "--as", "hf"}), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("this one is neither"));
}

TEST_F(ForeignLanguageModel, OwnTokensGoOutWhereTransformersCutTextSo) {
  const auto exported = [&](const std::string& tokens) {
    EXPECT_EQ(capstan({"train", scratch / "own.cfg", "run.dir=" + scratch / tokens, "run.data=" + scratch.path(), "data.train=text.txt",
                       "data.tokens=" + tokens, "data.vocab_size=40", "data.length=16", "model.layers=1", "model.hidden_size=16",
                       "model.heads=2", "model.intermediate_size=16", "model.max_positions=128", "train.max_steps=1", "train.batch_size=2",
                       "run.threads=1", "schedule.warmup_steps=0", "evaluate.examples=0"}),
              engine::kOk)
        << err.str();
    return capstan({"export", checkpoint(tokens), scratch / tokens + "-out", "--as", "hf"});
  };
  scratch.write("own.cfg", "recipe = language_model\n");
  ASSERT_EQ(exported("byte"), engine::kOk) << err.str();
  EXPECT_EQ(data::ByteBpe::read(scratch / "byte-out/tokenizer.json").encode("fox\n"), (std::vector<std::int32_t>{'f', 'o', 'x', '\n'}));
  EXPECT_THAT(text_of(scratch / "byte-out/config.json"), AllOf(HasSubstr(R"("vocab_size": 256)"), HasSubstr(R"("eos_token_id": null)")));
  ASSERT_EQ(exported("character"), engine::kOk) << err.str();
  EXPECT_THAT(text_of(scratch / "character-out/tokenizer.json"),
              AllOf(HasSubstr(R"("WordLevel")"), HasSubstr(R"([\\s\\S])"), HasSubstr(R"("Fuse")"), HasSubstr(R"("[UNK]": 0,)"),
                    HasSubstr(R"("\n": 1,)")));
  // The way back: tokens and weights are the same, so the next export is too.
  ASSERT_EQ(capstan({"train", scratch / "own.cfg", "run.dir=" + scratch / "again", "run.data=" + scratch.path(), "data.train=text.txt",
                     "init.from=" + scratch / "character-out", "schedule.warmup_steps=0", "optimizer.learning_rate=1e-30",
                     "train.max_steps=1", "run.threads=1", "data.length=16", "evaluate.examples=0"}),
            engine::kOk)
      << err.str();
  ASSERT_EQ(capstan({"export", checkpoint("again"), scratch / "again-out", "--as", "hf"}), engine::kOk) << err.str();
  EXPECT_EQ(text_of(scratch / "again-out/tokenizer.json"), text_of(scratch / "character-out/tokenizer.json"));
  scratch.write("character-out/tokenizer.json",
                R"({"normalizer": null, "pre_tokenizer": {"pattern": {"Regex": "\\w+"}}, "model": {"type": "WordLevel", "vocab": {}}})");
  EXPECT_NE(capstan({"evaluate", "--checkpoint", scratch / "character-out"}), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("/pre_tokenizer/pattern/Regex: expected [\\s\\S]: words of characters are not known here"));
  EXPECT_EQ(exported("subword"), engine::kUsage);
  EXPECT_THAT(err.str(), HasSubstr("transformers has no tokenizer that cuts text as data.tokens = subword does"));
}

TEST_F(ForeignLanguageModel, RefusesByNameWhatIsNotKnownHere) {
  const auto refused = [&](const std::string& model, std::string_view from, std::string_view to, std::string_view message) {
    const std::string before = text_of(scratch / model + "/config.json");
    configure(model, from, to);
    EXPECT_NE(capstan({"evaluate", "--checkpoint", scratch / model}), engine::kOk) << to;
    EXPECT_THAT(err.str(), HasSubstr(message)) << to;
    scratch.write(model + "/config.json", before);
  };
  refused("llama", R"("rope_type": "default")", R"("rope_type": "llama3")", "/rope_parameters/rope_type: expected default: rotary");
  refused("llama", R"("use_cache")", R"("rope_scaling": {"type": "linear", "factor": 2}, "use_cache")",
          "/rope_scaling/type: expected default");
  refused("llama", R"("use_cache")", R"("partial_rotary_factor": 0.5, "use_cache")", "/partial_rotary_factor: expected 1");
  refused("llama", R"("head_dim": 4)", R"("head_dim": 8)", "/head_dim: expected hidden_size / num_attention_heads");
  refused("llama", R"("attention_bias": false)", R"("attention_bias": true)", "/mlp_bias: expected true");
  refused("llama", R"("hidden_act": "silu")", R"("hidden_act": "gelu")", "/hidden_act: expected one of silu, swish");
  refused("llama", R"("use_cache")", R"("sliding_window": 8, "use_cache")", "/sliding_window: expected null");
  refused("llama", R"("vocab_size": 404)", R"("vocab_size": 300)", "the tokenizer has 401 tokens, and the model a row for 300");
  refused("llama", R"("model_type": "llama")", R"("model_type": "gemma")", "no recipe has a model of this kind");
  refused("gpt2", R"("scale_attn_weights": true)", R"("scale_attn_weights": false)", "/scale_attn_weights: expected true");
  refused("gpt2", R"("scale_attn_by_inverse_layer_idx": false)", R"("scale_attn_by_inverse_layer_idx": true)",
          "/scale_attn_by_inverse_layer_idx: expected false");
  fs::remove(scratch / "gpt2/vocab.json");
  EXPECT_NE(capstan({"evaluate", "--checkpoint", scratch / "gpt2"}), engine::kOk);
  EXPECT_THAT(err.str(), HasSubstr("has no tokenizer: neither tokenizer.json"));
}

TEST_F(ForeignLanguageModel, TokenizersOfSentencepiece) {
  std::int64_t lines = 0;
  std::string line;
  const data::SubwordModel model = data::SubwordModel::learned({.size = 60, .byte_fallback = false}, [&](std::string_view& text) {
    line = "the quick brown fox number " + std::to_string(lines);
    text = line;
    return lines++ < 50;
  });
  data::write_file_durably(scratch / "llama/tokenizer.model", std::string_view(model.bytes()));
  const auto v = language_modelling::sentencepiece_vocabulary(model, 404);
  EXPECT_EQ(v->size(), 404);
  EXPECT_EQ(v->encode_prompt("the fox").front(), model.begin());
  EXPECT_EQ(v->decode(v->encode("the quick fox 7")), "the quick fox 7");
  EXPECT_EQ(v->name(403), "[row 403 of no token]");
  EXPECT_THAT(generated("llama"), HasSubstr(kPrompt));
  ASSERT_EQ(capstan({"export", scratch / "llama", scratch / "again", "--as", "hf"}), engine::kOk) << err.str();
  EXPECT_EQ(text_of(scratch / "again/tokenizer.model"), model.bytes());
  EXPECT_THAT(text_of(scratch / "again/tokenizer_config.json"), AllOf(HasSubstr("LlamaTokenizer"), HasSubstr(R"("bos_token": "[BOS]")")));
  EXPECT_EQ(generated("llama"), generated("again"));
}

}  // namespace
}  // namespace capstan::language_model
