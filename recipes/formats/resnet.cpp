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

namespace capstan::formats {
namespace {

using data::Json;
using engine::Assignment;
using engine::ModelDirectory;

constexpr std::array<Choice, 2> kBlocks{{{"basic", "basic"}, {"bottleneck", "bottleneck"}}};
constexpr std::array<std::string_view, 2> kArchitectures{"ResNetForImageClassification", "ResNetModel"};
constexpr std::int64_t kStemWidth = 64;  // of timm, whatever a configuration says

/// What the forms look at.
struct Source {
  const nn::ResNetOptions* options;
  ImagePreparation images;

  std::int64_t image_size() const { return images.image_size > 0 ? images.image_size : options->image_size; }
};

std::vector<std::int64_t> numbers_of(const Json& list) {
  std::vector<std::int64_t> out;
  for (const Json& n : list.items()) out.push_back(n.integer());
  return out;
}
std::string list_text(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t v : values) text += join_text(text.empty() ? "" : ", ", v);
  return text;
}
std::string json_list(const std::vector<std::int64_t>& values) { return join_text("[", list_text(values), "]"); }

std::string_view block_of(const nn::ResNetOptions& o) { return o.block == nn::ResNetBlock::basic ? "basic" : "bottleneck"; }
/// Inner width of a stage to its own.
std::int64_t expansion(nn::ResNetBlock block) { return block == nn::ResNetBlock::basic ? 1 : 4; }

/// What is so in every directory.
void set_usual(Settings& out) {
  out.set("model.stem", "large");
  out.set("model.norm_epsilon", "1e-5");
  out.set("model.classes", "0");  // as many as there are names
}

/// Options that do not change what the weights are.
const std::vector<std::string_view> kFree{"model.image_size", "model.norm", "model.dilate_last"};

void require_usual(const nn::ResNetOptions& o, std::string_view program) {
  // Up to which another epsilon makes no difference beside rounding.
  constexpr double kTolerance = 1e-9;
  require<ConfigError>(o.stem == nn::ResNetStem::large && std::abs(o.norm_epsilon - 1e-5) < kTolerance, "export: ", program,
                       " has only models with model.stem = large and model.norm_epsilon = 1e-5; --as torchvision writes the weights alone");
}

// ---- Hugging Face transformers

std::vector<Assignment> hugging_face_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  for (const std::string_view other : {"downsample_in_first_stage", "downsample_in_bottleneck"})
    if (const auto v = c.find(other); v && v->boolean()) v->fail("false: this part of a model is not known here");
  if (const auto v = c.find("hidden_act"); v && v->text() != "relu") v->fail("relu");
  Settings out(d);
  const auto block = c.find("layer_type");
  out.set("model.block", block ? chosen(*block, kBlocks) : "bottleneck");
  out.set("model.blocks", list_text(numbers_of(c["depths"])));
  out.set("model.widths", list_text(numbers_of(c["hidden_sizes"])));
  out.needed(c, "embedding_size", "model.stem_width");
  out.set("model.channels", "3");
  out.number(c, "num_channels", "model.channels");
  out.set("model.dilate_last", "false");
  set_usual(out);
  set_preparation(d, 0, out);
  return out.take();
}

std::vector<std::pair<std::string, std::string>> hugging_face_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::ResNetOptions& o = *s.options;
  const auto text = [](std::string_view t) { return data::json_string(t); };
  JsonMembers m{{"architectures", join_text("[", text(kArchitectures.front()), "]")},
                {"model_type", text("resnet")},
                {"layer_type", text(theirs_of(block_of(o), kBlocks))},
                {"depths", json_list(o.blocks)},
                {"hidden_sizes", json_list(o.widths)},
                {"embedding_size", json_number(o.stem_width)},
                {"num_channels", json_number(o.channels)},
                {"hidden_act", text("relu")},
                {"downsample_in_first_stage", "false"},
                {"downsample_in_bottleneck", "false"},
                {"torch_dtype", text("float32")}};
  for (auto& member : label_members(engine::stored_lines(artifacts, kClassNames))) m.push_back(std::move(member));
  return {{"config.json", json_object(m) + "\n"}, {"preprocessor_config.json", preprocessor_text(s.images, s.image_size(), o.channels)}};
}

// ---- timm

