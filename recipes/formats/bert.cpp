#include "recipes/formats/bert.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/text/vocabulary.h"
#include "nn/models/bert_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/tasks/text/vocabulary.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 6> kActivations{{{"gelu", "gelu"},
                                              {"gelu_new", "gelu_tanh"},
                                              {"gelu_pytorch_tanh", "gelu_tanh"},
                                              {"gelu_python", "gelu"},
                                              {"relu", "relu"},
                                              {"tanh", "tanh"}}};
constexpr std::array<Choice, 3> kPositions{
    {{"absolute", "absolute"}, {"relative_key", "relative_key"}, {"relative_key_query", "relative_key_query"}}};

/// Keys of the tasks for the length of their inputs and of parts of them, what it usually is, and which part of the positions it may take.
struct Length {
  std::string_view key;
  std::int64_t usual, part;
};
constexpr std::array<Length, 5> kLengths{{{"instances.max_length", 128, 1},
                                          {"data.max_length", 128, 1},
                                          {"spans.max_length", 384, 1},
                                          {"spans.question_length", 64, 4},
                                          {"spans.stride", 128, 4}}};

/// The classes of transformers with each head; the first is the one that is written.
struct Head {
  BertHead head;
  std::vector<std::string_view> architectures;
};
const std::vector<Head>& head_classes() {
  static const std::vector<Head> all{{BertHead::pretraining, {"BertForPreTraining", "BertModel", "BertForMaskedLM"}},
                                     {BertHead::classification, {"BertForSequenceClassification"}},
                                     {BertHead::spans, {"BertForQuestionAnswering"}}};
  return all;
}
const Head& classes_of(BertHead head) { return *std::ranges::find(head_classes(), head, &Head::head); }

// ---- from a directory

/// How its tokenizer cuts text: what tokenizer_config.json says, or else tokenizer.json, or else the default of the program.
struct TokenizerSays {
  bool lower_case = true;
  std::optional<bool> strip_accents;
};
TokenizerSays tokenizer_of(const ModelDirectory& d) {
  TokenizerSays out;
  const auto take = [&](const Json& from, std::string_view lower_case) {
    if (const auto v = from.find(lower_case)) out.lower_case = v->boolean();
    if (const auto v = from.find("strip_accents")) out.strip_accents = v->boolean();
    for (const std::string_view name : {"tokenize_chinese_chars", "handle_chinese_chars", "do_basic_tokenize"})
      if (const auto v = from.find(name); v && !v->boolean()) v->fail("true: no other tokenizer is known here");
  };
  const auto config = d.json("tokenizer_config.json");
  if (const auto tokenizer = d.json("tokenizer.json")) {
    const auto normalizer = tokenizer->find("normalizer");
    const auto type = normalizer ? normalizer->find("type") : std::nullopt;
    if (type && type->text() != "BertNormalizer") type->fail("BertNormalizer");
    if (normalizer) take(*normalizer, "lowercase");
    if (!normalizer && !config) out = {.lower_case = false, .strip_accents = false};
  }
  if (config) take(*config, "do_lower_case");
  return out;
}

std::string vocabulary_path(const ModelDirectory& d) {
  for (const std::string_view name : {"vocab.txt", "tokenizer.json"})
    if (d.has(name)) return d.file(name);
  throw DataError(join_text(d.path(), ": has no tokenizer: neither vocab.txt nor tokenizer.json"));
}

bool classifies(const ModelDirectory& d) { return is_one_of(d, classes_of(BertHead::classification).architectures, false); }

/// Whether a classifier has one output, a number.
bool is_number(const ModelDirectory& d) {
  const auto type = d.config().find("problem_type");
  return classifies(d) && ((type && type->text() == "regression") || class_names_of(d.config()).size() == 1);
}

