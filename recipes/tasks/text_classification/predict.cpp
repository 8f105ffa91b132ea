#include "recipes/tasks/text_classification/predict.h"

#include <cmath>

#include "autograd/core/error.h"
#include "data/text/unicode.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/text/pair.h"
#include "recipes/tasks/text_classification/evaluation.h"

namespace capstan::text_classification {
namespace {

double rounded(float value) { return std::nearbyint(static_cast<double>(value) * 1e6) / 1e6; }

bool is_blank(std::string_view text) { return data::unicode::strip(text).empty(); }

}  // namespace

Query read_query(const Encoder& encoder, const std::string& line, std::int64_t number, bool pairs) {
  Query out{.tokens = {}, .line = number};
  if (!pairs) {
    require<DataError>(!is_blank(line), "line ", number, ": there is no text");
    encoder.add(line, out.tokens);
    return out;
  }
  const text::Texts texts = text::split_pair(line, /*at_tabs=*/true);
  require<DataError>(texts.two && !is_blank(texts.a) && !is_blank(texts.b), "line ", number, ": found ", text::quoted(line),
                     ", expected two texts with ' ||| ' or a tab between them: the model was trained on pairs");
  encoder.add(texts.a, texts.b, out.tokens);
  return out;
}

std::vector<std::string> answers_of(const Tensor& logits, const std::vector<std::string>& class_names, bool json) {
  const Tensor rows = logits.contiguous();
  const auto width = static_cast<std::size_t>(rows.size(1));
  std::vector<std::string> answers;
  for (auto rest = rows.span<const float>(); !rest.empty(); rest = rest.subspan(width)) {
    const auto row = rest.first(width);
    if (class_names.empty()) {
      const double value = rounded(row[0]);
      answers.push_back(json ? engine::to_json({{"value", value}}) : join_text(value));
      continue;
    }
    const std::vector<float> p = probabilities(row);
    const std::string& label = class_names[static_cast<std::size_t>(engine::top_k(row, 1).at(0))];
    std::string out = label;
    engine::JsonRow named;
    for (std::size_t c = 0; c < width; ++c) {
      named.emplace_back(class_names[c], rounded(p[c]));
      out += join_text("\t", rounded(p[c]));
    }
    answers.push_back(json ? join_text(R"({"label":)", engine::json_string(label), R"(,"probabilities":)", engine::to_json(named), "}")
                           : out);
  }
  return answers;
}

}  // namespace capstan::text_classification
