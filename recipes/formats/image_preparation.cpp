#include "recipes/formats/image_preparation.h"

#include <cmath>
#include <optional>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "recipes/formats/image_processor.h"

namespace capstan::formats {
namespace {

using data::Json;

/// From this size on the processor of ConvNeXt and ResNet takes the whole image.
constexpr std::int64_t kWholeImage = 384;

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
  if (size != usual) out.set(usual == 0 ? "model.image_size" : "data.image_size", join_text(size));
  const bool part = cropped && scaled && *cropped < *scaled;
  out.set("evaluate.crop_share", part ? join_text(static_cast<double>(*cropped) / static_cast<double>(*scaled)) : "1");
  if (const auto share = processor.find("crop_pct"); share && !cropped && size < kWholeImage)
    out.set("evaluate.crop_share", join_text(share->number()));
}

std::string preprocessor_text(const ImagePreparation& images, std::int64_t image_size, std::int64_t channels) {
  // Of the processors of transformers the one that scales the shorter side and takes the middle, as is done here.
  const auto shorter = std::llround(static_cast<double>(image_size) / images.crop_share);
  const std::string crop = json_object({{"height", json_number(image_size)}, {"width", json_number(image_size)}});
  JsonMembers all{{"image_processor_type", data::json_string("CLIPImageProcessor")},
                  {"do_convert_rgb", json_boolean(channels == 3)},
                  {"do_resize", "true"},
                  {"size", json_object({{"shortest_edge", json_number(std::int64_t{shorter})}})},
                  {"resample", resample_text(images.filter)},
                  {"do_center_crop", "true"},
                  {"crop_size", crop}};
  append(all, normalization_members(images.mean, images.deviation, channels));
  return json_object(all) + "\n";
}

}  // namespace

ImagePreparation preparation_of(const image_classification::Options& o) {
  return {.mean = o.data.mean,
          .deviation = o.data.deviation,
          .image_size = o.data.image_size,
          .filter = o.evaluate.filter,
          .crop_share = o.evaluate.crop_share};
}

void set_preparation(const engine::ModelDirectory& directory, std::int64_t usual, Settings& out) {
  const auto processor = directory.json("preprocessor_config.json");
  if (!processor) return;
  set_pixels(*processor, out);
  set_size(*processor, usual, out);
}

engine::DirectoryForm hugging_face_classifiers(std::string_view architecture, std::string_view model_type, SettingsOf settings,
                                               std::function<HuggingFaceModel()> written, const ImagePreparation& images) {
  const auto files = [architecture, model_type, images, written = std::move(written)](const engine::NamedTensors& artifacts) -> Files {
    const HuggingFaceModel model = written();
    return {{"config.json", config_text(architecture, model_type, model.own, engine::stored_lines(artifacts, kClassNames))},
            {"preprocessor_config.json", preprocessor_text(images, model.image_size, model.channels)}};
  };
  return hugging_face_directories(architecture, model_type, settings, files);
}

}  // namespace capstan::formats
