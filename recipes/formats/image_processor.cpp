#include "recipes/formats/image_processor.h"

#include <algorithm>
#include <array>

#include "autograd/core/error.h"

namespace capstan::formats {
namespace {

using data::Json;

struct Resample {
  std::int64_t number;
  data::Filter filter;
  std::string_view name;
};
constexpr std::array<Resample, 3> kResamples{
    {{2, data::Filter::bilinear, "bilinear"}, {3, data::Filter::bicubic, "bicubic"}, {4, data::Filter::box, "box"}}};

}  // namespace

void set_pixels(const Json& processor, Settings& out) {
  const auto normalizes = processor.find("do_normalize");
  if (normalizes && !normalizes->boolean()) {
    out.set({{"data.mean", "0"}, {"data.deviation", "1"}});
  } else {
    out.numbers(processor, "image_mean", "data.mean");
    out.numbers(processor, "image_std", "data.deviation");
  }
  if (const auto v = processor.find("resample")) {
    const auto known = std::ranges::find(kResamples, v->integer(), &Resample::number);
    if (known == kResamples.end()) v->fail("2 (bilinear), 3 (bicubic) or 4 (box)");
    out.set("evaluate.filter", std::string(known->name));
  }
}

std::string resample_text(data::Filter filter) { return json_number(std::ranges::find(kResamples, filter, &Resample::filter)->number); }

JsonMembers normalization_members(const std::vector<double>& mean, const std::vector<double>& deviation, std::int64_t channels) {
  return {{"do_rescale", "true"},
          {"rescale_factor", json_number(1.0 / 255)},
          {"do_normalize", "true"},
          {"image_mean", json_list(mean, channels)},
          {"image_std", json_list(deviation, channels)}};
}

}  // namespace capstan::formats
