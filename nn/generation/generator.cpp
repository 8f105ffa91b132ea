#include "nn/generation/generator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/inference/top_k.h"

namespace capstan::nn {
namespace {

// A draw from more candidates looks at the whole row.
constexpr std::int64_t kMostLargest = 64;

void check_tokens(std::string_view what, std::span<const std::int64_t> tokens, std::int64_t vocabulary) {
  for (const std::int64_t t : tokens)
    require<ArgumentError>(t >= 0 && t < vocabulary, "generation: a token of the ", what, " is not in the vocabulary: token ", t,
                           ", vocabulary ", vocabulary);
}

void check_request(const GenerationRequest& r, const Decoder& d) {
  const GenerationOptions& o = r.options;
  check(o.choice);
  require<ArgumentError>(o.beams >= 1 && o.beams <= d.max_beams(),
                         "generation: beams must be between 1 and what the decoder has room for: ", o.beams, ", room for ", d.max_beams());
  require<ArgumentError>(o.hypotheses >= 1 && o.hypotheses <= o.beams,
                         "generation: hypotheses must be between 1 and the beams: ", o.hypotheses, ", beams ", o.beams);
  require<ArgumentError>(o.beams == 1 || !o.choice.draws(),
                         "generation: beam search draws nothing: top_k must be 1 with more than one beam: ", o.choice.top_k, ", beams ",
                         o.beams);
  require<ArgumentError>(o.beams == 1 || !r.on_token, "generation: tokens of a beam search are known at its end only: beams ", o.beams);
  require<ArgumentError>(std::isfinite(o.length_penalty) && std::isfinite(o.diversity),
                         "generation: length_penalty and diversity must be numbers: ", o.length_penalty, ", ", o.diversity);
  require<ArgumentError>(o.max_length >= 1 && o.min_length >= 0 && o.min_length <= o.max_length,
                         "generation: lengths must be 0 <= min_length <= max_length, 1 <= max_length: ", o.min_length, ", ", o.max_length);
  require<ArgumentError>(!r.prompt.empty(), "generation: a line begins with a token at least: prompt of ", r.prompt.size());
  require<ArgumentError>(std::ssize(r.prompt) + o.max_length - 1 <= d.max_length(),
                         "generation: prompt and max_length must fit the longest line: prompt ", r.prompt.size(), ", max_length ",
                         o.max_length, ", longest ", d.max_length());
  require<ArgumentError>(std::ssize(r.source) <= d.max_source() && r.source.empty() == (d.max_source() == 0),
                         "generation: the source must have between 1 and the greatest number of tokens (0: the decoder reads none): ",
                         r.source.size(), ", greatest ", d.max_source());
  check_tokens("prompt", r.prompt, d.vocabulary());
  check_tokens("source", r.source, d.source_vocabulary());
  check_tokens("stop tokens", o.stop_tokens, d.vocabulary());
  for (const std::vector<std::int64_t>& s : o.stop_sequences)
    require<ArgumentError>(!s.empty(), "generation: a stop sequence has a token at least");
}

/// How many of a beam's likeliest tokens a search looks at: some may end the line, and the beams must find successors even so.
std::int64_t successors(const GenerationOptions& o) { return o.beams + std::ssize(o.stop_tokens) + std::ssize(o.stop_sequences); }

bool is_stop(const GenerationOptions& o, std::int64_t token) { return std::ranges::find(o.stop_tokens, token) != o.stop_tokens.end(); }

}  // namespace

std::string to_text(Finish f) {
  switch (f) {
    case Finish::stop_token: return "stop_token";
    case Finish::stop_sequence: return "stop_sequence";
    case Finish::length: return "length";
    case Finish::caller: return "caller";
  }
  throw InternalError("generation: unknown finish");
}

Generator::Generator(Decoder& decoder, GeneratorOptions options) : decoder_(decoder), options_(std::move(options)) {
  require<ArgumentError>(static_cast<bool>(options_.deliver), "generation: there must be somebody to deliver to");
  for (std::int64_t place = decoder.max_lines(); place-- > 0;) free_places_.push_back(place);
  lines_.reserve(free_places_.size());
}

std::int64_t Generator::submit(GenerationRequest request) {
  check_request(request, decoder_);
  waiting_.emplace_back(submitted_, std::move(request));
  return submitted_++;
}

void Generator::enter() {
  const std::size_t before = lines_.size();
  while (!waiting_.empty() && !free_places_.empty()) {
    auto& [number, request] = waiting_.front();
    Line line{.number = number, .place = free_places_.back(), .request = std::move(request)};
    const GenerationOptions& o = line.request.options;
    line.nodes.reserve(static_cast<std::size_t>(o.max_length * o.beams));
    lines_.push_back(std::move(line));
    waiting_.pop_front();
    free_places_.pop_back();
  }
  if (lines_.size() == before) return;
  std::vector<Decoder::Line> entering;
  for (std::size_t i = before; i < lines_.size(); ++i) {
    const GenerationRequest& r = lines_[i].request;
    entering.push_back({.place = lines_[i].place, .source = r.source, .before = std::span(r.prompt).first(r.prompt.size() - 1)});
  }
  decoder_.begin(entering);
}

void Generator::step() {
  enter();
  if (lines_.empty()) return;
  rows_.clear();
  largest_ = 1;
  for (Line& line : lines_) {
    const GenerationRequest& r = line.request;
    for (Beam& beam : line.beams) {
      const std::int64_t token = beam.node < 0 ? r.prompt.back() : line.nodes[static_cast<std::size_t>(beam.node)].token;
      rows_.push_back({.place = line.place, .token = token, .position = std::ssize(r.prompt) - 1 + line.written, .from = beam.row});
      beam.row = std::ssize(rows_) - 1;
    }
    const ChoiceOptions& c = r.options.choice;
    if (r.options.beams > 1) largest_ = std::max(largest_, successors(r.options));
    if (c.draws() && c.top_k <= kMostLargest) largest_ = std::max(largest_, c.top_k);
  }
  largest_ = std::min(largest_, decoder_.vocabulary());
  const std::span<float> logits = decoder_.step(rows_);
  const auto vocabulary = static_cast<std::size_t>(decoder_.vocabulary());
  const auto row_of = [&](std::int64_t row) { return logits.subspan(static_cast<std::size_t>(row) * vocabulary, vocabulary); };
  for (const Line& line : lines_)
    for (const Beam& beam : line.beams) change_logits(line, beam, row_of(beam.row));
  const std::size_t count = rows_.size() * static_cast<std::size_t>(largest_);
  top_values_.resize(count), top_tokens_.resize(count), log_sums_.resize(rows_.size());
  top_k(logits, top_values_, top_tokens_, log_sums_);
  for (Line& line : lines_) {
    const std::int64_t row = line.beams.front().row;
    if (line.request.options.beams > 1) {
      search(line, row);
    } else {
      choose(line, row, row_of(row));
    }
  }
  for (Line& line : lines_)
    if (line.done) deliver(line);
  std::erase_if(lines_, [](const Line& line) { return line.done; });
}

void Generator::change_logits(const Line& line, const Beam& beam, std::span<float> logits) {
  const GenerationOptions& o = line.request.options;
  apply_temperature(logits, o.choice.temperature);
  if (o.choice.repetition_penalty != 1 || o.choice.presence_penalty != 0) {
    tokens_of(line, beam.node, written_);
    apply_penalties(logits, written_, o.choice);
  }
  if (line.written < o.min_length) block(logits, o.stop_tokens);
}

void Generator::tokens_of(const Line& line, std::int64_t node, std::vector<std::int64_t>& to) const {
  to.clear();
  for (; node >= 0; node = line.nodes[static_cast<std::size_t>(node)].before)
    to.push_back(line.nodes[static_cast<std::size_t>(node)].token);
  std::ranges::reverse(to);
}

bool Generator::completes_sequence(const Line& line, std::int64_t node, std::int64_t token, std::size_t& length) const {
  for (const std::vector<std::int64_t>& s : line.request.options.stop_sequences) {
    std::int64_t at = node;
    bool same = s.back() == token;
    for (std::size_t i = s.size() - 1; same && i-- > 0;) {
      same = at >= 0 && line.nodes[static_cast<std::size_t>(at)].token == s[i];
      if (same) at = line.nodes[static_cast<std::size_t>(at)].before;
    }
    if (same) {
      length = s.size();
      return true;
    }
  }
  return false;
}

// A hypothesis that ends in a node, less its last `cut` tokens; `length` tokens have made up the sum.
void Generator::keep(Line& line, std::int64_t node, double sum, std::int64_t length, Finish finish, std::size_t cut) {
  ++line.finished_count;
  const GenerationOptions& o = line.request.options;
  const double score = hypothesis_score(sum, length, o.length_penalty);
  const auto place = std::ranges::upper_bound(line.finished, score, std::greater<>(), &Hypothesis::score);
  if (std::ssize(line.finished) == o.beams && place == line.finished.end()) return;
  Hypothesis h{.score = score, .finish = finish};
  tokens_of(line, node, h.tokens);
  h.tokens.resize(h.tokens.size() - cut);
  h.log_probabilities.resize(h.tokens.size() + cut);
  for (std::size_t i = h.log_probabilities.size(); i-- > 0;) {
    h.log_probabilities[i] = line.nodes[static_cast<std::size_t>(node)].log_probability;
    node = line.nodes[static_cast<std::size_t>(node)].before;
  }
  h.log_probabilities.resize(h.tokens.size());
  line.finished.insert(place, std::move(h));
  if (std::ssize(line.finished) > o.beams) line.finished.pop_back();
}

void Generator::choose(Line& line, std::int64_t row, std::span<const float> logits) {
  const GenerationRequest& request = line.request;
  const GenerationOptions& o = request.options;
  Beam& beam = line.beams.front();
  const std::size_t first = static_cast<std::size_t>(row * largest_);
  const double log_sum = static_cast<double>(log_sums_[static_cast<std::size_t>(row)]);
  require<NumericalError>(std::isfinite(log_sum), "generation: the decoder's logits are no numbers: line ", line.number, ", token ",
                          line.written);
  std::int64_t token = top_tokens_[first];
  if (o.choice.draws()) {
    if (o.choice.top_k > 0 && o.choice.top_k <= kMostLargest) {
      const auto k = static_cast<std::size_t>(std::min(o.choice.top_k, largest_));
      find_candidates(std::span<const float>(top_values_).subspan(first, k), std::span<const std::int32_t>(top_tokens_).subspan(first, k),
                      o.choice.top_p, candidates_);
    } else {
      find_candidates(logits, o.choice.top_k, o.choice.top_p, candidates_);
    }
    token = draw(candidates_, uniform_at(request.seed, line.written));
  }
  const double log_probability = static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_sum;
  beam.sum += log_probability;
  ++line.written;
  if (is_stop(o, token)) {
    line.done = true;
    return keep(line, beam.node, beam.sum, line.written, Finish::stop_token, 0);
  }
  std::size_t cut = 0;
  const bool stopped = completes_sequence(line, beam.node, token, cut);
  line.nodes.push_back({.token = token, .before = beam.node, .log_probability = log_probability});
  beam.node = std::ssize(line.nodes) - 1;
  const bool goes_on = !request.on_token || request.on_token(token, log_probability);
  line.done = stopped || !goes_on || line.written == o.max_length;
  if (line.done)
    keep(line, beam.node, beam.sum, line.written, stopped ? Finish::stop_sequence : !goes_on ? Finish::caller : Finish::length, cut);
}

void Generator::search(Line& line, std::int64_t row) {
  const GenerationOptions& o = line.request.options;
  selected_.clear();
  for (std::size_t b = 0; b < line.beams.size(); ++b) {
    const std::size_t at = static_cast<std::size_t>(row) + b;
    const double log_sum = static_cast<double>(log_sums_[at]);
    require<NumericalError>(std::isfinite(log_sum), "generation: the decoder's logits are no numbers: line ", line.number, ", token ",
                            line.written);
    for (std::int64_t rank = 0; rank < std::min(successors(o), largest_); ++rank) {
      const std::size_t i = at * static_cast<std::size_t>(largest_) + static_cast<std::size_t>(rank);
      const double log_probability = static_cast<double>(top_values_[i]) - log_sum;
      if (!(log_probability > -std::numeric_limits<double>::infinity())) break;
      const double sum = line.beams[b].sum + log_probability;
      selected_.push_back({.value = sum + o.diversity * static_cast<double>(rank),
                           .sum = sum,
                           .log_probability = log_probability,
                           .token = top_tokens_[i],
                           .beam = static_cast<std::int64_t>(b)});
    }
  }
  std::ranges::sort(selected_, [](const Selected& a, const Selected& b) {
    return a.value != b.value ? a.value > b.value : a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
  });
  ++line.written;
  next_beams_.clear();
  for (const Selected& s : selected_) {
    if (std::ssize(next_beams_) == o.beams) break;
    const Beam& from = line.beams[static_cast<std::size_t>(s.beam)];
    if (is_stop(o, s.token)) {
      keep(line, from.node, s.sum, line.written, Finish::stop_token, 0);
      continue;
    }
    std::size_t cut = 0;
    const bool stopped = completes_sequence(line, from.node, s.token, cut);
    line.nodes.push_back({.token = s.token, .before = from.node, .log_probability = s.log_probability});
    const Beam beam{.node = std::ssize(line.nodes) - 1, .row = from.row, .sum = s.sum};
    if (stopped) {
      keep(line, beam.node, beam.sum, line.written, Finish::stop_sequence, cut);
    } else {
      next_beams_.push_back(beam);
    }
  }
  line.beams.swap(next_beams_);
  if (line.written == o.max_length) {
    for (const Beam& beam : line.beams) keep(line, beam.node, beam.sum, line.written, Finish::length, 0);
    line.beams.clear();
  }
  line.done = line.beams.empty() || nothing_better(line);
}

// A sum of log-probabilities only falls as a line grows. Divided by a power of its length it may rise, at most to what it would be if
// everything still to come were certain.
bool Generator::nothing_better(const Line& line) const {
  const GenerationOptions& o = line.request.options;
  if (o.early_stop == EarlyStop::enough) return line.finished_count >= o.beams;
  if (std::ssize(line.finished) < o.hypotheses) return false;
  const double sum = std::ranges::max_element(line.beams, {}, &Beam::sum)->sum;
  const double bound = hypothesis_score(sum, o.length_penalty > 0 ? o.max_length : line.written + 1, o.length_penalty);
  return line.finished[static_cast<std::size_t>(o.hypotheses) - 1].score >= bound;
}

void Generator::deliver(Line& line) {
  free_places_.push_back(line.place);
  Generation g{.request = line.number, .hypotheses = std::move(line.finished)};
  if (std::ssize(g.hypotheses) > line.request.options.hypotheses)
    g.hypotheses.resize(static_cast<std::size_t>(line.request.options.hypotheses));
  if (!options_.in_order) return options_.deliver(std::move(g));
  held_.emplace(g.request, std::move(g));
  for (auto next = held_.find(delivered_); next != held_.end(); next = held_.find(delivered_)) {
    ++delivered_;
    Generation ready = std::move(next->second);
    held_.erase(next);
    options_.deliver(std::move(ready));
  }
}

}  // namespace capstan::nn
