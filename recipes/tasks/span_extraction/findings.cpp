#include "recipes/tasks/span_extraction/findings.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/report/finding_parts.h"
#include "recipes/tasks/text/readable.h"

namespace capstan::span_extraction {
namespace {

constexpr std::int64_t kSome = 12;
constexpr std::size_t kWorst = 16;

std::string shown(const std::string& answer) { return answer.empty() ? "(no answer)" : engine::cell(answer, 160); }

std::string listed(const std::vector<std::string>& answers) {
  std::string out;
  std::vector<std::string> met;
  for (const std::string& a : answers) {
    if (std::find(met.begin(), met.end(), a) != met.end()) continue;
    met.push_back(a);
    out += (out.empty() ? "" : " / ") + shown(a);
  }
  return out.empty() ? shown(out) : out;
}

}  // namespace

ShownAnswers::ShownAnswers(const Questions& questions, const data::Vocabulary& vocabulary)
    : questions_(&questions), vocabulary_(&vocabulary), some_(static_cast<std::size_t>(kSome)), worst_(kWorst) {
  for (const std::int64_t q : engine::spread_places(questions.questions(), kSome)) chosen_.insert(q);
}

void ShownAnswers::add(std::int64_t question, const Answer& answer, double f1) {
  const bool nothing = answer.begin < 0 && answer.text == kNothing;
  const std::string text = nothing ? "" : answer.text;
  const double probability = nothing ? 0 : answer.probability;
  const engine::KeptCase c{.score = probability * (1 - f1), .index = question, .numbers = {f1, probability}, .text = text};
  if (chosen_.contains(question)) some_.add({.score = 0, .index = question, .numbers = c.numbers, .text = text});
  if (f1 < 1 && worst_.wants(c.score, question)) worst_.add(c);
}

void ShownAnswers::pack(data::Packer& to) const {
  some_.pack(to);
  worst_.pack(to);
}

void ShownAnswers::add_packed(data::Unpacker& from) {
  some_.add_packed(from);
  worst_.add_packed(from);
}

engine::FindingTable ShownAnswers::table(const std::vector<engine::KeptCase>& cases) const {
  engine::FindingTable out{.columns = {"question", "true answers", "answer", "F1", "probability"}, .rows = {}};
  for (const engine::KeptCase& c : cases) {
    const Question& q = questions_->question(c.index);
    out.rows.push_back({engine::cell(text::readable(q.ids, *vocabulary_)), listed(q.answers), shown(c.text),
                        engine::decimals(c.numbers.at(0), 2), engine::decimals(c.numbers.at(1), 3)});
  }
  return out;
}

std::vector<engine::Finding> ShownAnswers::findings() const {
  std::vector<engine::Finding> out;
  const std::vector<engine::KeptCase> some = some_.in_order(), worst = worst_.in_order();
  if (!some.empty())
    out.push_back({.title = "Answers",
                   .text =
                       "Questions at equal distances in the split, as the model reads them, with the answers that people gave, what the "
                       "model answers, the F1 of its words and its probability among the answers looked at.",
                   .shown = table(some)});
  if (!worst.empty())
    out.push_back({.title = "Worst answers",
                   .text = join_text("The ", worst.size(), " answers with the largest probability times 1 - F1."),
                   .shown = table(worst)});
  return out;
}

}  // namespace capstan::span_extraction
