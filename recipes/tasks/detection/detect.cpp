#include "recipes/tasks/detection/detect.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/json.h"
#include "data/output_file.h"
#include "recipes/engine/recipe.h"
#include "recipes/engine/report/answer_pictures.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/evaluation.h"
#include "recipes/tasks/detection/pictures.h"

namespace capstan::detection {
namespace {

using data::at;

double rounded(double v, double digits) { return std::round(v * digits) / digits; }

}  // namespace

struct Detector::Object {
  std::string name;
  std::int64_t label = 0, query = 0;
  double score = 0;
  data::Box box;
};

Detector::Detector(const Options& options, bool json, std::vector<std::string> class_names, ImageForm form, const Dataset* data)
    : options_(options), json_(json), class_names_(std::move(class_names)), form_(std::move(form)), data_(data) {
  require<InternalError>(options_.predict.input == PredictInput::paths || data_ != nullptr,
                         "detect: predict.input = indices needs the data");
  if (!draws()) return;
  options_.predict.pictures = engine::expand_home(options_.predict.pictures);
  engine::make_picture_directory(options_.predict.pictures);
}

Query Detector::read(std::string text, std::int64_t line) const {
  return engine::named_by(join_text("line ", line), [&] {
    const bool paths = options_.predict.input == PredictInput::paths;
    require<DataError>(!text.empty(), "the line is empty, expected ", paths ? "the path of an image" : "the number of a test image");
    data::Image image = paths ? data::read_image(text, {.max_pixels = options_.data.max_pixels}) : test_image(text);
    return Query{.line = line, .text = std::move(text), .image = std::move(image)};
  });
}

data::Image Detector::test_image(std::string_view text) const {
  const std::int64_t index = engine::number_below(text, data_->size(engine::Split::test), "a test image");
  return data_->read(engine::Split::test, index).image;
}

std::vector<std::string> Detector::answer(std::span<const Query> queries, const Look& look) const {
  std::vector<data::Image> shown;
  for (const Query& q : queries) shown.push_back(for_evaluation(q.image, form_));
  const Pixels pixels = padded(shown, form_);
  const Attended seen = look(pixels.images, pixels.real);
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const std::vector<Object> objects = objects_in(seen.answers, static_cast<std::int64_t>(i), queries[i].image);
    if (draws()) draw(queries[i], objects, seen, static_cast<std::int64_t>(i), pixels.images);
    answers.push_back(text_of(queries[i], objects));
  }
  return answers;
}

std::vector<Detector::Object> Detector::objects_in(const Answers& answers, std::int64_t image, const data::Image& pixels) const {
  std::vector<Object> out;
  for (const Detection& d : detections_of(answers, image, pixels.height, pixels.width)) {
    const std::string& name = class_names_[at(d.found.category)];
    if (d.found.score < options_.predict.threshold || name == kNoCategory) continue;
    out.push_back({.name = name,
                   .label = d.found.category,
                   .query = d.query,
                   .score = d.found.score,
                   .box = data::clipped(d.found.box, static_cast<double>(pixels.width), static_cast<double>(pixels.height))});
  }
  std::ranges::stable_sort(out, std::ranges::greater{}, &Object::score);
  return out;
}

std::string Detector::text_of(const Query& q, std::span<const Object> objects) const {
  std::string out = json_ ? join_text("{\"input\":", data::json_string(q.text), ",\"objects\":[") : q.text;
  for (const Object& o : objects) {
    const double score = rounded(o.score, 1e6), x = rounded(o.box.x, 100), y = rounded(o.box.y, 100), width = rounded(o.box.width, 100),
                 height = rounded(o.box.height, 100);
    if (json_) {
      out += join_text(&o == objects.data() ? "" : ",", "{\"class\":", data::json_string(o.name), ",\"score\":", score, ",\"box\":[", x,
                       ",", y, ",", width, ",", height, "]}");
    } else {
      out += join_text('\t', o.name, '\t', score, '\t', x, '\t', y, '\t', width, '\t', height);
    }
  }
  return json_ ? out + "]}" : out;
}

void Detector::draw(const Query& q, std::span<const Object> objects, const Attended& seen, std::int64_t image, const Tensor& images) const {
  const std::string stem = engine::picture_stem(options_.predict.pictures, q.line, q.text);
  const auto drawn = [](const Object& o) {
    return DrawnBox{.box = o.box, .label = join_text(o.name, ' ', rounded(o.score, 100)), .category = o.label};
  };
  std::vector<DrawnBox> boxes;
  for (const Object& o : objects) boxes.push_back(drawn(o));
  data::write_output(stem + "-boxes.svg", boxes_svg(q.image, boxes));
  if (objects.empty() || options_.predict.attended == 0) return;

  // The grid lies over the padded images: of this one only the places that are real are drawn.
  const Tensor attention = seen.attention.contiguous();
  const std::int64_t rows = attention.size(2), columns = attention.size(3);
  const auto [height, width] = data::shorter_side_size(q.image.height, q.image.width, form_.side, form_.longest);
  const auto part = [](std::int64_t real, std::int64_t all, std::int64_t places) {
    return std::clamp<std::int64_t>((real * places + all - 1) / all, 1, places);
  };
  const std::int64_t own_rows = part(height, images.size(2), rows), own_columns = part(width, images.size(3), columns);
  std::vector<DrawnAttention> all;
  for (const Object& o : objects.first(std::min(objects.size(), at(options_.predict.attended)))) {
    DrawnAttention a{.box = drawn(o), .weights = {}, .rows = own_rows, .columns = own_columns};
    const float* const weights = attention.data<const float>() + (image * attention.size(1) + o.query) * rows * columns;
    for (std::int64_t y = 0; y < own_rows; ++y)
      a.weights.insert(a.weights.end(), weights + y * columns, weights + y * columns + own_columns);
    all.push_back(std::move(a));
  }
  data::write_output(stem + "-attention.svg", attention_svg(q.image, all));
}

}  // namespace capstan::detection