std::vector<Assignment> settings_of(const ModelDirectory& d) {
  const Json& c = d.config();
  Settings out(d);
  if (const auto v = c.find("problem_type"); v && v->text() == "multi_label_classification")
    v->fail("single_label_classification or regression: a text has one label here");
  if (is_number(d)) out.set("data.target", "number");
  for (const std::string_view name : {"is_decoder", "add_cross_attention"})
    if (const auto v = c.find(name); v && v->boolean()) v->fail("false: the model here is an encoder");
  out.needed(c, "num_hidden_layers", "model.layers");
  out.needed(c, "hidden_size", "model.hidden_size");
  out.needed(c, "num_attention_heads", "model.heads");
  out.needed(c, "intermediate_size", "model.intermediate_size");
  out.needed(c, "max_position_embeddings", "model.max_positions");
  out.needed(c, "type_vocab_size", "model.token_types");
  out.number(c, "layer_norm_eps", "model.norm_epsilon");
  out.number(c, "hidden_dropout_prob", "model.hidden_dropout");
  out.number(c, "attention_probs_dropout_prob", "model.attention_dropout");
  out.number(c, c.has("classifier_dropout") ? "classifier_dropout" : "hidden_dropout_prob", "model.classifier_dropout");
  out.number(c, "initializer_range", "model.initializer_range");
  out.number(c, "pad_token_id", "model.padding_token");
  out.set("model.activation", chosen(c["hidden_act"], kActivations));
  if (const auto v = c.find("position_embedding_type")) out.set("model.positions", chosen(*v, kPositions));
  const std::int64_t positions = c["max_position_embeddings"].integer();
  for (const auto& [key, usual, part] : kLengths)  // shorter only where the model has no more positions
    if (positions / part < usual) out.set(key, join_text(std::max<std::int64_t>(1, positions / part)));
  const TokenizerSays t = tokenizer_of(d);
  out.set("data.vocabulary", vocabulary_path(d));
  out.set("data.lower_case", t.lower_case ? "true" : "false");
  out.set("data.strip_accents", !t.strip_accents ? "auto" : (*t.strip_accents ? "yes" : "no"));
  out.set("data.tokenizer", "hf_fast");
  return out.take();
}

/// The vocabulary of a directory with a token for each row of the model's table: tokens that were added, and for rows that no token has
/// (tables are often made larger than they need be) a name that no text holds.
data::Vocabulary whole_vocabulary(const ModelDirectory& d) {
  const data::Vocabulary own = data::load_vocabulary(vocabulary_path(d), data::TokenizerVariant::hf_fast);
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < own.size(); ++id) tokens.push_back(own.token(id));
  const auto rows = static_cast<std::size_t>(std::clamp<std::int64_t>(d.config()["vocab_size"].integer(), 0, 10'000'000));
  while (tokens.size() < rows) tokens.push_back(join_text("[row ", tokens.size(), " of no token]"));
  if (const auto added = d.json("added_tokens.json"))
    for (const auto& [token, number] : added->members())
      if (const std::uint64_t id = number.natural(); id >= static_cast<std::uint64_t>(own.size()) && id < tokens.size()) tokens[id] = token;
  return data::Vocabulary(std::move(tokens), d.path());
}

engine::NamedTensors artifacts_of(const ModelDirectory& d) {
  const TokenizerSays t = tokenizer_of(d);
  const data::TokenizerOptions options{
      .lower_case = t.lower_case, .variant = data::TokenizerVariant::hf_fast, .strip_accents = t.strip_accents};
  engine::NamedTensors out = text::vocabulary_artifacts(whole_vocabulary(d), options);
  if (classifies(d) && !is_number(d)) engine::store_lines(out, kClassNames, class_names_of(d.config()));
  return out;
}

// ---- to a directory

std::string_view name_of(Activation a) {
  switch (a) {
    case Activation::gelu_tanh: return "gelu_tanh";
    case Activation::relu: return "relu";
    case Activation::tanh: return "tanh";
    default: return "gelu";
  }
}

std::string_view name_of(nn::RelativePositions p) {
  switch (p) {
    case nn::RelativePositions::key: return "relative_key";
    case nn::RelativePositions::key_query: return "relative_key_query";
    default: return "absolute";
  }
}

