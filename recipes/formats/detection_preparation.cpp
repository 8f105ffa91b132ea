#include "recipes/formats/detection_preparation.h"

#include "data/json.h"
#include "recipes/formats/image_processor.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

namespace {

using data::Json;

/// Stands for no limit where transformers need one: the largest that evaluate.longest may be.
constexpr std::int64_t kLongest = 16384;

}  // namespace

void set_detection_preparation(const engine::ModelDirectory& directory, Settings& out) {
  const auto processor = directory.json("preprocessor_config.json");
  if (!processor) return;
  set_pixels(*processor, out);
  if (const auto v = processor->find("do_resize"); v && !v->boolean()) v->fail("true: images are brought to a size here");
  const auto size = processor->find("size");
  if (!size) return;
  if (size->is(Json::Kind::number)) {  // as before release 4.26, where the longer side stood beside it
    out.set("evaluate.side", size->integer());
    out.set("evaluate.longest", DetectionPreparation{}.longest);
    out.number(*processor, "max_size", "evaluate.longest");
    return;
  }
  if (!size->has("shortest_edge") || !size->has("longest_edge")) size->fail("shortest_edge and longest_edge: images keep their ratio here");
  out.needed(*size, "shortest_edge", "evaluate.side");
  out.needed(*size, "longest_edge", "evaluate.longest");
}

std::string detection_preprocessor_text(const DetectionPreparation& images, std::int64_t channels) {
  const std::int64_t longest = images.longest > 0 ? images.longest : kLongest;
  JsonMembers all{{"image_processor_type", data::json_string("DetrImageProcessor")},
                  {"format", data::json_string("coco_detection")},
                  {"do_resize", "true"},
                  {"size", json_object({{"shortest_edge", json_number(images.side)}, {"longest_edge", json_number(longest)}})},
                  {"resample", resample_text(images.filter)},
                  {"do_convert_annotations", "true"},
                  {"do_pad", "true"}};
  append(all, normalization_members(images.mean, images.deviation, channels));
  return json_object(all) + "\n";
}

}  // namespace capstan::formats
