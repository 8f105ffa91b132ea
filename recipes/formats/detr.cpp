#include "recipes/formats/detr.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/detr_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/formats/resnet.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 2> kPositions{{{"sine", "sine"}, {"learned", "learned"}}};
constexpr std::string_view kSection = "model.";  // of the keys that a directory of a classifier sets

/// What does not change what the weights are: of a DETR, and of a classifier.
const std::vector<std::string_view> kFree{"model.backbone.norm"};
const std::vector<std::string_view> kFreeOfClassifier{"model.backbone.norm", "model.backbone.dilate_last"};

// ---- Hugging Face transformers

/// What is said of a backbone beside its size, by a configuration of its own or by the arguments that timm is given. The transformer reads
/// the last of the features that are named, which must be the last stage: "stage4" of transformers, "layer4" of timm.
void take_arguments(const Json& from, nn::ResNetOptions& o) {
  const auto last = static_cast<std::int64_t>(o.blocks.size());
  if (const auto v = from.find("out_features"))
    if (v->size() == 0 || !v->items().back().text().ends_with(join_text(last))) v->fail(join_text("stage ", last, " as the last one"));
  if (const auto v = from.find("out_indices"))
    if (v->size() == 0 || (v->items().back().integer() != last && v->items().back().integer() != -1))
      v->fail(join_text(last, " as the last one"));
  for (const std::string_view name : {"num_channels", "in_chans"})
    if (const auto v = from.find(name)) o.channels = v->integer();
  if (const auto v = from.find("output_stride")) {
    if (v->integer() != 32 && v->integer() != 16) v->fail("32 or 16");
    o.dilate_last = v->integer() == 16;
  }
}

nn::ResNetOptions backbone_of(const Json& c) {
  const auto name = c.find("backbone"), dilation = c.find("dilation");
  nn::ResNetOptions o;
  if (const auto own = c.find("backbone_config")) {
    const Json type = (*own)["model_type"];
    if (type.text() != "resnet" && type.text() != "timm_backbone") type.fail("resnet or timm_backbone");
    o = type.text() == "resnet" ? hugging_face_resnet(*own) : timm_resnet((*own)["backbone"]);
    take_arguments(*own, o);
    return o;
  }
  if (const auto v = c.find("use_timm_backbone"); v && !v->boolean() && name) v->fail("true, for the backbone has a name of timm's");
  if (name) o = timm_resnet(*name);
  if (const auto v = c.find("num_channels")) o.channels = v->integer();
  o.dilate_last = dilation && dilation->boolean();
  if (const auto arguments = c.find("backbone_kwargs")) {
    for (const auto& [key, value] : arguments->members())
      if (key != "in_chans" && key != "out_indices" && key != "output_stride")
        value.fail("nothing: this part of a backbone is not known here");
    take_arguments(*arguments, o);
  }
  return o;
}

/// Refuses what would compute something else here.
void require_known(const Json& c) {
  if (const auto v = c.find("activation_function"); v && v->text() != "relu") v->fail("relu");
  for (const std::string_view part : {"attention_heads", "ffn_dim"}) {
    const std::int64_t encoder = c[join_text("encoder_", part)].integer();
    if (const Json v = c[join_text("decoder_", part)]; v.integer() != encoder)
      v.fail(join_text(encoder, ": encoder and decoder are alike here"));
  }
  if (const auto v = c.find("auxiliary_loss"); v && v->boolean())
    v->fail(
        "false: with it transformers normalise the states between the layers of the decoder, which neither the original nor the model "
        "here does; init.from takes model.safetensors without its config.json");
}

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  require_known(c);
  Settings out(d);
  // What transformers take where config.json says nothing.
  out.set({{"model.dropout", "0.1"}, {"model.attention_dropout", "0"}, {"model.activation_dropout", "0"}, {"model.positions", "sine"}});
  out.needed(c, "d_model", "model.width");
  out.needed(c, "encoder_attention_heads", "model.heads");
  out.needed(c, "encoder_layers", "model.encoder_layers");
  out.needed(c, "decoder_layers", "model.decoder_layers");
  out.needed(c, "encoder_ffn_dim", "model.inner");
  out.needed(c, "num_queries", "model.queries");
  out.number(c, "dropout", "model.dropout");
  out.number(c, "attention_dropout", "model.attention_dropout");
  out.number(c, "activation_dropout", "model.activation_dropout");
  if (const auto v = c.find("position_embedding_type")) out.set("model.positions", chosen(*v, kPositions));
  out.set({{"model.pre_norm", "no"},
           {"model.anchors", "no"},
           {"model.classes", "0"},  // as many as there are names
           {"model.backbone.norm", "frozen"}});
  set_resnet(backbone_of(c), "model.backbone", out);
  set_detection_preparation(d, out);
  return out.take();
}

/// The size that timm has a name for.
std::optional<std::string_view> timm_name(const nn::ResNetOptions& o) {
  for (const nn::ResNetSize& size : nn::kResNetSizes) {
    const nn::ResNetOptions named = nn::resnet_options(size);
    if (o.block == named.block && o.blocks == named.blocks && o.widths == named.widths && o.stem_width == named.stem_width)
      return size.name;
  }
  return std::nullopt;
}

void require_no_anchors(const nn::DetrOptions& o) {
  require<ConfigError>(!o.anchors, "export: no other program has models with model.anchors = yes");
}

