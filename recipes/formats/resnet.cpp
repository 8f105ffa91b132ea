#include "recipes/formats/resnet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "nn/models/resnet_names.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/json_text.h"
#include "recipes/formats/timm.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 2> kBlocks{{{"basic", "basic"}, {"bottleneck", "bottleneck"}}};
constexpr std::int64_t kStemWidth = 64;  // of timm, whatever a configuration says

std::string_view block_of(const nn::ResNetOptions& o) { return o.block == nn::ResNetBlock::basic ? "basic" : "bottleneck"; }
/// Inner width of a stage to its own.
std::int64_t expansion(nn::ResNetBlock block) { return block == nn::ResNetBlock::basic ? 1 : 4; }

/// Options that do not change what the weights are.
const std::vector<std::string_view> kFree{"model.image_size", "model.norm", "model.dilate_last"};

void require_usual(const nn::ResNetOptions& o, std::string_view program) {
  require<ConfigError>(is_usual(o), "export: ", program,
                       " has only models with model.stem = large and model.norm_epsilon = 1e-5; --as torchvision writes the weights alone");
}

// ---- Hugging Face transformers

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  Settings out(d);
  set_resnet(hugging_face_resnet(d.config()), "model", out);
  set_preparation(d, 0, out);
  return out.take();
}

void require_hugging_face(const nn::ResNetOptions& o) {
  require_usual(o, "Hugging Face transformers");
  require<ConfigError>(!o.dilate_last, "export: Hugging Face transformers has no model with model.dilate_last");
}

// ---- timm

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  nn::ResNetOptions o = timm_resnet(c["architecture"]);
  if (const auto args = c.find("model_args"))
    for (const auto& [key, value] : args->members()) {
      if (key == "layers") {
        o.blocks = whole_numbers(value);
      } else if (key == "channels") {
        o.widths = whole_numbers(value);
        for (std::int64_t& width : o.widths) width *= expansion(o.block);
      } else if (key == "in_chans") {
        o.channels = value.integer();
      } else if (key == "output_stride") {
        if (value.integer() != 32 && value.integer() != 16) value.fail("32 or 16");
        o.dilate_last = value.integer() == 16;
      } else if (key != "zero_init_last" && key != "drop_rate" && key != "drop_path_rate") {
        value.fail("nothing: this part of a model is not known here");
      }
    }
  Settings out(d);
  if (const auto input = timm_input(c)) {
    o.channels = input->channels;
    out.set("model.image_size", input->size);
  }
  set_timm_preparation(c, out);
  set_resnet(o, "model", out);
  return out.take();
}

void require_timm(const nn::ResNetOptions& o) {
  require_usual(o, "timm");
  require<ConfigError>(o.stem_width == kStemWidth && o.blocks.size() == 4, "export: timm's models have model.stem_width = ", kStemWidth,
                       " and four stages");
}

TimmModel timm_model(const nn::ResNetOptions& o) {
  std::vector<std::int64_t> inner = o.widths;
  for (std::int64_t& width : inner) width /= expansion(o.block);
  JsonMembers args{{"layers", json_list(o.blocks)}, {"channels", json_list(inner)}, {"in_chans", json_number(o.channels)}};
  if (o.dilate_last) append(args, {{"output_stride", "16"}});
  return {.architecture = o.block == nn::ResNetBlock::basic ? "resnet18" : "resnet50",  // args say the rest
          .args = std::move(args),
          .image_size = o.image_size,
          .channels = o.channels,
          .features = o.widths.back(),
          .global_pool = "avg",
          .first_conv = "conv1",
          .classifier = "fc"};
}

}  // namespace

nn::ResNetOptions hugging_face_resnet(const Json& c) {
  for (const std::string_view other : {"downsample_in_first_stage", "downsample_in_bottleneck"})
    if (const auto v = c.find(other); v && v->boolean()) v->fail("false: this part of a model is not known here");
  if (const auto v = c.find("hidden_act"); v && v->text() != "relu") v->fail("relu");
  nn::ResNetOptions o;
  if (const auto v = c.find("layer_type"); v && chosen(*v, kBlocks) == "basic") o.block = nn::ResNetBlock::basic;
  o.blocks = whole_numbers(c["depths"]);
  o.widths = whole_numbers(c["hidden_sizes"]);
  o.stem_width = c["embedding_size"].integer();
  if (const auto v = c.find("num_channels")) o.channels = v->integer();
  return o;
}

JsonMembers hugging_face_members(const nn::ResNetOptions& o) {
  return {{"layer_type", data::json_string(theirs_of(block_of(o), kBlocks))},
          {"depths", json_list(o.blocks)},
          {"hidden_sizes", json_list(o.widths)},
          {"embedding_size", json_number(o.stem_width)},
          {"num_channels", json_number(o.channels)},
          {"hidden_act", data::json_string("relu")},
          {"downsample_in_first_stage", "false"},
          {"downsample_in_bottleneck", "false"}};
}

nn::ResNetOptions timm_resnet(const Json& name) {
  const std::string_view architecture = name.text().substr(0, name.text().find('.'));
  const auto size = std::ranges::find(nn::kResNetSizes, architecture, &nn::ResNetSize::name);
  if (size == nn::kResNetSizes.end()) name.fail("resnet18, 34, 50, 101 or 152");
  nn::ResNetOptions o = nn::resnet_options(*size);
  o.stem_width = kStemWidth;
  return o;
}

void set_resnet(const nn::ResNetOptions& o, std::string_view section, Settings& out) {
  const auto set = [&](std::string_view key, std::string value) { out.set(join_text(section, ".", key), std::move(value)); };
  set("block", std::string(block_of(o)));
  set("blocks", list_text(o.blocks));
  set("widths", list_text(o.widths));
  set("stem_width", join_text(o.stem_width));
  set("channels", join_text(o.channels));
  set("dilate_last", json_boolean(o.dilate_last));
  set("stem", "large");
  set("norm_epsilon", "1e-5");
  set("classes", "0");  // as many as there are names
}

bool is_usual(const nn::ResNetOptions& o) {
  // Up to which another epsilon makes no difference beside rounding.
  constexpr double kTolerance = 1e-9;
  return o.stem == nn::ResNetStem::large && std::abs(o.norm_epsilon - 1e-5) < kTolerance;
}

std::vector<engine::ForeignForm> resnet_forms(const nn::ResNetOptions& options, const ImagePreparation& images) {
  const nn::ResNetOptions* const o = &options;
  const auto written = [o, images] { return written_options(*o, images); };
  const auto hugging_face_model = [written]() -> HuggingFaceModel {
    const nn::ResNetOptions own = written();
    return {.own = hugging_face_members(own), .image_size = own.image_size, .channels = own.channels};
  };
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms{
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_resnet,
       .names = [o](Names tensors) { return nn::hugging_face_names(*o, tensors); },
       .require_writable = [o] { require_hugging_face(*o); },
       .directory = hugging_face_classifiers("ResNetForImageClassification", "resnet", hugging_face_settings, hugging_face_model, images)},
      {.name = "timm",
       .program = "timm",
       .fits = nn::is_torchvision_resnet,
       .names = [o](Names) { return nn::torchvision_names(*o); },
       .require_writable = [o] { require_timm(*o); },
       .directory = timm_directories(
           "resnet", timm_settings, [written] { return timm_model(written()); }, images)},
      {.name = "torchvision", .program = "torchvision", .fits = nn::is_torchvision_resnet, .names = [o](Names) {
         return nn::torchvision_names(*o);
       }}};
  for (engine::ForeignForm& form : forms) form.directory.free_keys = kFree;
  return forms;
}

}  // namespace capstan::formats
