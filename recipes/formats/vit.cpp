#include "recipes/formats/vit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <regex>
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

/// What the forms look at.
struct Source {
  const nn::VitOptions* options;
  const std::vector<double>* mean;
  const std::vector<double>* deviation;
};

std::string list_of(const Json& numbers) {
  std::string text;
  for (const Json& n : numbers.items()) text += join_text(text.empty() ? "" : ", ", n.number());
  return text;
}

std::string json_numbers(const std::vector<double>& values, std::int64_t channels) {
  std::string text = "[";
  for (std::int64_t c = 0; c < channels; ++c)
    text += join_text(c > 0 ? ", " : "", values[values.size() == 1 ? 0 : static_cast<std::size_t>(c)]);
  return text + "]";
}

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

engine::NamedTensors named_classes(const std::vector<std::string>& names) {
  engine::NamedTensors out;
  if (!names.empty()) engine::store_lines(out, kClassNames, names);
  return out;
}

// ---- Hugging Face transformers

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  if (const auto v = c.find("qkv_bias"); v && !v->boolean()) v->fail("true: the model here has biases");
  Settings out(d);
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
  if (const auto p = d.json("preprocessor_config.json")) {
    const auto normalizes = p->find("do_normalize");
    const bool plain = normalizes && !normalizes->boolean();
    if (const auto v = p->find("image_mean"); v && !plain) out.set("data.mean", list_of(*v));
    if (const auto v = p->find("image_std"); v && !plain) out.set("data.deviation", list_of(*v));
    if (plain) out.set("data.mean", "0"), out.set("data.deviation", "1");
    if (const auto size = p->find("size")) {
      const auto height = size->is(Json::Kind::object) ? size->find("height") : size;
      if (height && height->integer() != c["image_size"].integer()) out.set("data.image_size", join_text(height->integer()));
    }
    out.set("evaluate.crop_share", "1");
  }
  return out.take();
}

std::vector<std::pair<std::string, std::string>> hugging_face_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::VitOptions& o = *s.options;
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
  const std::string size = json_object({{"height", json_number(o.image_size)}, {"width", json_number(o.image_size)}});
  const JsonMembers images{{"image_processor_type", text("ViTImageProcessor")},
                           {"do_resize", "true"},
                           {"size", size},
                           {"resample", "2"},
                           {"do_rescale", "true"},
                           {"rescale_factor", json_number(1.0 / 255)},
                           {"do_normalize", "true"},
                           {"image_mean", json_numbers(*s.mean, o.channels)},
                           {"image_std", json_numbers(*s.deviation, o.channels)}};
  return {{"config.json", json_object(m) + "\n"}, {"preprocessor_config.json", json_object(images) + "\n"}};
}

// ---- timm

bool holds_timm(const ModelDirectory& d) {
  const auto name = d.config().find("architecture");
  return name && name->is(Json::Kind::text) && name->text().starts_with("vit_");
}

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  const Json name = c["architecture"];
  static const std::regex pattern("vit_([a-z]+)_patch([0-9]+)_([0-9]+)([.].*)?");
  std::smatch parts;
  const std::string text(name.text());
  const auto size =
      std::regex_match(text, parts, pattern) ? std::ranges::find(nn::kVitSizes, parts[1].str(), &nn::VitSize::name) : nn::kVitSizes.end();
  if (size == nn::kVitSizes.end()) name.fail("vit_{tiny,small,base,large,huge}_patchP_S");
  std::int64_t hidden = size->hidden_size, layers = size->layers, heads = size->heads, image = std::stoll(parts[3]),
               patch = std::stoll(parts[2]);
  std::int64_t channels = 3;
  double ratio = static_cast<double>(size->mlp_size) / static_cast<double>(hidden);
  const auto take = [](const Json& from, std::string_view key, std::int64_t& to) {
    if (const auto v = from.find(key)) to = v->integer();
  };
  const auto preparation = c.find("pretrained_cfg");
  if (preparation)
    if (const auto input = preparation->find("input_size"))
      channels = input->items().at(0).integer(), image = input->items().at(1).integer();
  if (const auto args = c.find("model_args")) {
    take(*args, "embed_dim", hidden);
    take(*args, "depth", layers);
    take(*args, "num_heads", heads);
    take(*args, "img_size", image);
    take(*args, "patch_size", patch);
    take(*args, "in_chans", channels);
    if (const auto v = args->find("mlp_ratio")) ratio = v->number();
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
  if (preparation) {
    if (const auto v = preparation->find("mean")) out.set("data.mean", list_of(*v));
    if (const auto v = preparation->find("std")) out.set("data.deviation", list_of(*v));
    out.number(*preparation, "crop_pct", "evaluate.crop_share");
  }
  return out.take();
}

