#include "recipes/tasks/masked_lm/predict.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/softmax.h"
#include "data/text/unicode.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/tasks/masked_lm/losses.h"
#include "recipes/tasks/text/pair.h"

namespace capstan::masked_lm {
namespace {

constexpr std::string_view kMask = "[MASK]", kCls = "[CLS]", kSep = "[SEP]", kContinuation = "##";

double rounded(float value) { return std::nearbyint(static_cast<double>(value) * 1e6) / 1e6; }

void append_number(std::string& out, double value) {
  std::array<char, 32> text{};
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

/// One vector, [width], for the last layer of a text's tokens, [tokens, width].
void pool(SentenceVector kind, std::span<const float> tokens, std::span<float> to) {
  const std::size_t width = to.size(), count = kind == SentenceVector::cls ? 1 : tokens.size() / width;
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0;
    float greatest = tokens[c];
    for (std::size_t t = 0; t < count; ++t) {
      sum += static_cast<double>(tokens[t * width + c]);
      greatest = std::max(greatest, tokens[t * width + c]);
    }
    to[c] = kind == SentenceVector::max ? greatest : static_cast<float>(sum / static_cast<double>(count));
  }
}

/// To Euclidean norm 1; a vector of zeros stays.
void normalize(std::span<float> row) {
  double squares = 0;
  for (const float x : row) squares += static_cast<double>(x) * static_cast<double>(x);
  const double norm = std::sqrt(squares);
  if (norm > 0)
    for (float& x : row) x = static_cast<float>(static_cast<double>(x) / norm);
}

/// An object of JSON without its last brace, for more to follow.
std::string open_json(const engine::JsonRow& row) {
  std::string text = engine::to_json(row);
  text.pop_back();
  return text;
}

/// The same options for text that may hold special tokens.
data::TokenizerOptions with_specials(data::TokenizerOptions options, const data::Vocabulary& vocabulary) {
  for (const std::string_view token : {kMask, kCls, kSep, std::string_view("[UNK]"), std::string_view("[PAD]")})
    if (vocabulary.find(token) >= 0) options.protected_tokens.emplace_back(token);
  return options;
}

/// Whether a task reads a whole line, in which a tab is white space.
bool reads_lines(PredictTask task) { return task == PredictTask::features || task == PredictTask::vectors; }

/// The line with one token in place of each [MASK]; a continuation joins what is before it.
std::string filled(std::string_view line, std::span<const std::string> tokens) {
  std::string out;
  for (const std::string& token : tokens) {
    const auto at = line.find(kMask);
    if (at == std::string_view::npos) break;
    out += line.substr(0, at);
    line.remove_prefix(at + kMask.size());
    const bool joins = token.starts_with(kContinuation);
    if (joins && out.ends_with(' ')) out.pop_back();
    out += joins ? token.substr(kContinuation.size()) : token;
  }
  out += line;
  std::ranges::replace(out, '\t', ' ');  // tabs part the columns of an answer
  return out;
}

}  // namespace

Predictor::Predictor(const Network& network, const data::Vocabulary& vocabulary, data::TokenizerOptions tokenizer,
                     const PredictOptions& options, bool json)
    : network_(network),
      vocabulary_(vocabulary),
      options_(options),
      json_(json),
      tokenizer_(vocabulary,
                 options.task == PredictTask::features ? std::move(tokenizer) : with_specials(std::move(tokenizer), vocabulary)),
      length_(options.max_length > 0 ? options.max_length : network.max_length) {}

Query Predictor::read(std::string line, std::int64_t number) const {
  Query q{.number = number, .line = std::move(line), .task = options_.task, .tokens = {}};
  const text::Texts texts = text::split_pair(q.line, /*at_tabs=*/!reads_lines(q.task));
  std::vector<std::int32_t> a = tokenizer_.encode(texts.a), b = tokenizer_.encode(texts.b);
  const std::int32_t mask = vocabulary_.id(kMask), cls = vocabulary_.id(kCls), sep = vocabulary_.id(kSep);
  const std::ptrdiff_t masks = std::ranges::count(a, mask) + std::ranges::count(b, mask);
  if (q.task == PredictTask::automatic) q.task = masks > 0 ? PredictTask::fill : PredictTask::next_sentence;
  if (q.task == PredictTask::fill) require<DataError>(masks > 0, "line ", number, ": there is no [MASK] to fill in ", text::quoted(q.line));
  if (q.task == PredictTask::next_sentence)
    require<DataError>(texts.two && !a.empty() && !b.empty(), "line ", number, ": found ", text::quoted(q.line),
                       ", expected two texts with ' ||| ' or a tab between them",
                       options_.task == PredictTask::automatic ? ", or a text with [MASK]" : "");

  const bool own_specials = !texts.two && !a.empty() && a.front() == cls;
  if (own_specials) {
    a.erase(a.begin());
    if (!a.empty() && a.back() == sep) a.pop_back();
  }
  const auto room = static_cast<std::size_t>(length_ - (texts.two ? 3 : 2));
  require<DataError>(q.task != PredictTask::fill || a.size() + b.size() <= room, "line ", number, ": the text has ", a.size() + b.size(),
                     " tokens, the model reads ", room);
  text::truncate_pair(a, b, room);

  std::vector<std::int32_t>& ids = q.tokens.ids;
  ids.push_back(cls);
  ids.insert(ids.end(), a.begin(), a.end());
  ids.push_back(sep);
  q.tokens.first_segment = static_cast<std::int32_t>(ids.size());
  if (own_specials) q.tokens.first_segment = static_cast<std::int32_t>(std::ranges::find(ids, sep) - ids.begin() + 1);
  if (texts.two) {
    ids.insert(ids.end(), b.begin(), b.end());
    ids.push_back(sep);
  }
  if (q.task == PredictTask::fill)
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] == mask) {
        q.tokens.positions.push_back(static_cast<std::int32_t>(i));
        q.tokens.labels.push_back(mask);
      }
  return q;
}

