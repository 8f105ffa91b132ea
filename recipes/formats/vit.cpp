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

/// Numbers of the Python Imaging Library.
constexpr std::string_view kBilinear = "2", kBicubic = "3";

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

/// A size as image processors write it: a number, {"height": n, "width": n} or {"shortest_edge": n}.
std::optional<std::int64_t> side_of(const std::optional<Json>& size) {
  if (!size || size->is(Json::Kind::number)) return size ? std::optional(size->integer()) : std::nullopt;
  for (const std::string_view name : {"shortest_edge", "height"})
    if (const auto v = size->find(name)) return v->integer();
  return std::nullopt;
}

/// The size that a processor brings images to, of a model for `usual`, and the middle part that it takes.
void set_size(const Json& processor, std::int64_t usual, Settings& out) {
  const auto crops = processor.find("do_center_crop");
  const auto scaled = side_of(processor.find("size"));
  const auto cropped = crops && crops->boolean() ? side_of(processor.find("crop_size")) : std::nullopt;
  const std::int64_t size = cropped.value_or(scaled.value_or(usual));
  if (size != usual) out.set("data.image_size", join_text(size));
  const bool part = cropped && scaled && *cropped < *scaled;
  out.set("evaluate.crop_share", part ? join_text(static_cast<double>(*cropped) / static_cast<double>(*scaled)) : "1");
}

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
  if (const auto p = d.json("preprocessor_config.json")) {
    const auto normalizes = p->find("do_normalize");
    const bool plain = normalizes && !normalizes->boolean();
    if (const auto v = p->find("image_mean"); v && !plain) out.set("data.mean", list_of(*v));
    if (const auto v = p->find("image_std"); v && !plain) out.set("data.deviation", list_of(*v));
    if (plain) out.set("data.mean", "0"), out.set("data.deviation", "1");
    set_size(*p, c["image_size"].integer(), out);
    if (const auto v = p->find("resample")) {
      if (v->integer() != 2 && v->integer() != 3) v->fail("2 (bilinear) or 3 (bicubic)");
      out.set("evaluate.filter", v->integer() == 2 ? "bilinear" : "bicubic");
    }
  }
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
  // Of the processors of transformers the one that scales the shorter side and takes the middle, as is done here.
  const auto shorter = std::llround(static_cast<double>(o.image_size) / s.images.crop_share);
  const std::string crop = json_object({{"height", json_number(o.image_size)}, {"width", json_number(o.image_size)}});
  const JsonMembers images{{"image_processor_type", text("CLIPImageProcessor")},
                           {"do_convert_rgb", json_boolean(o.channels == 3)},
                           {"do_resize", "true"},
                           {"size", json_object({{"shortest_edge", json_number(std::int64_t{shorter})}})},
                           {"resample", std::string(s.images.filter == data::Filter::bilinear ? kBilinear : kBicubic)},
                           {"do_center_crop", "true"},
                           {"crop_size", crop},
                           {"do_rescale", "true"},
                           {"rescale_factor", json_number(1.0 / 255)},
                           {"do_normalize", "true"},
                           {"image_mean", json_numbers(s.images.mean, o.channels)},
                           {"image_std", json_numbers(s.images.deviation, o.channels)}};
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
  if (preparation) {
    if (const auto v = preparation->find("mean")) out.set("data.mean", list_of(*v));
    if (const auto v = preparation->find("std")) out.set("data.deviation", list_of(*v));
    out.number(*preparation, "crop_pct", "evaluate.crop_share");
    if (const auto v = preparation->find("interpolation"); v && v->text() == "bilinear") out.set("evaluate.filter", "bilinear");
  }
  return out.take();
}

engine::NamedTensors timm_artifacts(const ModelDirectory& d) {
  std::vector<std::string> names;
  if (const auto labels = d.config().find("label_names"))
    for (const Json& n : labels->items()) names.emplace_back(n.text());
  if (const auto count = d.config().find("num_classes"); count && names.empty())
    for (std::int64_t i = 0; i < std::clamp<std::int64_t>(count->integer(), 0, 1'000'000); ++i) names.push_back(join_text("LABEL_", i));
  return named_classes(names);
}

std::vector<std::pair<std::string, std::string>> timm_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::VitOptions o = s.written();
  const std::vector<std::string> classes = engine::stored_lines(artifacts, kClassNames);
  const std::string input = join_text("[", o.channels, ", ", o.image_size, ", ", o.image_size, "]");
  const JsonMembers args{{"img_size", json_number(o.image_size)},
                         {"patch_size", json_number(o.patch_size)},
                         {"in_chans", json_number(o.channels)},
                         {"embed_dim", json_number(o.hidden_size)},
                         {"depth", json_number(o.layers)},
                         {"num_heads", json_number(o.heads)},
                         {"mlp_ratio", json_number(static_cast<double>(o.mlp_size) / static_cast<double>(o.hidden_size))}};
  const JsonMembers preparation{{"input_size", input},
                                {"mean", json_numbers(s.images.mean, o.channels)},
                                {"std", json_numbers(s.images.deviation, o.channels)},
                                {"interpolation", data::json_string(s.images.filter == data::Filter::bilinear ? "bilinear" : "bicubic")},
                                {"crop_pct", json_number(s.images.crop_share)},
                                {"num_classes", json_number(static_cast<std::int64_t>(classes.size()))},
                                {"first_conv", data::json_string("patch_embed.proj")},
                                {"classifier", data::json_string("head")}};
  const JsonMembers m{{"architecture", data::json_string("vit_base_patch16_224")},  // model_args say everything otherwise
                      {"num_classes", json_number(static_cast<std::int64_t>(classes.size()))},
                      {"num_features", json_number(o.hidden_size)},
                      {"global_pool", data::json_string("token")},
                      {"model_args", json_object(args)},
                      {"pretrained_cfg", json_object(preparation)},
                      {"label_names", json_texts(classes)}};
  return {{"config.json", json_object(m) + "\n"}};
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
                     .artifacts =
                         [](const ModelDirectory& d) {
                           const bool classifies = is_one_of(d, std::span(kArchitectures).first(1), true);
                           return named_classes(classifies ? class_names_of(d.config()) : std::vector<std::string>{});
                         },
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