std::vector<Assignment> timm_settings(const ModelDirectory& d) {
  const Json& c = d.config();
  const Json name = c["architecture"];
  const auto size = std::ranges::find(nn::kResNetSizes, name.text(), &nn::ResNetSize::name);
  if (size == nn::kResNetSizes.end()) name.fail("resnet18, 34, 50, 101 or 152");
  nn::ResNetOptions o = nn::resnet_options(*size);
  if (const auto args = c.find("model_args"))
    for (const auto& [key, value] : args->members()) {
      if (key == "layers") {
        o.blocks = numbers_of(value);
      } else if (key == "channels") {
        o.widths = numbers_of(value);
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
  if (const auto preparation = c.find("pretrained_cfg")) {
    if (const auto input = preparation->find("input_size")) {
      const std::vector<Json> sizes = input->items();
      if (sizes.size() != 3) input->fail("three numbers: channels, height, width");
      o.channels = sizes[0].integer();
      out.set("model.image_size", join_text(sizes[1].integer()));
    }
    set_timm_preparation(*preparation, out);
  }
  out.set("model.block", std::string(block_of(o)));
  out.set("model.blocks", list_text(o.blocks));
  out.set("model.widths", list_text(o.widths));
  out.set("model.stem_width", join_text(kStemWidth));
  out.set("model.channels", join_text(o.channels));
  out.set("model.dilate_last", o.dilate_last ? "true" : "false");
  set_usual(out);
  return out.take();
}

std::vector<std::pair<std::string, std::string>> timm_files(const Source& s, const engine::NamedTensors& artifacts) {
  const nn::ResNetOptions& o = *s.options;
  std::vector<std::int64_t> inner = o.widths;
  for (std::int64_t& width : inner) width /= expansion(o.block);
  JsonMembers args{{"layers", json_list(o.blocks)}, {"channels", json_list(inner)}, {"in_chans", json_number(o.channels)}};
  if (o.dilate_last) args.emplace_back("output_stride", "16");
  return {{"config.json", timm_text({.architecture = o.block == nn::ResNetBlock::basic ? "resnet18" : "resnet50",  // args say the rest
                                     .args = args,
                                     .image_size = s.image_size(),
                                     .channels = o.channels,
                                     .features = o.widths.back(),
                                     .global_pool = "avg",
                                     .first_conv = "conv1",
                                     .classifier = "fc"},
                                    s.images, engine::stored_lines(artifacts, kClassNames))}};
}

}  // namespace

std::vector<engine::ForeignForm> resnet_forms(const nn::ResNetOptions& options, const ImagePreparation& images) {
  const Source s{.options = &options, .images = images};
  using Names = std::span<const std::string>;
  std::vector<engine::ForeignForm> forms;
  forms.push_back(
      {.name = "hf",
       .program = "Hugging Face transformers",
       .fits = nn::is_hugging_face_resnet,
       .names = [s](Names tensors) { return nn::hugging_face_names(*s.options, tensors); },
       .require_writable =
           [s] {
             require_usual(*s.options, "Hugging Face transformers");
             require<ConfigError>(!s.options->dilate_last, "export: Hugging Face transformers has no model with model.dilate_last");
           },
       .directory = {.holds = [](const ModelDirectory& d) { return is_of_type(d, "resnet"); },
                     .is_native = [](const ModelDirectory& d) { return is_one_of(d, std::span(kArchitectures).first(1), true); },
                     .settings = hugging_face_settings,
                     .free_keys = kFree,
                     .artifacts = [](const ModelDirectory& d) { return hugging_face_classes(d, std::span(kArchitectures).first(1)); },
                     .files = [s](const engine::NamedTensors& artifacts) { return hugging_face_files(s, artifacts); }}});
  forms.push_back({.name = "timm",
                   .program = "timm",
                   .fits = nn::is_torchvision_resnet,
                   .names = [s](Names) { return nn::torchvision_names(*s.options); },
                   .require_writable =
                       [s] {
                         require_usual(*s.options, "timm");
                         require<ConfigError>(s.options->stem_width == kStemWidth && s.options->blocks.size() == 4,
                                              "export: timm's models have model.stem_width = ", kStemWidth, " and four stages");
                       },
                   .directory = {.holds = [](const ModelDirectory& d) { return is_timm_architecture(d, "resnet"); },
                                 .is_native = [](const ModelDirectory&) { return true; },
                                 .settings = timm_settings,
                                 .free_keys = kFree,
                                 .artifacts = timm_classes,
                                 .files = [s](const engine::NamedTensors& artifacts) { return timm_files(s, artifacts); }}});
  forms.push_back({.name = "torchvision", .program = "torchvision", .fits = nn::is_torchvision_resnet, .names = [s](Names) {
                     return nn::torchvision_names(*s.options);
                   }});
  return forms;
}

}  // namespace capstan::formats
