#include "recipes/formats/swin.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/swin.h"
#include "nn/models/swin_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<std::string_view, 2> kArchitectures{"SwinForImageClassification", "SwinModel"};

/// What transformers take where config.json says nothing.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kDefaults{{{"model.norm_epsilon", "1e-5"},
                                                                                  {"model.dropout", "0"},
                                                                                  {"model.attention_dropout", "0"},
                                                                                  {"model.stochastic_depth", "0.1"},
                                                                                  {"model.channels", "3"},
                                                                                  {"model.mlp_ratio", "4"},
                                                                                  {"model.qkv_bias", "yes"},
                                                                                  {"model.absolute_positions", "no"},
                                                                                  {"model.patch_norm", "yes"}}};

/// Keys of the model that may differ from those of a directory: its tables and positions are made into others.
const std::vector<std::string_view> kFree{"model.window_size", "model.image_size", "model.padding"};

/// What the forms look at.
struct Source {
  const nn::SwinOptions* options;
  ImagePreparation images;

  /// As a model for the size that its images have.
  nn::SwinOptions written() const {
    nn::SwinOptions o = *options;
    if (images.image_size > 0) o.image_size = images.image_size;
    return o;
  }
};

void require_patches(const nn::SwinOptions& o) {
  require<ConfigError>(o.stem == nn::SwinStem::patches, "export: others have only models with model.stem = patches");
}

std::string json_list(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t v : values) text += join_text(text.empty() ? "[" : ", ", v);
  return text + "]";
}

/// A list of numbers as this key.
void set_list(const Json& list, std::string_view key, Settings& out) {
  std::string text;
  for (const Json& n : list.items()) text += join_text(text.empty() ? "" : ", ", n.integer());
  out.set(key, text);
}

void set_flag(const Json& from, std::string_view name, std::string_view key, Settings& out) {
  if (const auto v = from.find(name)) out.set(key, v->boolean() ? "yes" : "no");
}

/// Whether maps of tokens need no padding, so that the implementations agree.
bool fits_exactly(nn::SwinOptions o) {
  o.padding = nn::WindowPadding::refuse;
  try {
    nn::check(o, o.image_size);
  } catch (const ConfigError&) {
    return false;
  }
  return true;
}

void require_padding(const nn::SwinOptions& o, std::string_view program, nn::WindowPadding own, std::string_view name) {
  require<ConfigError>(o.padding == own || fits_exactly(o), "export: ", program, " pads maps of tokens as model.padding = ", name,
                       " does, and those of this model need padding");
}

// ---- Hugging Face transformers

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  if (const auto v = c.find("hidden_act"); v && v->text() != "gelu") v->fail("\"gelu\": the model here has no other activation");
  Settings out(d);
  for (const auto& [key, value] : kDefaults) out.set(key, std::string(value));
  out.needed(c, "embed_dim", "model.hidden_size");
  out.needed(c, "image_size", "model.image_size");
  out.needed(c, "patch_size", "model.patch_size");
  out.needed(c, "window_size", "model.window_size");
  set_list(c["depths"], "model.depths", out);
  set_list(c["num_heads"], "model.heads", out);
  out.number(c, "num_channels", "model.channels");
  out.number(c, "mlp_ratio", "model.mlp_ratio");
  out.number(c, "layer_norm_eps", "model.norm_epsilon");
  out.number(c, "hidden_dropout_prob", "model.dropout");
  out.number(c, "attention_probs_dropout_prob", "model.attention_dropout");
  out.number(c, "drop_path_rate", "model.stochastic_depth");
  set_flag(c, "qkv_bias", "model.qkv_bias", out);
  set_flag(c, "use_absolute_embeddings", "model.absolute_positions", out);
  out.set("model.padding", "transformers");
  out.set("model.stem", "patches");
  out.set("model.classes", "0");  // as many as there are names
  set_preparation(d, c["image_size"].integer(), out);
  return out.take();
}

void require_hugging_face(const nn::SwinOptions& o) {
  constexpr std::string_view kProgram = "Hugging Face transformers";
  require_patches(o);
  require<ConfigError>(o.patch_norm, "export: ", kProgram, " has only models with model.patch_norm = yes");
  const std::int64_t last = nn::swin_window(o, o.depths.size() - 1);
  require<ConfigError>(last == o.window_size, "export: ", kProgram,
                       " has no maps of tokens that are smaller than a window: the last stage has ", last, " rows, model.window_size is ",
                       o.window_size);
  require_padding(o, kProgram, nn::WindowPadding::transformers, "transformers");
}

