#include "recipes/vit/classify.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <ostream>
#include <span>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/command/answer_lines.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/vit/pictures.h"

namespace capstan::vit {
namespace {

struct Query {
  std::int64_t line = 0;
  std::string text, fault;
  data::Image image;  ///< as the model sees it
};

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

std::string answer(const Query& q, std::span<const float> logits, const std::vector<std::string>& names, const PredictOptions& options) {
  const bool tsv = options.format == PredictFormat::tsv;
  if (!q.fault.empty()) return tsv ? q.text + "\t-\t" + q.fault : engine::to_json({{"input", q.text}, {"error", q.fault}});
  const std::vector<float> p = softmax_of(logits);
  std::string out = tsv ? q.text : open_json({{"input", q.text}}) + ",\"classes\":[";
  bool first = true;
  for (const std::int64_t c : engine::top_k(p, options.top)) {
    const std::string& name = names[static_cast<std::size_t>(c)];
    const double probability = std::round(p[static_cast<std::size_t>(c)] * 1e6) / 1e6;
    out += tsv ? join_text("\t", name, "\t", probability)
               : join_text(first ? "" : ",", engine::to_json({{"class", name}, {"probability", probability}}));
    first = false;
  }
  return tsv ? out : out + "]}";
}

class Reader {
 public:
  Reader(const Config& config, const data::ImagePipeline& pipeline, const Dataset* data)
      : config_(config), pipeline_(pipeline), data_(data) {
    require<InternalError>(config.predict.input == PredictInput::paths || data != nullptr,
                           "classify: predict.input = indices needs the data");
  }
  Query read(std::string text, std::int64_t line) const {
    Query q{.line = line, .text = std::move(text), .fault = {}, .image = {}};
    require<DataError>(!q.text.empty(), "line ", line, ": the line is empty, expected ",
                       config_.predict.input == PredictInput::paths ? "the path of an image" : "the number of a test image");
    if (config_.predict.input == PredictInput::indices) {
      std::int64_t index = -1;
      const char* end = q.text.data() + q.text.size();
      const auto [stop, error] = std::from_chars(q.text.data(), end, index);
      require<DataError>(error == std::errc() && stop == end && index >= 0 && index < data_->size(Part::test), "line ", line,
                         ": expected the number of a test image, 0 .. ", data_->size(Part::test) - 1, ", found '", q.text, "'");
      const Example example = data_->read(Part::test, index);
      if (example.substitute) {
        q.fault = "the image file is broken or cannot be read";
      } else {
        q.image = pipeline_.shown(example.view);
      }
      return q;
    }
    try {
      q.image = pipeline_.shown(data::read_image(q.text, {.max_pixels = config_.data.max_pixels}));
    } catch (const DataError& e) {
      require<DataError>(config_.data.broken == data::Broken::skip, "line ", line, ": ", e.what());
      q.fault = e.what();
    } catch (const IoError& e) {
      require<IoError>(config_.data.broken == data::Broken::skip, "line ", line, ": ", e.what());
      q.fault = e.what();
    }
    return q;
  }

 private:
  const Config& config_;
  const data::ImagePipeline& pipeline_;
  const Dataset* data_;
};

void draw(const Query& q, const PredictOptions& options, const Tensor& image, const Predictor& predictor) {
  const auto attention = predictor.with_attention(image);
  const AttentionPictures pictures = attention_pictures(q.image, attention.probabilities, predictor.grid(q.image.height, q.image.width),
                                                        predictor.class_token, options.picture_size);
  std::string digits = std::to_string(q.line);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  const std::string stem = options.pictures + "/" + digits + "-" + std::filesystem::path(q.text).stem().string();
  data::write_png(stem + "-heads.png", pictures.heads);
  data::write_png(stem + "-rollout.png", pictures.rollout);
}

}  // namespace

void classify(const Config& config, const std::vector<std::string>& class_names, const Dataset* data, const Predictor& predictor,
              std::istream& in, std::ostream& out) {
  const data::ImagePipeline pipeline(config.pipeline());
  const data::PipelineOptions& shape = pipeline.options();
  const Reader reader(config, pipeline, data);
  if (!config.predict.pictures.empty()) {
    std::error_code error;
    std::filesystem::create_directories(config.predict.pictures, error);
    require<IoError>(!error, config.predict.pictures, ": cannot create the directory: ", error.message());
  }

  std::vector<Query> queries;
  const auto answer_all = [&] {
    const auto sound = std::ranges::count_if(queries, [](const Query& q) { return q.fault.empty(); });
    Tensor logits;
    const Tensor images(Shape{sound, shape.channels, shape.size, shape.size});
    const auto n = static_cast<std::size_t>(pipeline.numel());
    std::size_t place = 0;
    for (const Query& q : queries)
      if (q.fault.empty()) data::normalize(q.image, shape.normalization, images.span<float>().subspan(place++ * n, n));
    if (sound > 0) logits = predictor.logits(images).contiguous();
    place = 0;
    for (const Query& q : queries) {
      std::span<const float> row;
      if (q.fault.empty()) {
        row = logits.span<const float>().subspan(place * class_names.size(), class_names.size());
        if (!config.predict.pictures.empty())
          draw(q, config.predict,
               Tensor::from(std::span<const float>(images.span<float>().subspan(place * n, n)),
                            Shape{1, shape.channels, shape.size, shape.size}),
               predictor);
        ++place;
      }
      out << answer(q, row, class_names, config.predict) << '\n';
    }
    queries.clear();
  };

  engine::answer_lines(
      in, out, config.evaluate.batch_size,
      [&](std::string line, std::int64_t number) { queries.push_back(reader.read(std::move(line), number)); }, answer_all);
}

}  // namespace capstan::vit
