#include "recipes/tasks/image_classification/classify.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/answer_pictures.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/image_classification/pictures.h"

namespace capstan::image_classification {
namespace {

std::vector<float> softmax_of(std::span<const float> logits) {
  const float top = *std::ranges::max_element(logits);
  std::vector<float> p;
  double sum = 0;
  for (const float v : logits) {
    p.push_back(std::exp(v - top));
    sum += p.back();
  }
  for (float& v : p) v = static_cast<float>(v / sum);
  return p;
}

/// Without the closing brace of a JSON object.
std::string open_json(const engine::JsonRow& row) {
  std::string text = engine::to_json(row);
  text.pop_back();
  return text;
}

}  // namespace

Classifier::Classifier(const Options& options, bool json, std::vector<std::string> class_names, const data::ImagePipeline& pipeline,
                       const Dataset* data)
    : options_(options), json_(json), class_names_(std::move(class_names)), pipeline_(pipeline), data_(data) {
  require<InternalError>(options_.predict.input == PredictInput::paths || data_ != nullptr,
                         "classify: predict.input = indices needs the data");
  if (options_.predict.pictures.empty()) return;
  options_.predict.pictures = engine::expand_home(options_.predict.pictures);
  engine::make_picture_directory(options_.predict.pictures);
}

data::Image Classifier::test_image(std::string_view text) const {
  const std::int64_t index = engine::number_below(text, data_->size(engine::Split::test), "a test image");
  const Example example = data_->read(engine::Split::test, index);
  require<DataError>(!example.substitute, "the image file is broken or cannot be read");
  return pipeline_.shown(example.view);
}

Query Classifier::read(std::string text, std::int64_t line) const {
  return engine::named_by(join_text("line ", line), [&] {
    const bool paths = options_.predict.input == PredictInput::paths;
    require<DataError>(!text.empty(), "the line is empty, expected ", paths ? "the path of an image" : "the number of a test image");
    data::Image image = paths ? pipeline_.shown(data::read_image(text, {.max_pixels = options_.data.max_pixels})) : test_image(text);
    return Query{.line = line, .text = std::move(text), .image = std::move(image)};
  });
}

std::vector<std::string> Classifier::answer(std::span<const Query> queries, const Logits& logits, const Look& look) const {
  const data::PipelineOptions& form = pipeline_.options();
  const Tensor images(Shape{static_cast<std::int64_t>(queries.size()), form.channels, form.size, form.size});
  const auto n = static_cast<std::size_t>(pipeline_.numel()), classes = class_names_.size();
  const auto planes = [&](std::size_t place) { return images.span<float>().subspan(place * n, n); };
  for (std::size_t i = 0; i < queries.size(); ++i) data::normalize(queries[i].image, form.normalization, planes(i));
  const Tensor all = logits(images).contiguous();  // [queries, classes]

  std::vector<std::string> answers;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!options_.predict.pictures.empty()) {
      const Shape one{1, form.channels, form.size, form.size};
      draw(queries[i], look(Tensor::from(std::span<const float>(planes(i)), one)));
    }
    answers.push_back(text_of(queries[i], all.span<const float>().subspan(i * classes, classes)));
  }
  return answers;
}

std::string Classifier::text_of(const Query& q, std::span<const float> logits) const {
  const std::vector<float> p = softmax_of(logits);
  std::string out = json_ ? open_json({{"input", q.text}}) + ",\"classes\":[" : q.text;
  bool first = true;
  for (const std::int64_t c : engine::top_k(p, options_.predict.top)) {
    const std::string& name = class_names_[static_cast<std::size_t>(c)];
    const double probability = std::round(p[static_cast<std::size_t>(c)] * 1e6) / 1e6;
    out += json_ ? join_text(first ? "" : ",", engine::to_json({{"class", name}, {"probability", probability}}))
                 : join_text("\t", name, "\t", probability);
    first = false;
  }
  return json_ ? out + "]}" : out;
}

void Classifier::draw(const Query& q, const Attention& attention) const {
  const AttentionPictures pictures =
      attention_pictures(q.image, attention.probabilities, attention.grid, attention.class_token, options_.predict.picture_size);
  const std::string stem = engine::picture_stem(options_.predict.pictures, q.line, q.text);
  data::write_png(stem + "-heads.png", pictures.heads);
  data::write_png(stem + "-rollout.png", pictures.rollout);
}

}  // namespace capstan::image_classification