std::vector<std::pair<std::string, std::string>> hugging_face_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::SwinOptions o = s.written();
  const auto text = [](std::string_view t) { return data::json_string(t); };
  JsonMembers m{{"architectures", join_text("[", text(kArchitectures.front()), "]")},
                {"model_type", text("swin")},
                {"embed_dim", json_number(o.hidden_size)},
                {"hidden_size", json_number(o.hidden_size << (o.depths.size() - 1))},
                {"depths", json_list(o.depths)},
                {"num_heads", json_list(o.heads)},
                {"num_layers", json_number(static_cast<std::int64_t>(o.depths.size()))},
                {"window_size", json_number(o.window_size)},
                {"mlp_ratio", json_number(o.mlp_ratio)},
                {"hidden_act", text("gelu")},
                {"hidden_dropout_prob", json_number(o.dropout)},
                {"attention_probs_dropout_prob", json_number(o.attention_dropout)},
                {"drop_path_rate", json_number(o.stochastic_depth)},
                {"initializer_range", "0.02"},
                {"layer_norm_eps", json_number(o.norm_epsilon)},
                {"image_size", json_number(o.image_size)},
                {"patch_size", json_number(o.patch_size)},
                {"num_channels", json_number(o.channels)},
                {"qkv_bias", json_boolean(o.qkv_bias)},
                {"use_absolute_embeddings", json_boolean(o.absolute_positions)},
                {"torch_dtype", text("float32")}};
  for (auto& member : label_members(engine::stored_lines(artifacts, kClassNames))) m.push_back(std::move(member));
  return {{"config.json", json_object(m) + "\n"}, {"preprocessor_config.json", preprocessor_text(s.images, o.image_size, o.channels)}};
}

// ---- timm

/// "swin_base_patch4_window12_384.ms_in22k" says five numbers.
struct TimmName {
  const nn::SwinSize* size = nullptr;
  std::int64_t patch = 0, window = 0, image = 0;
};

TimmName timm_name(const Json& name) {
  constexpr std::string_view kForm = "swin_{tiny,small,base,large}_patchP_windowW_S";
  TimmName out;
  std::string_view rest = name.text();
  const auto skip = [&](std::string_view text) {
    if (!rest.starts_with(text)) name.fail(std::string(kForm));
    rest.remove_prefix(text.size());
  };
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc() || value < 1) name.fail(std::string(kForm));
    rest.remove_prefix(static_cast<std::size_t>(at - rest.data()));
    return value;
  };
  skip("swin_");
  out.size = std::ranges::find_if(nn::kSwinSizes, [&](const nn::SwinSize& v) { return rest.starts_with(v.name); });
  if (out.size == nn::kSwinSizes.end()) name.fail(std::string(kForm));
  skip(out.size->name);
  skip("_patch");
  out.patch = number();
  skip("_window");
  out.window = number();
  skip("_");
  out.image = number();
  if (!rest.empty()) skip(".");
  return out;
}

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  const TimmName name = timm_name(c["architecture"]);
  const std::int64_t h = name.size->first_heads;
  Settings out(d);
  const auto set = [&](std::string_view key, std::int64_t value) { out.set(key, join_text(value)); };
  set("model.hidden_size", name.size->hidden_size);
  out.set("model.depths", join_text("2, 2, ", name.size->third_depth, ", 2"));
  out.set("model.heads", join_text(h, ", ", 2 * h, ", ", 4 * h, ", ", 8 * h));
  set("model.patch_size", name.patch);
  set("model.window_size", name.window);
  set("model.image_size", name.image);
  out.set("model.channels", "3");
  out.set("model.mlp_ratio", "4");
  out.set("model.qkv_bias", "yes");
  out.set("model.patch_norm", "yes");
  out.set("model.absolute_positions", "no");
  out.set("model.norm_epsilon", "1e-5");
  out.set("model.padding", "timm");
  out.set("model.stem", "patches");
  out.set("model.classes", "0");
  const auto preparation = c.find("pretrained_cfg");
  if (preparation) {
    if (const auto input = preparation->find("input_size")) {
      const std::vector<Json> sizes = input->items();
      if (sizes.size() != 3) input->fail("three numbers: channels, height, width");
      set("model.channels", sizes[0].integer());
      set("model.image_size", sizes[1].integer());
    }
    set_timm_preparation(*preparation, out);
  }
  if (const auto args = c.find("model_args")) {
    out.number(*args, "img_size", "model.image_size");
    out.number(*args, "patch_size", "model.patch_size");
    out.number(*args, "in_chans", "model.channels");
    out.number(*args, "embed_dim", "model.hidden_size");
    out.number(*args, "window_size", "model.window_size");
    out.number(*args, "mlp_ratio", "model.mlp_ratio");
    set_flag(*args, "qkv_bias", "model.qkv_bias", out);
    if (const auto v = args->find("depths")) set_list(*v, "model.depths", out);
    if (const auto v = args->find("num_heads")) set_list(*v, "model.heads", out);
    for (const std::string_view other : {"norm_layer", "head_dim", "embed_layer", "always_partition"})
      if (const auto v = args->find(other)) v->fail("nothing: this part of a model is not known here");
  }
  if (const auto pool = c.find("global_pool"); pool && pool->text() != "avg") pool->fail("avg");
  return out.take();
}

