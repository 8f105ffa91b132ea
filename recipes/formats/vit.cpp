#include "recipes/formats/vit.h"

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/vit_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/formats/timm.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 4> kActivations{
    {{"gelu", "gelu"}, {"gelu_pytorch_tanh", "gelu_tanh"}, {"gelu_new", "gelu_tanh"}, {"gelu_tanh", "gelu_tanh"}}};
/// What both have of a model whose tokens are patches, read by a class token.
void set_plain(Settings& out) {
  out.set({{"model.stem", "patches"},
           {"model.head", "token"},
           {"model.classes", "0"},  // as many as there are names
           {"model.representation_size", "0"}});
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
  // What transformers take where config.json says nothing.
  out.set({{"model.norm_epsilon", "1e-12"}, {"model.dropout", "0"}, {"model.attention_dropout", "0"}, {"model.channels", "3"}});
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
  out.set({{"model.interpolation", "bicubic"}, {"model.initial_values", "transformers"}});
  set_plain(out);
  set_preparation(d, c["image_size"].integer(), out);
  return out.take();
}

HuggingFaceModel hugging_face_model(const nn::VitOptions& o) {
  return {.own = {{"hidden_size", json_number(o.hidden_size)},
                  {"num_hidden_layers", json_number(o.layers)},
                  {"num_attention_heads", json_number(o.heads)},
                  {"intermediate_size", json_number(o.mlp_size)},
                  {"hidden_act", data::json_string(theirs_of(activation_of(o), kActivations))},
                  {"hidden_dropout_prob", json_number(o.dropout)},
                  {"attention_probs_dropout_prob", json_number(o.attention_dropout)},
                  {"initializer_range", "0.02"},
                  {"layer_norm_eps", json_number(o.norm_epsilon)},
                  {"image_size", json_number(o.image_size)},
                  {"patch_size", json_number(o.patch_size)},
                  {"num_channels", json_number(o.channels)},
                  {"qkv_bias", "true"}},
          .image_size = o.image_size,
          .channels = o.channels};
}

// ---- timm

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  ArchitectureName name(c, "vit_{tiny,small,base,large,huge}_patchP_S");
  name.skip("vit_");
  const nn::VitSize& size = name.one_of(nn::kVitSizes);
  name.skip("_patch");
  const std::int64_t patch_size = name.number();
  name.skip("_");
  const std::int64_t image_size = name.number();
  name.end();
  Settings out(d);
  out.set("model.layers", size.layers);
  out.set("model.heads", size.heads);
  out.set("model.patch_size", patch_size);
  const auto input = timm_input(c);
  out.set("model.image_size", input ? input->size : image_size);
  out.set("model.channels", input ? input->channels : 3);
  std::int64_t hidden = size.hidden_size;
  double ratio = static_cast<double>(size.mlp_size) / static_cast<double>(hidden);
  if (const auto args = c.find("model_args")) {
    out.number(*args, "depth", "model.layers");
    out.number(*args, "num_heads", "model.heads");
    out.number(*args, "img_size", "model.image_size");
    out.number(*args, "patch_size", "model.patch_size");
    out.number(*args, "in_chans", "model.channels");
    if (const auto v = args->find("embed_dim")) hidden = v->integer();
    if (const auto v = args->find("mlp_ratio")) ratio = v->number();
    for (const std::string_view other : {"act_layer", "norm_layer", "reg_tokens", "init_values", "qk_norm", "class_token", "fc_norm"})
      if (const auto v = args->find(other)) v->fail("nothing: this part of a model is not known here");
  }
  if (const auto pool = c.find("global_pool"); pool && pool->text() != "token") pool->fail("token");
  out.set("model.hidden_size", hidden);
  out.set("model.mlp_size", std::int64_t{std::llround(static_cast<double>(hidden) * ratio)});
  out.set({{"model.norm_epsilon", "1e-6"},
           {"model.activation", "gelu"},
           {"model.interpolation", "bicubic_antialias"},
           {"model.initial_values", "timm"},
           {"model.dropout", "0"}});
  set_plain(out);
  set_timm_preparation(c, out);
  return out.take();
}

void require_timm(const nn::VitOptions& o) {
  require_plain(o, "timm");
  // Up to which another epsilon makes no difference beside rounding.
  constexpr double kLargestEpsilon = 1e-5;
  require<ConfigError>(o.activation == Activation::gelu && o.norm_epsilon <= kLargestEpsilon,
                       "export: timm's models have model.activation = gelu and model.norm_epsilon = 1e-6");
}

TimmModel timm_model(const nn::VitOptions& o) {
  return {.architecture = "vit_base_patch16_224",  // args say everything otherwise
          .args = {{"img_size", json_number(o.image_size)},
                   {"patch_size", json_number(o.patch_size)},
                   {"in_chans", json_number(o.channels)},
                   {"embed_dim", json_number(o.hidden_size)},
                   {"depth", json_number(o.layers)},
                   {"num_heads", json_number(o.heads)},
                   {"mlp_ratio", json_number(static_cast<double>(o.mlp_size) / static_cast<double>(o.hidden_size))}},
          .image_size = o.image_size,
          .channels = o.channels,
          .features = o.hidden_size,
          .global_pool = "token",
          .first_conv = "patch_embed.proj",
          .classifier = "head"};
}

}  // namespace

std::vector<engine::ForeignForm> vit_forms(const nn::VitOptions& options, const ImagePreparation& images) {
  const nn::VitOptions* const o = &options;
  const auto written = [o, images] { return written_options(*o, images); };
  using Names = std::span<const std::string>;
  return {{.name = "hf",
           .program = "Hugging Face transformers",
           .fits = nn::is_hugging_face_vit,
           .names = [o, written](Names tensors) { return nn::hugging_face_names(tensors.empty() ? written() : *o, tensors); },
           .require_writable = [o] { require_plain(*o, "Hugging Face transformers"); },
           .directory = hugging_face_classifiers(
               "ViTForImageClassification", "vit", hugging_face_settings, [written] { return hugging_face_model(written()); }, images)},
          {.name = "timm",
           .program = "timm",
           .fits = nn::is_timm_vit,
           .names = [o, written](Names tensors) { return nn::timm_names(tensors.empty() ? written() : *o); },
           .require_writable = [o] { require_timm(*o); },
           .directory = timm_directories(
               "vit_", timm_settings, [written] { return timm_model(written()); }, images)},
          {.name = "torch",
           .program = "the first port to PyTorch",
           .fits = nn::is_torch_port_vit,
           .names = [o](Names) { return nn::torch_port_names(*o); }},
          {.name = "google",
           .program = "the original code",
           .fits = nn::is_google_vit,
           .names = [o](Names) { return nn::google_names(*o); },
           .writes = false}};
}

}  // namespace capstan::formats
