#include "recipes/tasks/span_extraction/evaluation.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::span_extraction {
namespace {

/// What distinguishes questions with an answer from those without matters where there are both, and a threshold where none may be given.
Scores scores_of(const Questions& questions, const DecodeOptions& options) {
  const std::vector<bool> has_answer = questions.has_answer();
  const auto with = std::ranges::count(has_answer, true);
  return Scores(has_answer, {.by_kind = with > 0 && with < std::ssize(has_answer), .best_threshold = options.unanswerable});
}

}  // namespace

Evaluation::Evaluation(const Questions& questions, const Decoder& decoder, bool keep)
    : questions_(questions), decoder_(decoder), keep_(keep), scores_(scores_of(questions, decoder.options)) {
  for (std::int64_t q = 0; q < questions.questions(); ++q)
    if (questions.document(q).pieces() == 0) finish(q, {}, {});  // there is no window that would
}

void Evaluation::add(std::span<const std::int64_t> indices, std::vector<WindowLogits> logits) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto [question, window] = questions_.place(indices[i]);
    Pending& pending = pending_[question];
    const std::vector<Span> windows = questions_.windows(question);
    if (pending.logits.empty()) {
      pending.logits.resize(windows.size());
      pending.missing = windows.size();
    }
    pending.logits[static_cast<std::size_t>(window)] = std::move(logits[i]);
    if (--pending.missing > 0) continue;
    finish(question, windows, pending.logits);
    pending_.erase(question);
  }
}

void Evaluation::finish(std::int64_t number, std::span<const Span> windows, std::span<const WindowLogits> logits) {
  const Question& q = questions_.question(number);
  Answers answers = decoder_({questions_.document(number), windows, std::ssize(q.ids)}, logits);
  const std::string& text = answers.answer().text;
  scores_.add(number, best_score(q.answers, text), answers.null_odds, text.empty());
  if (keep_) answers_.insert_or_assign(number, std::move(answers));
}

Predictions Evaluation::predictions() const {
  require<InternalError>(std::ssize(answers_) == questions_.questions(), "span_extraction: ", answers_.size(), " of ",
                         questions_.questions(), " questions are answered");
  Predictions out;
  for (const auto& [number, answers] : answers_) out.emplace_back(questions_.question(number).id, answers);
  return out;
}

}  // namespace capstan::span_extraction