void require_timm(const nn::SwinOptions& o) {
  require_patches(o);
  // Up to which another epsilon makes no difference beside rounding.
  constexpr double kLargestEpsilon = 1e-4;
  require<ConfigError>(o.patch_norm && !o.absolute_positions && o.norm_epsilon <= kLargestEpsilon,
                       "export: timm's models have model.patch_norm = yes, model.absolute_positions = no and model.norm_epsilon = 1e-5");
  require_padding(o, "timm", nn::WindowPadding::timm, "timm");
}

std::vector<std::pair<std::string, std::string>> timm_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::SwinOptions o = s.written();
  const JsonMembers args{
      {"img_size", json_number(o.image_size)},     {"patch_size", json_number(o.patch_size)}, {"in_chans", json_number(o.channels)},
      {"embed_dim", json_number(o.hidden_size)},   {"depths", json_list(o.depths)},           {"num_heads", json_list(o.heads)},
      {"window_size", json_number(o.window_size)}, {"mlp_ratio", json_number(o.mlp_ratio)},   {"qkv_bias", json_boolean(o.qkv_bias)}};
  return {{"config.json", timm_text({.architecture = "swin_tiny_patch4_window7_224",  // args say everything otherwise
                                     .args = args,
                                     .image_size = o.image_size,
                                     .channels = o.channels,
                                     .features = o.hidden_size << (o.depths.size() - 1),
                                     .global_pool = "avg",
                                     .first_conv = "patch_embed.proj",
                                     .classifier = "head.fc"},
                                    s.images, engine::stored_lines(artifacts, kClassNames))}};
}

}  // namespace

std::vector<engine::ForeignForm> swin_forms(const nn::SwinOptions& options, const ImagePreparation& images) {
  const Source s{.options = &options, .images = images};
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms;
  forms.push_back(
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_swin,
       .names = [s](Names tensors) { return nn::hugging_face_names(tensors.empty() ? s.written() : *s.options, tensors); },
       .require_writable = [s] { require_hugging_face(s.written()); },
       .directory = {.holds = [](const ModelDirectory& d) { return is_of_type(d, "swin"); },
                     .is_native = [](const ModelDirectory& d) { return is_one_of(d, std::span(kArchitectures).first(1), true); },
                     .settings = hugging_face_settings,
                     .free_keys = kFree,
                     .artifacts = [](const ModelDirectory& d) { return hugging_face_classes(d, std::span(kArchitectures).first(1)); },
                     .files = [s](const engine::NamedTensors& artifacts) { return hugging_face_files(s, artifacts); }}});
  forms.push_back({.name = "timm",
                   .program = "timm",
                   .fits = nn::is_timm_swin,
                   .names = [s](Names tensors) { return nn::timm_names(tensors.empty() ? s.written() : *s.options); },
                   .require_writable = [s] { require_timm(s.written()); },
                   .directory = {.holds = [](const ModelDirectory& d) { return is_timm_architecture(d, "swin_"); },
                                 .is_native = [](const ModelDirectory&) { return true; },
                                 .settings = timm_settings,
                                 .free_keys = kFree,
                                 .artifacts = timm_classes,
                                 .files = [s](const engine::NamedTensors& artifacts) { return timm_files(s, artifacts); }}});
  forms.push_back({.name = "original",
                   .program = "the original code",
                   .fits = nn::is_original_swin,
                   .names = [s](Names) { return nn::original_names(*s.options); },
                   .require_writable = [s] { require_patches(*s.options); }});
  return forms;
}

}  // namespace capstan::formats
