#include "recipes/tasks/span_extraction/questions.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::span_extraction {

Questions::Questions(const data::Squad& squad, const data::Tokenizer& tokenizer, const WindowOptions& options, Use use, bool unanswerable)
    : options_(options) {
  for (const data::SquadParagraph& p : squad.paragraphs) documents_.emplace_back(p.context, tokenizer);
  first_.push_back(0);
  for (const data::SquadQuestion& source : squad.questions) {
    const Document& document = documents_[static_cast<std::size_t>(source.paragraph)];
    Question q{.id = source.id, .ids = tokenizer.encode(source.text), .document = source.paragraph, .answers = {}, .target = {}};
    if (use == Use::training) {
      require<DataError>(source.impossible ? unanswerable : source.answers.size() == 1, squad.place(source),
                         ": a question that trains must have exactly one answer",
                         unanswerable ? ", or is_impossible: it has " : ": it has ", source.answers.size());
      if (!source.impossible) {
        const auto target = answer_pieces(document, source.answers[0], tokenizer);
        if (!target) {
          if (counts_.not_found++ == 0) counts_.first_not_found = squad.place(source);
          continue;
        }
        q.target = *target;
      }
    } else {
      for (const data::SquadAnswer& answer : source.answers) q.answers.push_back(answer.text);
    }
    if (source.impossible) ++counts_.impossible;
    if (std::ssize(q.ids) > options.question_length) {
      q.ids.resize(static_cast<std::size_t>(options.question_length));
      ++counts_.cut;
    }
    q.ids.shrink_to_fit();
    questions_.push_back(std::move(q));
    const std::vector<Span> all = windows(questions() - 1);
    const Span target = questions_.back().target;
    if (target.length() > 0)
      counts_.with_answer += std::ranges::count_if(all, [&](Span w) { return target.first >= w.first && target.last <= w.last; });
    first_.push_back(first_.back() + std::ssize(all));
  }
}

std::vector<bool> Questions::has_answer() const {
  std::vector<bool> out;
  for (const Question& q : questions_) out.push_back(!q.answers.empty());
  return out;
}

Questions::Place Questions::place(std::int64_t index) const {
  const auto after = std::ranges::upper_bound(first_, index);
  const auto question = std::distance(first_.begin(), after) - 1;
  return {question, index - first_[static_cast<std::size_t>(question)]};
}

std::vector<Span> Questions::windows(std::int64_t i) const {
  return span_extraction::windows(document(i).pieces(), options_.capacity(std::ssize(question(i).ids)), options_.stride);
}

Window Questions::window(std::int64_t index, const data::Vocabulary& vocabulary) const {
  const auto [number, window] = place(index);
  const Question& q = question(number);
  return make_window(q.ids, document(number), windows(number)[static_cast<std::size_t>(window)], q.target, vocabulary);
}

Window make_window(std::span<const std::int32_t> question, const Document& document, Span pieces, Span target,
                   const data::Vocabulary& vocabulary) {
  const std::int32_t cls = vocabulary.id("[CLS]"), sep = vocabulary.id("[SEP]");
  Window out;
  out.ids.reserve(question.size() + static_cast<std::size_t>(pieces.length()) + 3);
  out.ids.push_back(cls);
  out.ids.insert(out.ids.end(), question.begin(), question.end());
  out.ids.push_back(sep);
  out.first = std::ssize(out.ids);
  const auto of_window = document.ids().subspan(static_cast<std::size_t>(pieces.first), static_cast<std::size_t>(pieces.length()));
  out.ids.insert(out.ids.end(), of_window.begin(), of_window.end());
  out.ids.push_back(sep);
  if (target.length() > 0 && target.first >= pieces.first && target.last <= pieces.last) {
    out.start = target.first - pieces.first + out.first;
    out.end = target.last - pieces.first + out.first;
  }
  return out;
}

}  // namespace capstan::span_extraction
