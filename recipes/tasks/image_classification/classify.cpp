#include "recipes/tasks/image_classification/classify.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
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
  std::error_code error;
  std::filesystem::create_directories(options_.predict.pictures, error);
  require<IoError>(!error, options_.predict.pictures, ": cannot create the directory: ", error.message());
}

data::Image Classifier::test_image(Query& q) const {
  const std::int64_t count = data_->size(engine::Split::test);
  std::int64_t index = -1;
  const char* end = q.text.data() + q.text.size();
  const auto [stop, error] = std::from_chars(q.text.data(), end, index);
  require<DataError>(error == std::errc() && stop == end && index >= 0 && index < count, "line ", q.line,
                     ": expected the number of a test image, 0 .. ", count - 1, ", found '", q.text, "'");
  const Example example = data_->read(engine::Split::test, index);
  if (!example.substitute) return pipeline_.shown(example.view);
  q.fault = "the image file is broken or cannot be read";
  return {};
}

Query Classifier::read(std::string text, std::int64_t line) const {
  Query q{.line = line, .text = std::move(text), .fault = {}, .image = {}};
  const bool paths = options_.predict.input == PredictInput::paths, skip = options_.data.broken == data::Broken::skip;
  require<DataError>(!q.text.empty(), "line ", line, ": the line is empty, expected ",
                     paths ? "the path of an image" : "the number of a test image");
  if (!paths) {
    q.image = test_image(q);
    return q;
  }
  try {
    q.image = pipeline_.shown(data::read_image(q.text, {.max_pixels = options_.data.max_pixels}));
  } catch (const DataError& e) {
    require<DataError>(skip, "line ", line, ": ", e.what());
    q.fault = e.what();
  } catch (const IoError& e) {
    require<IoError>(skip, "line ", line, ": ", e.what());
    q.fault = e.what();
  }
  return q;
}

std::vector<std::string> Classifier::answer(std::span<const Query> queries, const Logits& logits, const Look& look) const {
  const data::PipelineOptions& form = pipeline_.options();
  const auto sound = std::ranges::count_if(queries, [](const Query& q) { return q.fault.empty(); });
  const Tensor images(Shape{sound, form.channels, form.size, form.size});
  const auto n = static_cast<std::size_t>(pipeline_.numel()), classes = class_names_.size();
  const auto planes = [&](std::size_t place) { return images.span<float>().subspan(place * n, n); };
  std::size_t place = 0;
  for (const Query& q : queries)
    if (q.fault.empty()) data::normalize(q.image, form.normalization, planes(place++));
  Tensor all;  // [sound, classes]
  if (sound > 0) all = logits(images).contiguous();

  std::vector<std::string> answers;
  place = 0;
  for (const Query& q : queries) {
    std::span<const float> row;
    if (q.fault.empty()) {
      row = all.span<const float>().subspan(place * classes, classes);
      if (!options_.predict.pictures.empty()) {
        const Shape one{1, form.channels, form.size, form.size};
        draw(q, look(Tensor::from(std::span<const float>(planes(place)), one)));
      }
      ++place;
    }
    answers.push_back(text_of(q, row));
  }
  return answers;
}

std::string Classifier::text_of(const Query& q, std::span<const float> logits) const {
  if (!q.fault.empty()) return json_ ? engine::to_json({{"input", q.text}, {"error", q.fault}}) : q.text + "\t-\t" + q.fault;
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
  std::string digits = std::to_string(q.line);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  const std::string stem = options_.predict.pictures + "/" + digits + "-" + std::filesystem::path(q.text).stem().string();
  data::write_png(stem + "-heads.png", pictures.heads);
  data::write_png(stem + "-rollout.png", pictures.rollout);
}

}  // namespace capstan::image_classification
