#include "recipes/formats/swin.h"

#include <array>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/swin.h"
#include "nn/models/swin_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/formats/timm.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

/// Keys of the model that may differ from those of a directory: its tables and positions are made into others.
const std::vector<std::string_view> kFree{"model.window_size", "model.image_size", "model.padding"};

void require_patches(const nn::SwinOptions& o) {
  require<ConfigError>(o.stem == nn::SwinStem::patches, "export: others have only models with model.stem = patches");
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
  // What transformers take where config.json says nothing.
  out.set({{"model.norm_epsilon", "1e-5"},
           {"model.dropout", "0"},
           {"model.attention_dropout", "0"},
           {"model.stochastic_depth", "0.1"},
           {"model.channels", "3"},
           {"model.mlp_ratio", "4"},
           {"model.qkv_bias", "yes"},
           {"model.absolute_positions", "no"},
           {"model.patch_norm", "yes"}});
  out.needed(c, "embed_dim", "model.hidden_size");
  out.needed(c, "image_size", "model.image_size");
  out.needed(c, "patch_size", "model.patch_size");
  out.needed(c, "window_size", "model.window_size");
  out.set("model.depths", list_text(whole_numbers(c["depths"])));
  out.set("model.heads", list_text(whole_numbers(c["num_heads"])));
  out.number(c, "num_channels", "model.channels");
  out.number(c, "mlp_ratio", "model.mlp_ratio");
  out.number(c, "layer_norm_eps", "model.norm_epsilon");
  out.number(c, "hidden_dropout_prob", "model.dropout");
  out.number(c, "attention_probs_dropout_prob", "model.attention_dropout");
  out.number(c, "drop_path_rate", "model.stochastic_depth");
  out.flag(c, "qkv_bias", "model.qkv_bias");
  out.flag(c, "use_absolute_embeddings", "model.absolute_positions");
  out.set({{"model.padding", "transformers"}, {"model.stem", "patches"}, {"model.classes", "0"}});  // as many as there are names
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

HuggingFaceModel hugging_face_model(const nn::SwinOptions& o) {
  return {.own = {{"embed_dim", json_number(o.hidden_size)},
                  {"hidden_size", json_number(o.hidden_size << (o.depths.size() - 1))},
                  {"depths", json_list(o.depths)},
                  {"num_heads", json_list(o.heads)},
                  {"num_layers", json_number(static_cast<std::int64_t>(o.depths.size()))},
                  {"window_size", json_number(o.window_size)},
                  {"mlp_ratio", json_number(o.mlp_ratio)},
                  {"hidden_act", data::json_string("gelu")},
                  {"hidden_dropout_prob", json_number(o.dropout)},
                  {"attention_probs_dropout_prob", json_number(o.attention_dropout)},
                  {"drop_path_rate", json_number(o.stochastic_depth)},
                  {"initializer_range", "0.02"},
                  {"layer_norm_eps", json_number(o.norm_epsilon)},
                  {"image_size", json_number(o.image_size)},
                  {"patch_size", json_number(o.patch_size)},
                  {"num_channels", json_number(o.channels)},
                  {"qkv_bias", json_boolean(o.qkv_bias)},
                  {"use_absolute_embeddings", json_boolean(o.absolute_positions)}},
          .image_size = o.image_size,
          .channels = o.channels};
}

// ---- timm

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  ArchitectureName name(c, "swin_{tiny,small,base,large}_patchP_windowW_S");
  Settings out(d);
  name.skip("swin_");
  const nn::SwinSize& size = name.one_of(nn::kSwinSizes);
  name.skip("_patch");
  out.set("model.patch_size", name.number());
  name.skip("_window");
  out.set("model.window_size", name.number());
  name.skip("_");
  out.set("model.image_size", name.number());
  name.end();
  const std::int64_t h = size.first_heads;
  out.set("model.hidden_size", size.hidden_size);
  out.set("model.depths", list_text(std::array<std::int64_t, 4>{2, 2, size.third_depth, 2}));
  out.set("model.heads", list_text(std::array{h, 2 * h, 4 * h, 8 * h}));
  out.set({{"model.channels", "3"},
           {"model.mlp_ratio", "4"},
           {"model.qkv_bias", "yes"},
           {"model.patch_norm", "yes"},
           {"model.absolute_positions", "no"},
           {"model.norm_epsilon", "1e-5"},
           {"model.padding", "timm"},
           {"model.stem", "patches"},
           {"model.classes", "0"}});
  if (const auto input = timm_input(c)) {
    out.set("model.channels", input->channels);
    out.set("model.image_size", input->size);
  }
  set_timm_preparation(c, out);
  if (const auto args = c.find("model_args")) {
    out.number(*args, "img_size", "model.image_size");
    out.number(*args, "patch_size", "model.patch_size");
    out.number(*args, "in_chans", "model.channels");
    out.number(*args, "embed_dim", "model.hidden_size");
    out.number(*args, "window_size", "model.window_size");
    out.number(*args, "mlp_ratio", "model.mlp_ratio");
    out.flag(*args, "qkv_bias", "model.qkv_bias");
    if (const auto v = args->find("depths")) out.set("model.depths", list_text(whole_numbers(*v)));
    if (const auto v = args->find("num_heads")) out.set("model.heads", list_text(whole_numbers(*v)));
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

TimmModel timm_model(const nn::SwinOptions& o) {
  return {.architecture = "swin_tiny_patch4_window7_224",  // args say everything otherwise
          .args = {{"img_size", json_number(o.image_size)},
                   {"patch_size", json_number(o.patch_size)},
                   {"in_chans", json_number(o.channels)},
                   {"embed_dim", json_number(o.hidden_size)},
                   {"depths", json_list(o.depths)},
                   {"num_heads", json_list(o.heads)},
                   {"window_size", json_number(o.window_size)},
                   {"mlp_ratio", json_number(o.mlp_ratio)},
                   {"qkv_bias", json_boolean(o.qkv_bias)}},
          .image_size = o.image_size,
          .channels = o.channels,
          .features = o.hidden_size << (o.depths.size() - 1),
          .global_pool = "avg",
          .first_conv = "patch_embed.proj",
          .classifier = "head.fc"};
}

}  // namespace

std::vector<engine::ForeignForm> swin_forms(const nn::SwinOptions& options, const ImagePreparation& images) {
  const nn::SwinOptions* const o = &options;
  const auto written = [o, images] { return written_options(*o, images); };
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms{
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_swin,
       .names = [o, written](Names tensors) { return nn::hugging_face_names(tensors.empty() ? written() : *o, tensors); },
       .require_writable = [written] { require_hugging_face(written()); },
       .directory = hugging_face_classifiers(
           "SwinForImageClassification", "swin", hugging_face_settings, [written] { return hugging_face_model(written()); }, images)},
      {.name = "timm",
       .program = "timm",
       .fits = nn::is_timm_swin,
       .names = [o, written](Names tensors) { return nn::timm_names(tensors.empty() ? written() : *o); },
       .require_writable = [written] { require_timm(written()); },
       .directory = timm_directories(
           "swin_", timm_settings, [written] { return timm_model(written()); }, images)},
      {.name = "original",
       .program = "the original code",
       .fits = nn::is_original_swin,
       .names = [o](Names) { return nn::original_names(*o); },
       .require_writable = [o] { require_patches(*o); }}};
  for (engine::ForeignForm& form : forms) form.directory.free_keys = kFree;
  return forms;
}

}  // namespace capstan::formats