std::string Predictor::fill(const Query& q, const Tensor& probabilities) const {
  const auto width = static_cast<std::size_t>(probabilities.size(1));
  std::vector<std::string> chosen;
  std::string groups;
  for (std::size_t m = 0; m < q.tokens.positions.size(); ++m) {
    const auto row = probabilities.span<const float>().subspan(m * width, width);
    const auto best = engine::top_k(row, options_.top);
    chosen.push_back(vocabulary_.token(static_cast<std::int32_t>(best.front())));
    groups += json_ ? (m > 0 ? ",[" : "[") : join_text("\t", kMask);
    for (std::size_t k = 0; k < best.size(); ++k) {
      const std::string& token = vocabulary_.token(static_cast<std::int32_t>(best[k]));
      const double p = rounded(row[static_cast<std::size_t>(best[k])]);
      groups +=
          json_ ? join_text(k > 0 ? "," : "", engine::to_json({{"token", token}, {"probability", p}})) : join_text("\t", token, "\t", p);
    }
    if (json_) groups += "]";
  }
  const std::string text = filled(q.line, chosen);
  return json_ ? join_text(open_json({{"line", q.number}, {"text", text}}), R"(,"masks":[)", groups, "]}") : text + groups;
}

std::string Predictor::next_sentence(const Query& q, float probability) const {
  const std::string label = probability >= 0.5f ? "next" : "random";
  const double p = rounded(probability);
  return json_ ? engine::to_json({{"line", q.number}, {"label", label}, {"probability", p}}) : join_text(label, "\t", p);
}

std::string Predictor::features(const Query& q, std::span<const Tensor> layers, std::int64_t first) const {
  std::string out = join_text(open_json({{"linex_index", q.number - 1}}), R"(,"features":[)");
  const auto width = static_cast<std::size_t>(layers.front().size(1));
  for (std::size_t i = 0; i < q.tokens.ids.size(); ++i) {
    out += join_text(i > 0 ? "," : "", open_json({{"token", vocabulary_.token(q.tokens.ids[i])}}), R"(,"layers":[)");
    for (std::size_t l = 0; l < layers.size(); ++l) {
      out += join_text(l > 0 ? "," : "", R"({"index":)", options_.layers[l], R"(,"values":[)");
      const auto row = layers[l].span<const float>().subspan((static_cast<std::size_t>(first) + i) * width, width);
      for (std::size_t c = 0; c < width; ++c) {
        if (c > 0) out += ',';
        append_number(out, rounded(row[c]));
      }
      out += "]}";
    }
    out += "]}";
  }
  return out + "]}";
}

