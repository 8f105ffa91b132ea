#include "recipes/formats/image_preparation.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "autograd/core/error.h"

namespace capstan::formats {
namespace {

using data::Json;

/// Numbers of the Python Imaging Library.
constexpr std::string_view kBilinear = "2", kBicubic = "3";
/// From this size on the processor of ConvNeXt and ResNet takes the whole image.
constexpr std::int64_t kWholeImage = 384;

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

}  // namespace

ImagePreparation preparation_of(const image_classification::Options& o) {
  return {.mean = o.data.mean,
          .deviation = o.data.deviation,
          .image_size = o.data.image_size,
          .filter = o.evaluate.filter,
          .crop_share = o.evaluate.crop_share};
}

engine::NamedTensors named_classes(const std::vector<std::string>& names) {
  engine::NamedTensors out;
  if (!names.empty()) engine::store_lines(out, kClassNames, names);
  return out;
}

void set_preparation(const engine::ModelDirectory& directory, std::int64_t usual, Settings& out) {
  const auto p = directory.json("preprocessor_config.json");
  if (!p) return;
  const auto normalizes = p->find("do_normalize");
  const bool plain = normalizes && !normalizes->boolean();
  if (const auto v = p->find("image_mean"); v && !plain) out.set("data.mean", list_of(*v));
  if (const auto v = p->find("image_std"); v && !plain) out.set("data.deviation", list_of(*v));
  if (plain) out.set("data.mean", "0"), out.set("data.deviation", "1");
  set_size(*p, usual, out);
  if (const auto v = p->find("resample")) {
    if (v->integer() != 2 && v->integer() != 3) v->fail("2 (bilinear) or 3 (bicubic)");
    out.set("evaluate.filter", v->integer() == 2 ? "bilinear" : "bicubic");
  }
}

engine::NamedTensors hugging_face_classes(const engine::ModelDirectory& d, std::span<const std::string_view> classifiers) {
  return named_classes(is_one_of(d, classifiers, true) ? class_names_of(d.config()) : std::vector<std::string>{});
}

std::string preprocessor_text(const ImagePreparation& images, std::int64_t image_size, std::int64_t channels) {
  // Of the processors of transformers the one that scales the shorter side and takes the middle, as is done here.
  const auto shorter = std::llround(static_cast<double>(image_size) / images.crop_share);
  const std::string crop = json_object({{"height", json_number(image_size)}, {"width", json_number(image_size)}});
  return json_object({{"image_processor_type", data::json_string("CLIPImageProcessor")},
                      {"do_convert_rgb", json_boolean(channels == 3)},
                      {"do_resize", "true"},
                      {"size", json_object({{"shortest_edge", json_number(std::int64_t{shorter})}})},
                      {"resample", std::string(images.filter == data::Filter::bilinear ? kBilinear : kBicubic)},
                      {"do_center_crop", "true"},
                      {"crop_size", crop},
                      {"do_rescale", "true"},
                      {"rescale_factor", json_number(1.0 / 255)},
                      {"do_normalize", "true"},
                      {"image_mean", json_numbers(images.mean, channels)},
                      {"image_std", json_numbers(images.deviation, channels)}}) +
         "\n";
}

bool is_timm_architecture(const engine::ModelDirectory& directory, std::string_view prefix) {
  const auto name = directory.config().find("architecture");
  return name && name->is(Json::Kind::text) && name->text().starts_with(prefix);
}

void set_timm_preparation(const Json& preparation, Settings& out) {
  if (const auto v = preparation.find("mean")) out.set("data.mean", list_of(*v));
  if (const auto v = preparation.find("std")) out.set("data.deviation", list_of(*v));
  out.number(preparation, "crop_pct", "evaluate.crop_share");
  if (const auto v = preparation.find("interpolation"); v && v->text() == "bilinear") out.set("evaluate.filter", "bilinear");
}

engine::NamedTensors timm_classes(const engine::ModelDirectory& directory) {
  const Json& config = directory.config();
  std::vector<std::string> names;
  if (const auto labels = config.find("label_names"))
    for (const Json& n : labels->items()) names.emplace_back(n.text());
  if (const auto count = config.find("num_classes"); count && names.empty())
    for (std::int64_t i = 0; i < std::clamp<std::int64_t>(count->integer(), 0, 1'000'000); ++i) names.push_back(join_text("LABEL_", i));
  return named_classes(names);
}

std::string timm_text(const TimmModel& model, const ImagePreparation& images, const std::vector<std::string>& classes) {
  const std::string input = join_text("[", model.channels, ", ", model.image_size, ", ", model.image_size, "]");
  const auto count = static_cast<std::int64_t>(classes.size());
  const JsonMembers preparation{{"input_size", input},
                                {"mean", json_numbers(images.mean, model.channels)},
                                {"std", json_numbers(images.deviation, model.channels)},
                                {"interpolation", data::json_string(images.filter == data::Filter::bilinear ? "bilinear" : "bicubic")},
                                {"crop_pct", json_number(images.crop_share)},
                                {"num_classes", json_number(count)},
                                {"first_conv", data::json_string(model.first_conv)},
                                {"classifier", data::json_string(model.classifier)}};
  return json_object({{"architecture", data::json_string(model.architecture)},
                      {"num_classes", json_number(count)},
                      {"num_features", json_number(model.features)},
                      {"global_pool", data::json_string(model.global_pool)},
                      {"model_args", json_object(model.args)},
                      {"pretrained_cfg", json_object(preparation)},
                      {"label_names", json_texts(classes)}}) +
         "\n";
}

}  // namespace capstan::formats
