#include "recipes/formats/timm.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::formats {
namespace {

using data::Json;
using engine::ModelDirectory;

engine::NamedTensors classes_of(const ModelDirectory& directory) {
  const Json& config = directory.config();
  std::vector<std::string> names;
  if (const auto labels = config.find("label_names"))
    for (const Json& n : labels->items()) names.emplace_back(n.text());
  if (const auto count = config.find("num_classes"); count && names.empty())
    for (std::int64_t i = 0; i < std::clamp<std::int64_t>(count->integer(), 0, 1'000'000); ++i) names.push_back(join_text("LABEL_", i));
  return named_classes(names);
}

std::string config_text(const TimmModel& model, const ImagePreparation& images, const std::vector<std::string>& classes) {
  const std::string input = join_text("[", model.channels, ", ", model.image_size, ", ", model.image_size, "]");
  const auto count = static_cast<std::int64_t>(classes.size());
  const JsonMembers preparation{{"input_size", input},
                                {"mean", json_list(images.mean, model.channels)},
                                {"std", json_list(images.deviation, model.channels)},
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

}  // namespace

void ArchitectureName::skip(std::string_view text) {
  if (!rest_.starts_with(text)) name_.fail(form_);
  rest_.remove_prefix(text.size());
}

std::int64_t ArchitectureName::number() {
  std::int64_t value = 0;
  const auto [at, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc() || value < 1) name_.fail(form_);
  rest_.remove_prefix(static_cast<std::size_t>(at - rest_.data()));
  return value;
}

void ArchitectureName::end() {
  if (!rest_.empty()) skip(".");
}

std::optional<TimmInput> timm_input(const Json& config) {
  const auto preparation = config.find("pretrained_cfg");
  const auto input = preparation ? preparation->find("input_size") : std::nullopt;
  if (!input) return std::nullopt;
  const std::vector<Json> sizes = input->items();
  if (sizes.size() != 3) input->fail("three numbers: channels, height, width");
  return TimmInput{.channels = sizes[0].integer(), .size = sizes[1].integer()};
}

void set_timm_preparation(const Json& config, Settings& out) {
  const auto preparation = config.find("pretrained_cfg");
  if (!preparation) return;
  out.numbers(*preparation, "mean", "data.mean");
  out.numbers(*preparation, "std", "data.deviation");
  out.number(*preparation, "crop_pct", "evaluate.crop_share");
  if (const auto v = preparation->find("interpolation"); v && v->text() == "bilinear") out.set("evaluate.filter", "bilinear");
}

engine::DirectoryForm timm_directories(std::string_view prefix, SettingsOf settings, std::function<TimmModel()> written,
                                       const ImagePreparation& images) {
  return {.holds =
              [prefix](const ModelDirectory& d) {
                const auto name = d.config().find("architecture");
                return name && name->is(Json::Kind::text) && name->text().starts_with(prefix);
              },
          .is_native = [](const ModelDirectory&) { return true; },
          .settings = settings,
          .artifacts = classes_of,
          .files = [written = std::move(written), images](const engine::NamedTensors& artifacts) -> Files {
            return {{"config.json", config_text(written(), images, engine::stored_lines(artifacts, kClassNames))}};
          }};
}

}  // namespace capstan::formats