std::string Predictor::vector(const Query& q, std::span<const float> values) const {
  std::string out = json_ ? join_text(open_json({{"line", q.number}}), R"(,"vector":[)") : "";
  for (std::size_t c = 0; c < values.size(); ++c) {
    if (c > 0) out += json_ ? ',' : '\t';
    append_number(out, rounded(values[c]));
  }
  return json_ ? out + "]}" : out;
}

std::int64_t Predictor::row_width() const { return options_.task == PredictTask::vectors ? network_.width : 0; }

Batch Predictor::batch_of(std::span<const Query> queries) const {
  std::vector<data::Instance> instances;
  std::size_t longest = 0;
  for (const Query& q : queries) {
    instances.push_back(q.tokens);
    longest = std::max(longest, q.tokens.ids.size());
  }
  return make_batch(instances, static_cast<std::int64_t>(longest), network_.packed, vocabulary_.id("[PAD]"));
}

Tensor Predictor::rows(std::span<const Query> queries, const nn::Run& run) const {
  const Batch batch = batch_of(queries);
  const Tensor encoded = network_.encode(batch.ids, batch.segments, batch.layout, run);
  Tensor out(Shape{static_cast<std::int64_t>(queries.size()), network_.width});
  const auto width = static_cast<std::size_t>(network_.width);
  if (options_.vector == SentenceVector::pooled) {
    const Tensor pooled = cast(network_.pooled(encoded, batch.layout), DType::f32).contiguous();
    std::ranges::copy(pooled.span<const float>(), out.span<float>().begin());
  } else {
    const Tensor last = cast(encoded, DType::f32).contiguous();
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const auto first = static_cast<std::size_t>(batch.layout.first.data<const std::int64_t>()[i]);
      pool(options_.vector, last.span<const float>().subspan(first * width, queries[i].tokens.ids.size() * width),
           out.span<float>().subspan(i * width, width));
    }
  }
  if (options_.normalize)
    for (std::size_t i = 0; i < queries.size(); ++i) normalize(out.span<float>().subspan(i * width, width));
  return out;
}

std::vector<std::string> Predictor::answer(std::span<const Query> queries, const nn::Run& run) const {
  std::vector<std::string> answers;
  if (options_.task == PredictTask::vectors) {
    const Tensor vectors = rows(queries, run);
    const auto width = static_cast<std::size_t>(network_.width);
    for (std::size_t i = 0; i < queries.size(); ++i)
      answers.push_back(vector(queries[i], vectors.span<const float>().subspan(i * width, width)));
    return answers;
  }
  const Batch batch = batch_of(queries);
  const std::vector<Tensor> layers = network_.all_layers(batch.ids, batch.segments, batch.layout, run);
  const Tensor& x = layers.back();
  Tensor next;
  if (std::ranges::any_of(queries, [](const Query& q) { return q.task == PredictTask::next_sentence; }))
    next = softmax(cast(network_.next_sentence_logits(x, batch.layout), DType::f32), 1).contiguous();
  std::vector<Tensor> wanted;
  if (options_.task == PredictTask::features)
    for (const std::int64_t layer : options_.layers)
      wanted.push_back(cast(layers[static_cast<std::size_t>(static_cast<std::int64_t>(layers.size()) + layer)], DType::f32).contiguous());

  std::int64_t mask = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const Query& q = queries[i];
    if (q.task == PredictTask::features) {
      answers.push_back(features(q, wanted, batch.layout.first.data<const std::int64_t>()[i]));
    } else if (q.task == PredictTask::fill) {
      const auto count = static_cast<std::int64_t>(q.tokens.positions.size());
      const Tensor places = batch.masked.view(batch.masked.layout().slice(0, mask, count)).contiguous();
      mask += count;
      const Tensor logits = vocabulary_logits(network_, network_.transformed(x, places));
      answers.push_back(fill(q, softmax(cast(logits, DType::f32), 1).contiguous()));
    } else {
      answers.push_back(next_sentence(q, next.span<const float>()[2 * i]));
    }
  }
  return answers;
}

}  // namespace capstan::masked_lm
