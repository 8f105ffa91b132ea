#include "recipes/tasks/span_extraction/evaluation.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "data/packing.h"

namespace capstan::span_extraction {
namespace {

/// What distinguishes questions with an answer from those without matters where there are both, and a threshold where none may be given.
Scores scores_of(const Questions& questions, const DecodeOptions& options) {
  const std::vector<bool> has_answer = questions.has_answer();
  const auto with = std::ranges::count(has_answer, true);
  return Scores(has_answer, {.by_kind = with > 0 && with < std::ssize(has_answer), .best_threshold = options.unanswerable});
}

}  // namespace

Evaluation::Evaluation(const Questions& questions, const Decoder& decoder, bool keep, bool begins)
    : questions_(&questions),
      decoder_(decoder),
      keep_(keep),
      scores_(scores_of(questions, decoder.options)),
      shown_(questions, *decoder.vocabulary) {
  for (std::int64_t q = 0; begins && q < questions.questions(); ++q)
    if (questions.document(q).pieces() == 0) finish(q, {}, {});  // there is no window that would
}

void Evaluation::add(std::span<const std::int64_t> indices, std::vector<WindowLogits> logits) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto [question, window] = questions_->place(indices[i]);
    add(question, window, std::move(logits[i]));
  }
}

void Evaluation::add(std::int64_t question, std::int64_t window, WindowLogits logits) {
  Pending& pending = pending_[question];
  const std::vector<Span> windows = questions_->windows(question);
  if (pending.logits.empty()) {
    pending.logits.resize(windows.size());
    pending.missing = windows.size();
  }
  pending.logits[static_cast<std::size_t>(window)] = std::move(logits);
  if (--pending.missing > 0) return;
  finish(question, windows, pending.logits);
  pending_.erase(question);
}

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  shown_.pack(out);
  out.put(pending_.size());
  for (const auto& [question, pending] : pending_) {
    out.put(question);
    out.put(pending.logits.size());
    for (const WindowLogits& window : pending.logits) {
      out.put_list(std::span(window.start));  // empty: not in this share
      out.put_list(std::span(window.end));
    }
  }
  for (const auto& [question, answers] : answers_) {
    out.put(question);
    out.put(answers.chosen);
    out.put(answers.null_odds);
    out.put(answers.n_best.size());
    for (const Answer& a : answers.n_best) {
      out.put_text(a.text);
      for (const double v : {a.start_logit, a.end_logit, a.probability}) out.put(v);
      for (const std::int64_t v : {a.begin, a.end}) out.put(v);
    }
  }
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  data::Unpacker in(rest);
  shown_.add_packed(in);
  for (auto questions = in.get<std::size_t>(); questions > 0; --questions) {
    const auto question = in.get<std::int64_t>();
    const auto windows = in.get<std::size_t>();
    for (std::size_t w = 0; w < windows; ++w) {
      WindowLogits logits;
      logits.start = in.list<float>();
      logits.end = in.list<float>();
      if (!logits.start.empty()) add(question, static_cast<std::int64_t>(w), std::move(logits));
    }
  }
  while (!in.done()) {
    const auto question = in.get<std::int64_t>();
    Answers answers;
    answers.chosen = in.get<std::size_t>();
    answers.null_odds = in.get<double>();
    answers.n_best.resize(in.get<std::size_t>());
    for (Answer& a : answers.n_best) {
      a.text = in.text();
      for (double* const v : {&a.start_logit, &a.end_logit, &a.probability}) *v = in.get<double>();
      for (std::int64_t* const v : {&a.begin, &a.end}) *v = in.get<std::int64_t>();
    }
    answers_.insert_or_assign(question, std::move(answers));
  }
}

void Evaluation::finish(std::int64_t number, std::span<const Span> windows, std::span<const WindowLogits> logits) {
  const Question& q = questions_->question(number);
  Answers answers = decoder_({questions_->document(number), windows, std::ssize(q.ids)}, logits);
  const std::string& text = answers.answer().text;
  const AnswerScore score = best_score(q.answers, text);
  scores_.add(number, score, answers.null_odds, text.empty());
  shown_.add(number, answers.answer(), score.f1);
  if (keep_) answers_.insert_or_assign(number, std::move(answers));
}

Predictions Evaluation::predictions() const {
  require<InternalError>(std::ssize(answers_) == questions_->questions(), "span_extraction: ", answers_.size(), " of ",
                         questions_->questions(), " questions are answered");
  Predictions out;
  for (const auto& [number, answers] : answers_) out.emplace_back(questions_->question(number).id, answers);
  return out;
}

}  // namespace capstan::span_extraction
