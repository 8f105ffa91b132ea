#include "recipes/formats/vit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/vit_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 4> kActivations{
    {{"gelu", "gelu"}, {"gelu_pytorch_tanh", "gelu_tanh"}, {"gelu_new", "gelu_tanh"}, {"gelu_tanh", "gelu_tanh"}}};
constexpr std::array<std::string_view, 2> kArchitectures{"ViTForImageClassification", "ViTModel"};

/// What transformers take where config.json says nothing.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kDefaults{
    {{"model.norm_epsilon", "1e-12"}, {"model.dropout", "0"}, {"model.attention_dropout", "0"}, {"model.channels", "3"}}};

/// What the forms look at.
struct Source {
  const nn::VitOptions* options;
  ImagePreparation images;

  /// As a model for the size that its images have.
  nn::VitOptions written() const {
    nn::VitOptions o = *options;
    if (images.image_size > 0) o.image_size = images.image_size;
    return o;
  }
};

/// What both have of a model whose tokens are patches, read by a class token.
void set_plain(Settings& out) {
  out.set("model.stem", "patches");
  out.set("model.head", "token");
  out.set("model.classes", "0");  // as many as there are names
  out.set("model.representation_size", "0");
}

void require_plain(const nn::VitOptions& o, std::string_view program) {
  require<ConfigError>(o.stem == nn::VitStem::patches && o.head == nn::VitHeadInput::token && o.representation_size == 0,
                       "export: ", program,
                       " has only models with model.stem = patches, model.head = token and model.representation_size = 0");
}

std::string_view activation_of(const nn::VitOptions& o) { return o.activation == Activation::gelu_tanh ? "gelu_tanh" : "gelu"; }

// ---- Hugging Face transformers

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  if (const auto v = c.find("qkv_bias"); v && !v->boolean()) v->fail("true: the model here has biases");
  Settings out(d);
  for (const auto& [key, value] : kDefaults) out.set(key, std::string(value));
  out.needed(c, "hidden_size", "model.hidden_size");
  out.needed(c, "num_hidden_layers", "model.layers");
  out.needed(c, "num_attention_heads", "model.heads");
  out.needed(c, "intermediate_size", "model.mlp_size");
  out.needed(c, "image_size", "model.image_size");
  out.needed(c, "patch_size", "model.patch_size");
  out.number(c, "num_channels", "model.channels");
  out.number(c, "layer_norm_eps", "model.norm_epsilon");
  out.number(c, "hidden_dropout_prob", "model.dropout");
  out.number(c, "attention_probs_dropout_prob", "model.attention_dropout");
  out.set("model.activation", chosen(c["hidden_act"], kActivations));
  out.set("model.interpolation", "bicubic");
  out.set("model.initial_values", "transformers");
  set_plain(out);
  set_preparation(d, c["image_size"].integer(), out);
  return out.take();
}

std::vector<std::pair<std::string, std::string>> hugging_face_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::VitOptions o = s.written();
  const auto text = [](std::string_view t) { return data::json_string(t); };
  JsonMembers m{{"architectures", join_text("[", text(kArchitectures.front()), "]")},
                {"model_type", text("vit")},
                {"hidden_size", json_number(o.hidden_size)},
                {"num_hidden_layers", json_number(o.layers)},
                {"num_attention_heads", json_number(o.heads)},
                {"intermediate_size", json_number(o.mlp_size)},
                {"hidden_act", text(theirs_of(activation_of(o), kActivations))},
                {"hidden_dropout_prob", json_number(o.dropout)},
                {"attention_probs_dropout_prob", json_number(o.attention_dropout)},
                {"initializer_range", "0.02"},
                {"layer_norm_eps", json_number(o.norm_epsilon)},
                {"image_size", json_number(o.image_size)},
                {"patch_size", json_number(o.patch_size)},
                {"num_channels", json_number(o.channels)},
                {"qkv_bias", "true"},
                {"torch_dtype", text("float32")}};
  for (auto& member : label_members(engine::stored_lines(artifacts, kClassNames))) m.push_back(std::move(member));
  return {{"config.json", json_object(m) + "\n"}, {"preprocessor_config.json", preprocessor_text(s.images, o.image_size, o.channels)}};
}

