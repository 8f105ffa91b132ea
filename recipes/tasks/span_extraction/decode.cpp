#include "recipes/tasks/span_extraction/decode.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "autograd/core/error.h"
#include "recipes/tasks/span_extraction/final_text.h"

namespace capstan::span_extraction {
namespace {

/// An answer before its text is known.
struct Candidate {
  Span pieces;  // empty: no answer
  double start_logit, end_logit;
  double score() const { return start_logit + end_logit; }
};

double at(const std::vector<float>& logits, std::int64_t i) { return static_cast<double>(logits[static_cast<std::size_t>(i)]); }

void add_candidates(const Windowed& q, std::int64_t window, const WindowLogits& logits, const DecodeOptions& o,
                    std::vector<Candidate>& out) {
  const Span pieces = q.windows[static_cast<std::size_t>(window)];
  const auto piece_at = [&](std::int64_t position) { return position - q.first() + pieces.first; };
  const auto inside = [&](std::int64_t position) { return position >= q.first() && piece_at(position) <= pieces.last; };
  const std::vector<std::int64_t> ends = best_indices(logits.end, o.n_best);
  for (const std::int64_t start : best_indices(logits.start, o.n_best)) {
    if (!inside(start) || owner(q.windows, piece_at(start)) != window) continue;
    for (const std::int64_t end : ends)
      if (inside(end) && end >= start && end - start < o.max_length)
        out.push_back({{piece_at(start), piece_at(end)}, at(logits.start, start), at(logits.end, end)});
  }
}

/// That of the window where no answer is least likely.
Candidate null_candidate(std::span<const WindowLogits> logits) {
  Candidate best{{}, 0, 0};
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const Candidate c{{}, at(logits[i].start, 0), at(logits[i].end, 0)};
    if (i == 0 || c.score() < best.score()) best = c;
  }
  return best;
}

Answer with_text(const Windowed& q, const Candidate& c, const data::Vocabulary& vocabulary, const data::BasicTokenizer& basic) {
  Answer out{.text = {}, .start_logit = c.start_logit, .end_logit = c.end_logit};
  if (c.pieces.length() == 0) return out;
  const Document& d = q.document;
  const auto ids = d.ids().subspan(static_cast<std::size_t>(c.pieces.first), static_cast<std::size_t>(c.pieces.length()));
  const Span words{d.word_of(c.pieces.first), d.word_of(c.pieces.last)};
  FinalText found = final_text(text_of_pieces(vocabulary, ids), d.joined(words), basic);
  out.text = std::move(found.text);
  out.begin = d.offset(words, found.begin);
  out.end = d.offset(words, found.end);
  return out;
}

void set_probabilities(std::vector<Answer>& answers) {
  double largest = answers.front().start_logit + answers.front().end_logit, total = 0;
  for (const Answer& a : answers) largest = std::max(largest, a.start_logit + a.end_logit);
  for (Answer& a : answers) total += a.probability = std::exp(a.start_logit + a.end_logit - largest);
  for (Answer& a : answers) a.probability /= total;
}

}  // namespace

std::vector<std::int64_t> best_indices(std::span<const float> values, std::int64_t count) {
  require<NumericalError>(std::ranges::none_of(values, [](float v) { return std::isnan(v); }), "span_extraction: a logit is NaN");
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto wanted = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), wanted, order.end(), [&](std::int64_t i, std::int64_t j) {
    const float a = values[static_cast<std::size_t>(i)], b = values[static_cast<std::size_t>(j)];
    return a != b ? a > b : i < j;
  });
  order.erase(wanted, order.end());
  return order;
}

Answers decode(const Windowed& q, std::span<const WindowLogits> logits, const data::Vocabulary& vocabulary,
               const data::BasicTokenizer& basic, const DecodeOptions& o) {
  require<InternalError>(logits.size() == q.windows.size(), "span_extraction: a question has ", q.windows.size(),
                         " windows, got logits of ", logits.size());
  std::vector<Candidate> candidates;
  for (std::size_t w = 0; w < logits.size(); ++w) add_candidates(q, static_cast<std::int64_t>(w), logits[w], o, candidates);
  const Candidate null = null_candidate(logits);
  if (o.unanswerable && !logits.empty()) candidates.push_back(null);
  std::ranges::stable_sort(candidates, std::ranges::greater{}, &Candidate::score);

  Answers out;
  std::set<std::string, std::less<>> seen;
  for (const Candidate& c : candidates) {
    if (std::ssize(out.n_best) >= o.n_best) break;
    Answer answer = with_text(q, c, vocabulary, basic);
    if (seen.insert(answer.text).second) out.n_best.push_back(std::move(answer));
  }
  if (o.unanswerable && !seen.contains("")) out.n_best.push_back(with_text(q, null, vocabulary, basic));
  if (out.n_best.empty()) out.n_best.push_back({.text = std::string(kNothing)});
  set_probabilities(out.n_best);
  if (!o.unanswerable) return out;

  const auto number_of = [&](bool empty) {
    const auto found = std::ranges::find_if(out.n_best, [&](const Answer& a) { return a.text.empty() == empty; });
    return static_cast<std::size_t>(found - out.n_best.begin());
  };
  const std::size_t other = number_of(false);
  out.null_odds = kNoOther;
  if (other < out.n_best.size()) out.null_odds = null.score() - out.n_best[other].start_logit - out.n_best[other].end_logit;
  out.chosen = out.null_odds > o.null_threshold || other == out.n_best.size() ? number_of(true) : other;
  return out;
}

}  // namespace capstan::span_extraction
