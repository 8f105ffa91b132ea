#include "recipes/formats/language_model.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/text/byte_bpe.h"
#include "data/text/subword.h"
#include "data/text/unicode.h"
#include "nn/models/language_model_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/tasks/language_modelling/tokenizer_vocabulary.h"
#include "recipes/tasks/language_modelling/vocabulary.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;
using nn::LanguageModelOptions;

namespace task = language_modelling;

constexpr std::array<Choice, 5> kPlainActivations{
    {{"gelu_new", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"}, {"gelu_fast", "gelu_tanh"}, {"gelu", "gelu"}, {"relu", "relu"}}};
constexpr std::array<Choice, 4> kGatedActivations{
    {{"silu", "swiglu"}, {"swish", "swiglu"}, {"gelu_pytorch_tanh", "geglu"}, {"gelu_new", "geglu"}}};
constexpr std::array<std::string_view, 3> kArchitectures{"LlamaForCausalLM", "MistralForCausalLM", "GPT2LMHeadModel"};
constexpr std::int64_t kUsualLength = 256, kUsualBench = 96;  // of data.length; of bench.prompt and bench.written together

bool is_gpt2(const ModelDirectory& d) { return is_of_type(d, "gpt2"); }
bool holds(const ModelDirectory& d) { return is_gpt2(d) || is_of_type(d, "llama") || is_of_type(d, "mistral"); }

// ---- from a directory

bool is_true(const Json& config, std::string_view name, bool otherwise) {
  const auto v = config.find(name);
  return v ? v->boolean() : otherwise;
}

void require_is(const Json& config, std::string_view name, bool value, std::string_view reason) {
  if (const auto v = config.find(name); v && v->boolean() != value) v->fail(join_text(value ? "true: " : "false: ", reason));
}

/// Rotary positions as they were published: refused otherwise. Configurations say it in one of three ways.
std::optional<double> plain_rope_theta(const Json& config) {
  std::optional<double> theta;
  const auto look_at = [&](const Json& rope) {
    for (const std::string_view name : {"rope_type", "type"})
      if (const auto v = rope.find(name); v && v->text() != "default") v->fail("default: rotary positions are not scaled here");
    if (const auto v = rope.find("partial_rotary_factor"); v && v->number() != 1) v->fail("1: whole heads are turned here");
    if (const auto v = rope.find("rope_theta")) theta = v->number();
  };
  look_at(config);
  for (const std::string_view name : {"rope_scaling", "rope_parameters"})
    if (const auto v = config.find(name)) look_at(*v);
  return theta;
}

void gpt2_settings(const Json& c, Settings& out) {
  require_is(c, "scale_attn_weights", true, "scores are divided by the root of the head width here");
  require_is(c, "scale_attn_by_inverse_layer_idx", false, "scores are not scaled by the layer here");
  require_is(c, "add_cross_attention", false, "there is no encoder here");
  out.needed(c, "n_layer", "model.layers");
  out.needed(c, "n_embd", "model.hidden_size");
  out.needed(c, "n_head", "model.heads");
  out.set("model.kv_heads", "0");
  out.set("model.intermediate_size", join_text(c.has("n_inner") ? c["n_inner"].integer() : 4 * c["n_embd"].integer()));
  out.needed(c, "n_positions", "model.max_positions");
  out.set("model.norm", "layer");
  out.set("model.positions", "learned");
  out.set("model.bias", "true");
  out.number(c, "layer_norm_epsilon", "model.norm_epsilon");
  out.number(c, "resid_pdrop", "model.dropout");
  out.number(c, "attn_pdrop", "model.attention_dropout");
  out.set("model.activation", c.has("activation_function") ? chosen(c["activation_function"], kPlainActivations) : "gelu_tanh");
  out.set("model.tied", json_boolean(is_true(c, "tie_word_embeddings", true)));
}

void llama_settings(const Json& c, Settings& out) {
  const std::int64_t width = c["hidden_size"].integer(), heads = c["num_attention_heads"].integer();
  if (const auto v = c.find("head_dim"); v && v->integer() * heads != width) v->fail("hidden_size / num_attention_heads");
  if (const auto v = c.find("sliding_window"); v && v->integer() < c["max_position_embeddings"].integer())
    v->fail("null: every token sees all before it here");
  const bool bias = is_true(c, "attention_bias", false);
  require_is(c, "mlp_bias", bias, "all projections have biases here, or none has");
  if (bias && !c.has("mlp_bias")) c["attention_bias"].fail("false: all projections have biases here, or none has");
  const std::optional<double> theta = plain_rope_theta(c);
  out.needed(c, "num_hidden_layers", "model.layers");
  out.needed(c, "hidden_size", "model.hidden_size");
  out.needed(c, "num_attention_heads", "model.heads");
  out.set("model.kv_heads", join_text(c.has("num_key_value_heads") ? c["num_key_value_heads"].integer() : heads));
  out.needed(c, "intermediate_size", "model.intermediate_size");
  out.needed(c, "max_position_embeddings", "model.max_positions");
  out.set("model.norm", "rms");
  out.set("model.positions", "rotary");
  out.set("model.rope_theta", join_text(theta.value_or(10000)));
  out.set("model.bias", json_boolean(bias));
  out.set("model.norm_epsilon", join_text(c.has("rms_norm_eps") ? c["rms_norm_eps"].number() : 1e-6));
  out.set("model.dropout", "0");
  out.number(c, "attention_dropout", "model.attention_dropout");
  out.set("model.activation", c.has("hidden_act") ? chosen(c["hidden_act"], kGatedActivations) : "swiglu");
  out.set("model.tied", json_boolean(is_true(c, "tie_word_embeddings", false)));
}

/// The pattern by which tokenizer.json cuts a text into characters.
constexpr std::string_view kAnyCharacter = R"([\s\S])";

/// Whether the tokenizer has words that are looked up whole; of characters alone that is the one of data.tokens = character.
bool has_word_level(const ModelDirectory& d) {
  const auto tokenizer = d.json("tokenizer.json");
  const auto model = tokenizer ? tokenizer->find("model") : std::nullopt;
  const auto type = model ? model->find("type") : std::nullopt;
  return type && type->text() == "WordLevel";
}

/// Every character a token of its own behind [UNK], as `character_tokenizer` writes it; anything else is refused.
task::SharedVocabulary character_vocabulary_of(const Json& tokenizer) {
  if (const auto normalizer = tokenizer.find("normalizer")) normalizer->fail("null: characters are taken as they are here");
  const Json pattern = tokenizer["pre_tokenizer"]["pattern"]["Regex"];
  if (pattern.text() != kAnyCharacter) pattern.fail(join_text(kAnyCharacter, ": words of characters are not known here"));
  const Json vocabulary = tokenizer["model"]["vocab"];
  std::u32string characters;
  for (const auto& [name, id] : vocabulary.members()) {
    const auto expected = static_cast<std::int64_t>(characters.size());
    if (name == "[UNK]" && id.integer() == 0) continue;
    const std::u32string text = data::unicode::to_utf32(name);
    if (text.size() != 1 || id.integer() != expected + 1 || (expected > 0 && text[0] <= characters.back()))
      id.fail(join_text("[UNK] as token 0 and then single characters that ascend, this one with number ", expected + 1));
    characters += text;
  }
  return task::character_vocabulary(std::move(characters));
}

/// The vocabulary with a token for each row of the model's table.
task::SharedVocabulary vocabulary_of(const ModelDirectory& d) {
  const std::int64_t rows = d.config()["vocab_size"].integer();
  if (d.has("tokenizer.model") && !is_gpt2(d))
    return task::sentencepiece_vocabulary(data::SubwordModel::read(d.file("tokenizer.model")), rows);
  if (has_word_level(d)) {
    auto characters = character_vocabulary_of(*d.json("tokenizer.json"));
    require<DataError>(characters->size() == rows, d.path(), ": the tokenizer has ", characters->size(), " tokens, and the model ", rows,
                       " rows");
    return characters;
  }
  for (const std::string_view name : {"tokenizer.json", "vocab.json"})
    if (d.has(name)) return task::byte_bpe_vocabulary(data::ByteBpe::read(d.file(name)), rows);
  throw DataError(join_text(d.path(), ": has no tokenizer: neither tokenizer.json, nor vocab.json with merges.txt, nor tokenizer.model"));
}

std::vector<Assignment> settings_of(const ModelDirectory& d) {
  const Json& c = d.config();
  Settings out(d);
  is_gpt2(d) ? gpt2_settings(c, out) : llama_settings(c, out);
  const std::int64_t positions = c[is_gpt2(d) ? "n_positions" : "max_position_embeddings"].integer();
  if (positions < kUsualLength) out.set("data.length", join_text(positions));
  if (positions < kUsualBench)
    for (const std::string_view key : {"bench.prompt", "bench.written"}) out.set(key, join_text(positions / 2));
  const bool is_sentencepiece = d.has("tokenizer.model") && !is_gpt2(d);
  out.set("data.tokens", is_sentencepiece ? "sentencepiece" : has_word_level(d) ? "character" : "byte_bpe");
  return out.take();
}

engine::NamedTensors artifacts_of(const ModelDirectory& d) {
  engine::NamedTensors out;
  task::store(*vocabulary_of(d), out);
  return out;
}

// ---- to a directory

std::string_view name_of(nn::FeedForwardKind kind) {
  switch (kind) {
    case nn::FeedForwardKind::relu: return "relu";
    case nn::FeedForwardKind::gelu: return "gelu";
    case nn::FeedForwardKind::gelu_tanh: return "gelu_tanh";
    case nn::FeedForwardKind::swiglu: return "swiglu";
    case nn::FeedForwardKind::geglu: return "geglu";
  }
  throw InternalError("language model: unknown activation");
}

std::string id_or_null(std::int64_t id) { return id < 0 ? "null" : json_number(id); }

std::string gpt2_config(const LanguageModelOptions& o, const task::Vocabulary& v) {
  return json_object({{"architectures", R"(["GPT2LMHeadModel"])"},
                      {"model_type", R"("gpt2")"},
                      {"vocab_size", json_number(v.size())},
                      {"n_layer", json_number(o.layers)},
                      {"n_embd", json_number(o.hidden_size)},
                      {"n_head", json_number(o.heads)},
                      {"n_inner", json_number(o.intermediate_size)},
                      {"n_positions", json_number(o.max_positions)},
                      {"activation_function", data::json_string(theirs_of(name_of(o.activation), kPlainActivations))},
                      {"layer_norm_epsilon", json_number(o.norm_epsilon)},
                      {"resid_pdrop", json_number(o.dropout)},
                      {"embd_pdrop", json_number(o.dropout)},
                      {"attn_pdrop", json_number(o.attention_dropout)},
                      {"tie_word_embeddings", json_boolean(o.tied)},
                      {"bos_token_id", id_or_null(v.begin_of_text() >= 0 ? v.begin_of_text() : v.end_of_text())},
                      {"eos_token_id", id_or_null(v.end_of_text())},
                      {"dtype", R"("float32")"}}) +
         "\n";
}

std::string llama_config(const LanguageModelOptions& o, const task::Vocabulary& v) {
  return json_object({{"architectures", R"(["LlamaForCausalLM"])"},
                      {"model_type", R"("llama")"},
                      {"vocab_size", json_number(v.size())},
                      {"num_hidden_layers", json_number(o.layers)},
                      {"hidden_size", json_number(o.hidden_size)},
                      {"num_attention_heads", json_number(o.heads)},
                      {"num_key_value_heads", json_number(o.kv_heads == 0 ? o.heads : o.kv_heads)},
                      {"intermediate_size", json_number(o.intermediate_size)},
                      {"max_position_embeddings", json_number(o.max_positions)},
                      {"hidden_act", data::json_string(theirs_of(name_of(o.activation), kGatedActivations))},
                      {"rms_norm_eps", json_number(o.norm_epsilon)},
                      {"rope_theta", json_number(o.rope_theta)},
                      {"attention_bias", json_boolean(o.bias)},
                      {"mlp_bias", json_boolean(o.bias)},
                      {"attention_dropout", json_number(o.attention_dropout)},
                      {"tie_word_embeddings", json_boolean(o.tied)},
                      {"bos_token_id", id_or_null(v.begin_of_text() >= 0 ? v.begin_of_text() : v.end_of_text())},
                      {"eos_token_id", id_or_null(v.end_of_text())},
                      {"dtype", R"("float32")"}}) +
         "\n";
}

/// Every character a token, and what has none of its own [UNK].
std::string character_tokenizer(const task::Vocabulary& v) {
  JsonMembers ids;
  for (std::int32_t id = 0; id < v.size(); ++id) ids.emplace_back(v.name(id), json_number(std::int64_t{id}));
  return json_object({{"version", R"("1.0")"},
                      {"truncation", "null"},
                      {"padding", "null"},
                      {"added_tokens", "[]"},
                      {"normalizer", "null"},
                      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false})"},
                      {"post_processor", "null"},
                      {"decoder", R"({"type": "Fuse"})"},
                      {"model", json_object({{"type", R"("WordLevel")"}, {"vocab", json_object(ids)}, {"unk_token", R"("[UNK]")"}})}}) +
         "\n";
}

/// The files by which transformers cut text as the vocabulary does.
std::vector<std::pair<std::string, std::string>> tokenizer_files(const task::Vocabulary& v, std::int64_t max_positions) {
  std::vector<std::pair<std::string, std::string>> files;
  JsonMembers config{{"tokenizer_class", R"("PreTrainedTokenizerFast")"},
                     {"model_max_length", json_number(max_positions)},
                     {"clean_up_tokenization_spaces", "false"}};
  if (v.kind() == task::kByteBpe) {
    files.emplace_back("tokenizer.json", task::tokenizer_file(v.content()));
  } else if (v.kind() == task::kSentencepiece) {
    files.emplace_back("tokenizer.model", task::tokenizer_file(v.content()));
    config[0].second = R"("LlamaTokenizer")";
    if (v.unknown() >= 0) config.emplace_back("unk_token", data::json_string(v.name(v.unknown())));
  } else if (v.kind() == "byte") {
    files.emplace_back("tokenizer.json", data::ByteBpe::of_single_bytes().bytes());
  } else {
    require<ConfigError>(v.kind() == "character", "export: transformers has no tokenizer that cuts text as data.tokens = ", v.kind(),
                         " does; name a file, *.safetensors, for the weights alone");
    files.emplace_back("tokenizer.json", character_tokenizer(v));
    config.emplace_back("unk_token", R"("[UNK]")");
  }
  if (v.begin_of_text() >= 0) config.emplace_back("bos_token", data::json_string(v.name(v.begin_of_text())));
  if (v.end_of_text() >= 0) config.emplace_back("eos_token", data::json_string(v.name(v.end_of_text())));
  files.emplace_back("tokenizer_config.json", json_object(config) + "\n");
  return files;
}

std::vector<std::pair<std::string, std::string>> files_of(const LanguageModelOptions& o, const engine::NamedTensors& artifacts) {
  const task::SharedVocabulary v = task::of_artifacts(artifacts);
  require<CheckpointError>(v != nullptr, "export: the model has no vocabulary");
  auto files = tokenizer_files(*v, o.max_positions);
  files.insert(files.begin(), {"config.json", nn::is_gpt2(o) ? gpt2_config(o, *v) : llama_config(o, *v)});
  return files;
}

}  // namespace

std::vector<engine::ForeignForm> language_model_forms(const LanguageModelOptions& options) {
  const LanguageModelOptions* const o = &options;
  return {{.name = "hf",
           .program = "Hugging Face transformers",
           .fits = nn::is_hugging_face_language_model,
           .names = [o](std::span<const std::string> tensors) { return nn::hugging_face_names(*o, tensors); },
           .require_writable =
               [o] {
                 require<ConfigError>(nn::is_gpt2(*o) || nn::is_llama(*o),
                                      "export: transformers has models with learned positions, layer normalisation, biases and no gate "
                                      "(GPT-2), or with rotary positions, norm = rms and a gated activation (Llama); this one is neither");
               },
           .directory = {.holds = holds,
                         .is_native = [](const ModelDirectory& d) { return is_one_of(d, kArchitectures, true); },
                         .settings = settings_of,
                         .free_keys = {"model.kv_heads"},
                         .artifacts = artifacts_of,
                         .files = [o](const engine::NamedTensors& artifacts) { return files_of(*o, artifacts); }}}};
}

}  // namespace capstan::formats
