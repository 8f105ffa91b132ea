#include "recipes/tasks/language_modelling/writer.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "nn/generation/generator.h"
#include "recipes/tasks/language_modelling/text_stream.h"

namespace capstan::language_modelling {
namespace {

/// A line that is being written.
struct Line {
  TextStream stream;
  std::vector<std::int64_t> tokens;  // of the prompt, and written
  std::int64_t number = 0, prompt = 0, requests = 0;
  double sum = 0;      // of log-probabilities
  bool ended = false;  // by a stop, or by who reads
  std::int64_t written() const { return std::ssize(tokens) - prompt; }
};

}  // namespace

Writer::Writer(const Network& network, SharedVocabulary vocabulary, const GenerationOptions& options, std::int64_t lines)
    : vocabulary_(std::move(vocabulary)),
      options_(options),
      window_(network.max_positions),
      decoder_(network.decoder(
          {.lines = lines, .beams = options.beams, .max_length = window_, .weights = options.weights, .cache = options.cache})) {}

std::vector<std::int64_t> Writer::prompt(std::string_view text) const {
  std::vector<std::int64_t> tokens = vocabulary_->encode_prompt(text);
  require<DataError>(std::ssize(tokens) <= window_, "the prompt has ", tokens.size(), " tokens, the model's window ", window_);
  if (tokens.empty()) tokens = {vocabulary_->start()};
  return tokens;
}

std::vector<std::int64_t> Writer::stop_tokens() const {
  if (vocabulary_->end_of_text() < 0) return {};
  return {vocabulary_->end_of_text()};
}

std::vector<std::vector<text::Written>> Writer::operator()(std::span<const Prompt> prompts, const OnText& on_text) {
  if (options_.beams > 1) return search(prompts);
  std::vector<Line> lines;
  for (const Prompt& p : prompts)
    lines.push_back({.stream = TextStream(*vocabulary_, p.tokens, options_.stop),
                     .tokens = p.tokens,
                     .number = p.number,
                     .prompt = std::ssize(p.tokens)});
  std::map<std::int64_t, std::size_t> lines_of;  // of requests
  std::vector<std::size_t> full;                 // lines at the end of their window
  const auto deliver = [&](const nn::Generation& g) {
    const std::size_t i = lines_of.at(g.request);
    lines_of.erase(g.request);
    const bool cut = g.hypotheses.front().finish == nn::Finish::length && lines[i].written() < options_.max_length;
    if (cut && !lines[i].ended) full.push_back(i);
  };
  nn::Generator generator(*decoder_, {.deliver = deliver, .in_order = false});
  const auto submit = [&](std::size_t i) {
    Line& line = lines[i];
    const std::int64_t before = line.requests == 0 ? line.prompt : std::max<std::int64_t>(1, window_ / 2);
    nn::GenerationOptions search = text::search_options(options_, room_behind(before), stop_tokens());
    search.max_length = std::min(search.max_length, options_.max_length - line.written());
    search.min_length = std::clamp<std::int64_t>(options_.min_length - line.written(), 0, search.max_length);
    const auto number = static_cast<std::uint64_t>(line.number), request = static_cast<std::uint64_t>(line.requests++);
    const std::int64_t id = generator.submit({.prompt = {line.tokens.end() - before, line.tokens.end()},
                                              .options = std::move(search),
                                              .seed = random_key(static_cast<std::uint64_t>(options_.seed), "text", {number, request}),
                                              .on_token = [&line, &on_text, i](std::int64_t token, double log_probability) {
                                                line.tokens.push_back(token);
                                                line.sum += log_probability;
                                                const std::string_view shown = line.stream.add(token);
                                                const bool wanted = !on_text || on_text(i, shown);
                                                line.ended = line.stream.stopped() || !wanted;
                                                return !line.ended;
                                              }});
    lines_of.emplace(id, i);
  };
  const auto step = [&] {
    generator.step();
    for (const std::size_t i : std::exchange(full, {})) submit(i);
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    submit(i);
    while (generator.full()) step();
  }
  while (!generator.idle()) step();

  std::vector<std::vector<text::Written>> out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    Line& line = lines[i];
    const std::string_view rest = line.stream.finish();
    if (on_text && !rest.empty()) on_text(i, rest);
    const std::int64_t length = std::max<std::int64_t>(1, line.written());
    out.push_back({{std::string(line.stream.text()), nn::hypothesis_score(line.sum, length, options_.length_penalty)}});
  }
  return out;
}

std::vector<std::vector<text::Written>> Writer::search(std::span<const Prompt> prompts) {
  std::vector<std::vector<text::Written>> out(prompts.size());
  const auto deliver = [&](const nn::Generation& g) {
    const auto i = static_cast<std::size_t>(g.request);
    for (const nn::Hypothesis& h : g.hypotheses) {
      TextStream stream(*vocabulary_, prompts[i].tokens, options_.stop);
      for (const std::int64_t token : h.tokens) stream.add(token);
      stream.finish();
      out[i].push_back({std::string(stream.text()), h.score});
    }
  };
  nn::Generator generator(*decoder_, {.deliver = deliver, .in_order = false});
  for (const Prompt& p : prompts) {
    generator.submit({.prompt = p.tokens, .options = text::search_options(options_, room_behind(std::ssize(p.tokens)), stop_tokens())});
    while (generator.full()) generator.step();
  }
  generator.finish();
  return out;
}

}  // namespace capstan::language_modelling