std::string config_text(const nn::BertOptions& o, const BertHeadForm& head, std::span<const std::string> tokens,
                        std::span<const std::string> classes) {
  const auto text = [](std::string_view s) { return data::json_string(s); };
  JsonMembers m{{"architectures", join_text("[", text(classes_of(head.head).architectures.front()), "]")},
                {"model_type", text("bert")},
                {"vocab_size", json_number(static_cast<std::int64_t>(tokens.size()))},
                {"hidden_size", json_number(o.hidden_size)},
                {"num_hidden_layers", json_number(o.layers)},
                {"num_attention_heads", json_number(o.heads)},
                {"intermediate_size", json_number(o.intermediate_size)},
                {"hidden_act", text(theirs_of(name_of(o.activation), kActivations))},
                {"hidden_dropout_prob", json_number(o.hidden_dropout)},
                {"attention_probs_dropout_prob", json_number(o.attention_dropout)},
                {"max_position_embeddings", json_number(o.max_positions)},
                {"type_vocab_size", json_number(o.token_types)},
                {"initializer_range", json_number(o.initializer_range)},
                {"layer_norm_eps", json_number(o.norm_epsilon)},
                {"position_embedding_type", text(theirs_of(name_of(o.positions), kPositions))},
                {"pad_token_id", json_number(static_cast<std::int64_t>(std::ranges::find(tokens, "[PAD]") - tokens.begin()))},
                {"torch_dtype", text("float32")}};
  if (head.head == BertHead::classification) {
    m.emplace_back("classifier_dropout", json_number(*head.dropout));
    const bool number = classes.empty();
    m.emplace_back("problem_type", text(number ? "regression" : "single_label_classification"));
    const std::vector<std::string> one{"LABEL_0"};
    append(m, label_members(number ? std::span<const std::string>(one) : classes));
  }
  return json_object(m) + "\n";
}

std::string tokenizer_text(const data::TokenizerOptions& t, std::int64_t max_positions) {
  const std::string strip = t.strip_accents ? json_boolean(*t.strip_accents) : "null";
  return json_object({{"tokenizer_class", data::json_string("BertTokenizer")},
                      {"do_lower_case", json_boolean(t.lower_case)},
                      {"strip_accents", strip},
                      {"tokenize_chinese_chars", "true"},
                      {"model_max_length", json_number(max_positions)},
                      {"unk_token", "\"[UNK]\""},
                      {"sep_token", "\"[SEP]\""},
                      {"pad_token", "\"[PAD]\""},
                      {"cls_token", "\"[CLS]\""},
                      {"mask_token", "\"[MASK]\""}}) +
         "\n";
}

std::vector<std::pair<std::string, std::string>> files_of(const nn::BertOptions& o, const BertHeadForm& head,
                                                          const engine::NamedTensors& artifacts) {
  const std::vector<std::string> tokens = text::tokens_of(artifacts);
  return {{"config.json", config_text(o, head, tokens, engine::stored_lines(artifacts, kClassNames))},
          {"vocab.txt", data::Vocabulary::lines(tokens, "vocab.txt")},
          {"tokenizer_config.json", tokenizer_text(text::tokenizer_of(artifacts), o.max_positions)}};
}

}  // namespace

std::vector<engine::ForeignForm> bert_forms(const nn::BertOptions& options, const BertHeadForm& head) {
  const nn::BertOptions* const o = &options;
  std::vector<engine::ForeignForm> forms;
  forms.push_back({.name = "hf",
                   .program = "Hugging Face transformers",
                   .fits = nn::is_hugging_face_bert,
                   .names = [o](std::span<const std::string> tensors) { return nn::hugging_face_names(*o, tensors); },
                   .require_writable =
                       [o] {
                         require<ConfigError>(o->positions == nn::RelativePositions::none,
                                              "export: transformers has no relative positions in BERT any more; the model has "
                                              "model.positions = ",
                                              name_of(o->positions));
                       },
                   .directory = {.holds = [](const ModelDirectory& d) { return is_of_type(d, "bert"); },
                                 .is_native =
                                     [head](const ModelDirectory& d) {
                                       return is_one_of(d, classes_of(head.head).architectures, head.head == BertHead::pretraining);
                                     },
                                 .settings = settings_of,
                                 .artifacts = artifacts_of,
                                 .files = [o, head](const engine::NamedTensors& artifacts) { return files_of(*o, head, artifacts); }}});
  forms.push_back({.name = "google",
                   .program = "the original release",
                   .fits = nn::is_google_bert,
                   .names = [o](std::span<const std::string> tensors) { return nn::google_names(*o, tensors); },
                   .writes = false});
  return forms;
}

}  // namespace capstan::formats