engine::NamedTensors timm_artifacts(const ModelDirectory& d) {
  std::vector<std::string> names;
  if (const auto labels = d.config().find("label_names"))
    for (const Json& n : labels->items()) names.emplace_back(n.text());
  return named_classes(names);
}

std::vector<std::pair<std::string, std::string>> timm_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::VitOptions& o = *s.options;
  const std::vector<std::string> classes = engine::stored_lines(artifacts, kClassNames);
  const auto known = std::ranges::find_if(nn::kVitSizes, [&](const nn::VitSize& v) {
    return v.hidden_size == o.hidden_size && v.mlp_size == o.mlp_size && v.heads == o.heads && v.layers == o.layers;
  });
  const std::string architecture = known == nn::kVitSizes.end() ? "vit_base_patch16_224"  // with everything of it said otherwise
                                                                : join_text("vit_", known->name, "_patch", o.patch_size, "_", o.image_size);
  const std::string input = join_text("[", o.channels, ", ", o.image_size, ", ", o.image_size, "]");
  const JsonMembers args{{"img_size", json_number(o.image_size)},
                         {"patch_size", json_number(o.patch_size)},
                         {"in_chans", json_number(o.channels)},
                         {"embed_dim", json_number(o.hidden_size)},
                         {"depth", json_number(o.layers)},
                         {"num_heads", json_number(o.heads)},
                         {"mlp_ratio", json_number(static_cast<double>(o.mlp_size) / static_cast<double>(o.hidden_size))}};
  const JsonMembers preparation{{"input_size", input},
                                {"mean", json_numbers(*s.mean, o.channels)},
                                {"std", json_numbers(*s.deviation, o.channels)},
                                {"interpolation", data::json_string("bicubic")},
                                {"crop_pct", "1.0"},
                                {"num_classes", json_number(static_cast<std::int64_t>(classes.size()))},
                                {"first_conv", data::json_string("patch_embed.proj")},
                                {"classifier", data::json_string("head")}};
  const JsonMembers m{{"architecture", data::json_string(architecture)},
                      {"num_classes", json_number(static_cast<std::int64_t>(classes.size()))},
                      {"num_features", json_number(o.hidden_size)},
                      {"global_pool", data::json_string("token")},
                      {"model_args", json_object(args)},
                      {"pretrained_cfg", json_object(preparation)},
                      {"label_names", json_texts(classes)}};
  return {{"config.json", json_object(m) + "\n"}};
}

}  // namespace

std::vector<engine::ForeignForm> vit_forms(const nn::VitOptions& options, const std::vector<double>& mean,
                                           const std::vector<double>& deviation) {
  const Source s{.options = &options, .mean = &mean, .deviation = &deviation};
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms;
  forms.push_back({.name = "hf",
                   .program = "Hugging Face transformers",
                   .fits = nn::is_hugging_face_vit,
                   .names =
                       [s](Names tensors) {
                         if (tensors.empty()) require_plain(*s.options, "Hugging Face transformers");
                         return nn::hugging_face_names(*s.options, tensors);
                       },
                   .directory = {.holds = [](const ModelDirectory& d) { return is_of_type(d, "vit"); },
                                 .is_native = [](const ModelDirectory& d) { return is_one_of(d, kArchitectures, true); },
                                 .settings = hugging_face_settings,
                                 .artifacts = [](const ModelDirectory& d) { return named_classes(class_names_of(d.config())); },
                                 .files = [s](const engine::NamedTensors& artifacts) { return hugging_face_files(s, artifacts); }}});
  forms.push_back({.name = "timm",
                   .program = "timm",
                   .fits = nn::is_timm_vit,
                   .names =
                       [s](Names tensors) {
                         if (tensors.empty()) {
                           require_plain(*s.options, "timm");
                           require<ConfigError>(s.options->activation == Activation::gelu,
                                                "export: timm's models have model.activation = gelu");
                         }
                         return nn::timm_names(*s.options);
                       },
                   .directory = {.holds = holds_timm,
                                 .is_native = [](const ModelDirectory&) { return true; },
                                 .settings = timm_settings,
                                 .artifacts = timm_artifacts,
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
