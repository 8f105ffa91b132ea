#include "recipes/tasks/span_extraction/predict.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/text/unicode.h"
#include "recipes/tasks/span_extraction/batch.h"
#include "recipes/tasks/text/pair.h"

namespace capstan::span_extraction {
namespace {

double rounded(double value) { return std::nearbyint(value * 1e6) / 1e6; }

std::pair<std::string, std::string> question_and_context(const std::string& line, std::int64_t number) {
  if (data::unicode::strip(line).starts_with('{')) {
    const data::Json both = data::parse_json(line, join_text("line ", number));
    return {std::string(both["question"].text()), std::string(both["context"].text())};
  }
  const text::Texts texts = text::split_pair(line, /*at_tabs=*/true);
  require<DataError>(texts.two, "line ", number, ": expected 'question ||| context', or a tab between them, or a JSON object, found ",
                     text::quoted(line));
  return {std::string(texts.a), std::string(texts.b)};
}

/// The members of an answer in JSON, without braces.
std::string members(const Answer& a) {
  const auto place = [](std::int64_t at) { return at < 0 ? std::string("null") : join_text(at); };
  return join_text("\"answer\":", data::json_string(a.text), ",\"probability\":", rounded(a.probability), ",\"start\":", place(a.begin),
                   ",\"end\":", place(a.end));
}

}  // namespace

Predictor::Predictor(const Network& network, const data::Tokenizer& tokenizer, const Decoder& decoder, const Form& form)
    : network_(network), tokenizer_(tokenizer), decoder_(decoder), form_(form) {}

Query Predictor::read(std::string line, std::int64_t number) const {
  if (!data::unicode::is_valid_utf8(line)) line = data::unicode::to_utf8(data::unicode::to_utf32(line));
  auto [question, context] = question_and_context(line, number);
  Query q{.number = number, .question = tokenizer_.encode(question), .context = Document(std::move(context), tokenizer_)};
  require<DataError>(!q.question.empty(), "line ", number, ": there is no question in ", text::quoted(line));
  require<DataError>(q.context.pieces() > 0, "line ", number, ": there is no context in ", text::quoted(line));
  q.question.resize(std::min(q.question.size(), static_cast<std::size_t>(form_.windows.question_length)));
  return q;
}

std::vector<std::string> Predictor::answer(std::span<const Query> queries, const nn::Run& run) const {
  std::vector<std::vector<Span>> spans;  // of each query
  std::vector<Window> windows;           // of all
  for (const Query& q : queries) {
    spans.push_back(span_extraction::windows(q.context.pieces(), form_.windows.capacity(std::ssize(q.question)), form_.windows.stride));
    for (const Span& pieces : spans.back()) windows.push_back(make_window(q.question, q.context, pieces, {}, tokenizer_.vocabulary()));
  }
  std::vector<WindowLogits> logits;
  for (std::span<const Window> left = windows; !left.empty();) {
    const auto some = left.first(std::min(left.size(), static_cast<std::size_t>(form_.batch_size)));
    const Batch batch = make_batch(some, form_.windows.length, tokenizer_.vocabulary().id("[PAD]"));
    std::ranges::move(window_logits(network_, batch, run), std::back_inserter(logits));
    left = left.subspan(some.size());
  }
  std::vector<std::string> lines;
  std::span<const WindowLogits> left = logits;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const Query& q = queries[i];
    lines.push_back(this->line(q, decoder_({q.context, spans[i], std::ssize(q.question)}, left.first(spans[i].size()))));
    left = left.subspan(spans[i].size());
  }
  return lines;
}

std::string Predictor::line(const Query& query, const Answers& answers) const {
  const Answer& best = answers.answer();
  if (!form_.json) {
    std::string text = best.text;
    std::ranges::replace_if(
        text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    return join_text(text, "\t", rounded(best.probability), "\t", best.begin, "\t", best.end);
  }
  std::string out = join_text("{\"line\":", query.number, ",", members(best));
  if (decoder_.options.unanswerable) out += join_text(",\"null_odds\":", rounded(answers.null_odds));
  out += ",\"n_best\":[";
  for (std::size_t i = 0; i < std::min(answers.n_best.size(), static_cast<std::size_t>(form_.top)); ++i)
    out += join_text(i > 0 ? "," : "", "{", members(answers.n_best[i]), "}");
  return out + "]}";
}

}  // namespace capstan::span_extraction