// ---- timm

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  const Json name = c["architecture"];
  const auto size = std::ranges::find_if(
      nn::kVitSizes, [&](const nn::VitSize& v) { return name.text().starts_with(join_text("vit_", v.name, "_patch")); });
  if (size == nn::kVitSizes.end()) name.fail("vit_{tiny,small,base,large,huge}_patchP_S");
  std::string_view rest = name.text().substr(join_text("vit_", size->name, "_patch").size());
  const auto number = [&](std::string_view end) {
    std::int64_t value = 0;
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    rest.remove_prefix(static_cast<std::size_t>(at - rest.data()));
    if (error != std::errc() || value < 1 || !(rest.starts_with(end) || (end == "." && rest.empty())))
      name.fail("vit_{tiny,small,base,large,huge}_patchP_S");
    rest.remove_prefix(std::min(rest.size(), end.size()));
    return value;
  };
  std::int64_t hidden = size->hidden_size, layers = size->layers, heads = size->heads, patch = number("_"), image = number(".");
  std::int64_t channels = 3;
  double ratio = static_cast<double>(size->mlp_size) / static_cast<double>(hidden);
  const auto take = [](const Json& from, std::string_view key, std::int64_t& to) {
    if (const auto v = from.find(key)) to = v->integer();
  };
  const auto preparation = c.find("pretrained_cfg");
  if (preparation)
    if (const auto input = preparation->find("input_size")) {
      const std::vector<Json> sizes = input->items();
      if (sizes.size() != 3) input->fail("three numbers: channels, height, width");
      channels = sizes[0].integer();
      image = sizes[1].integer();
    }
  if (const auto args = c.find("model_args")) {
    take(*args, "embed_dim", hidden);
    take(*args, "depth", layers);
    take(*args, "num_heads", heads);
    take(*args, "img_size", image);
    take(*args, "patch_size", patch);
    take(*args, "in_chans", channels);
    if (const auto v = args->find("mlp_ratio")) ratio = v->number();
    for (const std::string_view other : {"act_layer", "norm_layer", "reg_tokens", "init_values", "qk_norm", "class_token", "fc_norm"})
      if (const auto v = args->find(other)) v->fail("nothing: this part of a model is not known here");
  }
  if (const auto pool = c.find("global_pool"); pool && pool->text() != "token") pool->fail("token");
  Settings out(d);
  out.set("model.hidden_size", join_text(hidden));
  out.set("model.layers", join_text(layers));
  out.set("model.heads", join_text(heads));
  out.set("model.mlp_size", join_text(std::llround(static_cast<double>(hidden) * ratio)));
  out.set("model.image_size", join_text(image));
  out.set("model.patch_size", join_text(patch));
  out.set("model.channels", join_text(channels));
  out.set("model.norm_epsilon", "1e-6");
  out.set("model.activation", "gelu");
  out.set("model.interpolation", "bicubic_antialias");
  out.set("model.initial_values", "timm");
  out.set("model.dropout", "0");
  set_plain(out);
  if (preparation) set_timm_preparation(*preparation, out);
  return out.take();
}

std::vector<std::pair<std::string, std::string>> timm_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::VitOptions o = s.written();
  const JsonMembers args{{"img_size", json_number(o.image_size)},
                         {"patch_size", json_number(o.patch_size)},
                         {"in_chans", json_number(o.channels)},
                         {"embed_dim", json_number(o.hidden_size)},
                         {"depth", json_number(o.layers)},
                         {"num_heads", json_number(o.heads)},
                         {"mlp_ratio", json_number(static_cast<double>(o.mlp_size) / static_cast<double>(o.hidden_size))}};
  return {{"config.json", timm_text({.architecture = "vit_base_patch16_224",  // args say everything otherwise
                                     .args = args,
                                     .image_size = o.image_size,
                                     .channels = o.channels,
                                     .features = o.hidden_size,
                                     .global_pool = "token",
                                     .first_conv = "patch_embed.proj",
                                     .classifier = "head"},
                                    s.images, engine::stored_lines(artifacts, kClassNames))}};
}

}  // namespace

std::vector<engine::ForeignForm> vit_forms(const nn::VitOptions& options, const ImagePreparation& images) {
  const Source s{.options = &options, .images = images};
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms;
  forms.push_back(
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_vit,
       .names = [s](Names tensors) { return nn::hugging_face_names(tensors.empty() ? s.written() : *s.options, tensors); },
       .require_writable = [s] { require_plain(*s.options, "Hugging Face transformers"); },
       .directory = {.holds = [](const ModelDirectory& d) { return is_of_type(d, "vit"); },
                     .is_native = [](const ModelDirectory& d) { return is_one_of(d, std::span(kArchitectures).first(1), true); },
                     .settings = hugging_face_settings,
                     .artifacts = [](const ModelDirectory& d) { return hugging_face_classes(d, std::span(kArchitectures).first(1)); },
                     .files = [s](const engine::NamedTensors& artifacts) { return hugging_face_files(s, artifacts); }}});
  forms.push_back({.name = "timm",
                   .program = "timm",
                   .fits = nn::is_timm_vit,
                   .names = [s](Names tensors) { return nn::timm_names(tensors.empty() ? s.written() : *s.options); },
                   .require_writable =
                       [s] {
                         require_plain(*s.options, "timm");
                         // Up to which another epsilon makes no difference beside rounding.
                         constexpr double kLargestEpsilon = 1e-5;
                         require<ConfigError>(s.options->activation == Activation::gelu && s.options->norm_epsilon <= kLargestEpsilon,
                                              "export: timm's models have model.activation = gelu and model.norm_epsilon = 1e-6");
                       },
                   .directory = {.holds = [](const ModelDirectory& d) { return is_timm_architecture(d, "vit_"); },
                                 .is_native = [](const ModelDirectory&) { return true; },
                                 .settings = timm_settings,
                                 .artifacts = timm_classes,
                                 .files = [s](const engine::NamedTensors& artifacts) { return timm_files(s, artifacts); }}});
  forms.push_back({.name = "torch", .program = "the first port to PyTorch", .fits = nn::is_torch_port_vit, .names = [s](Names) {
                     return nn::torch_port_names(*s.options);
                   }});
  forms.push_back({.name = "google",
                   .program = "the original code",
                   .fits = nn::is_google_vit,
                   .names = [s](Names) { return nn::google_names(*s.options); },
                   .writes = false});
  return forms;
}

}  // namespace capstan::formats