void require_hugging_face(const nn::DetrOptions& o, const nn::ResNetOptions& backbone) {
  constexpr std::string_view kProgram = "Hugging Face transformers";
  require_no_anchors(o);
  require<ConfigError>(!o.pre_norm, "export: ", kProgram, " has only models with model.pre_norm = no");
  require<ConfigError>(is_usual(backbone), "export: ", kProgram,
                       " has only models with model.backbone.stem = large and model.backbone.norm_epsilon = 1e-5");
  require<ConfigError>(!backbone.dilate_last || timm_name(backbone), "export: ", kProgram,
                       " has a dilated backbone (model.backbone.dilate_last) only of a published size: ResNet-18, 34, 50, 101 or 152");
}

/// A dilated backbone is timm's, which is known by its name, and any other transformers' own.
JsonMembers backbone_members(const nn::ResNetOptions& o) {
  JsonMembers out{
      {"use_timm_backbone", json_boolean(o.dilate_last)}, {"use_pretrained_backbone", "false"}, {"dilation", json_boolean(o.dilate_last)}};
  if (o.dilate_last) {
    append(out, {{"backbone", data::json_string(*timm_name(o))}});
    return out;
  }
  JsonMembers own{{"model_type", data::json_string("resnet")},
                  {"out_features", join_text("[", data::json_string(join_text("stage", o.blocks.size())), "]")}};
  append(own, hugging_face_members(o));
  append(out, {{"backbone_config", json_object(own)}});
  return out;
}

Files hugging_face_files(const nn::DetrOptions& o, const nn::ResNetOptions& backbone, const DetectionPreparation& images,
                         const std::vector<std::string>& classes) {
  // auxiliary_loss stays off (require_known): a program that trains on sets it for itself.
  JsonMembers own{{"d_model", json_number(o.width)},
                  {"encoder_layers", json_number(o.encoder_layers)},
                  {"decoder_layers", json_number(o.decoder_layers)},
                  {"encoder_attention_heads", json_number(o.heads)},
                  {"decoder_attention_heads", json_number(o.heads)},
                  {"encoder_ffn_dim", json_number(o.inner)},
                  {"decoder_ffn_dim", json_number(o.inner)},
                  {"num_queries", json_number(o.queries)},
                  {"position_embedding_type", data::json_string(o.positions == nn::DetrPositions::sine ? "sine" : "learned")},
                  {"activation_function", data::json_string("relu")},
                  {"dropout", json_number(o.dropout)},
                  {"attention_dropout", json_number(o.attention_dropout)},
                  {"activation_dropout", json_number(o.activation_dropout)},
                  {"auxiliary_loss", "false"},
                  {"num_channels", json_number(backbone.channels)}};
  append(own, backbone_members(backbone));
  return {{"config.json", config_text("DetrForObjectDetection", "detr", own, classes)},
          {"preprocessor_config.json", detection_preprocessor_text(images, backbone.channels)}};
}

// ---- classifiers

/// A directory's settings of its network as those of the backbone, and how pixels are made ready for it.
std::vector<Assignment> backbone_settings(std::vector<Assignment> classifier) {
  std::vector<Assignment> out;
  for (Assignment& a : classifier) {
    if (a.key == "model.image_size") continue;  // images of any size go through it
    if (a.key.starts_with(kSection)) a.key.replace(0, kSection.size(), "model.backbone.");
    if (a.key.starts_with("model.backbone.") || a.key == "data.mean" || a.key == "data.deviation") out.push_back(std::move(a));
  }
  return out;
}

/// The forms of a classifier for a DETR that starts from its network.
std::vector<engine::ForeignForm> backbone_forms(const nn::ResNetOptions& backbone) {
  std::vector<engine::ForeignForm> forms = resnet_forms(backbone, {});
  for (engine::ForeignForm& form : forms) {
    form.writes = false;
    form.require_writable = {};
    form.names = [names = form.names](std::span<const std::string> tensors) { return nn::detr_backbone_names(names(tensors)); };
    engine::DirectoryForm& directory = form.directory;
    if (!directory.holds) continue;
    directory.is_native = [](const ModelDirectory&) { return false; };
    directory.settings = [settings = directory.settings](const ModelDirectory& d) { return backbone_settings(settings(d)); };
    directory.free_keys = kFreeOfClassifier;
    directory.artifacts = [](const ModelDirectory&) { return engine::NamedTensors{}; };
    directory.files = {};
  }
  return forms;
}

}  // namespace

std::vector<engine::ForeignForm> detr_forms(const nn::DetrOptions& options, const nn::ResNetOptions& backbone,
                                            const DetectionPreparation& images) {
  const nn::DetrOptions* const o = &options;
  const nn::ResNetOptions* const b = &backbone;
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms{
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_detr,
       .names = [o, b](Names tensors) { return nn::hugging_face_detr_names(*o, *b, tensors); },
       .require_writable = [o, b] { require_hugging_face(*o, *b); },
       .directory = hugging_face_directories("DetrForObjectDetection", "detr", hugging_face_settings,
                                             [o, b, images](const engine::NamedTensors& artifacts) {
                                               return hugging_face_files(*o, *b, images, engine::stored_lines(artifacts, kClassNames));
                                             })},
      {.name = "original",
       .program = "the original code",
       .fits = nn::is_original_detr,
       .names = [o, b](Names) { return nn::original_detr_names(*o, *b); },
       .require_writable = [o] { require_no_anchors(*o); }}};
  forms.front().directory.free_keys = kFree;
  for (engine::ForeignForm& form : backbone_forms(backbone)) forms.push_back(std::move(form));
  return forms;
}

}  // namespace capstan::formats
