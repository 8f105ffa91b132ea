#include "data/text/squad.h"

#include <algorithm>
#include <unordered_map>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

std::vector<SquadAnswer> read_answers(const Json& question, std::int64_t context_length) {
  std::vector<SquadAnswer> out;
  for (const Json& answer : question["answers"].items()) {
    const Json text = answer["text"], start = answer["answer_start"];
    out.push_back({.text = std::string(text.text()), .start = start.integer()});
    require<DataError>(!out.back().text.empty(), text.place(), ": an answer must have a text, got an empty one");
    const auto length = static_cast<std::int64_t>(unicode::count_code_points(out.back().text));
    require<DataError>(out.back().start >= 0 && out.back().start <= context_length - length, start.place(),
                       ": an answer must lie in its context of ", context_length, " characters, got ", length, " characters from ",
                       out.back().start, " on");
  }
  return out;
}

SquadQuestion read_question(const Json& entry, std::int64_t context_length) {
  SquadQuestion q{.id = std::string(entry["id"].text()), .text = std::string(entry["question"].text()), .answers = {}};
  if (const auto impossible = entry.find("is_impossible")) q.impossible = impossible->boolean();
  if (!q.impossible || entry.has("answers")) q.answers = read_answers(entry, context_length);
  require<DataError>(q.impossible || !q.answers.empty(), entry.place(), ": a question must have an answer unless is_impossible is true");
  require<DataError>(!q.impossible || q.answers.empty(), entry.place(), ": is_impossible is true, but there are ", q.answers.size(),
                     " answers");
  return q;
}

}  // namespace

std::string Squad::place(const SquadQuestion& question) const {
  const SquadParagraph& paragraph = paragraphs[static_cast<std::size_t>(question.paragraph)];
  return join_text(path, ": /data/", paragraph.article, "/paragraphs/", paragraph.number, "/qas/", question.number);
}

bool Squad::has_impossible() const { return std::ranges::any_of(questions, &SquadQuestion::impossible); }

Squad Squad::of_articles(std::span<const std::int64_t> numbers) const {
  Squad out{.path = path, .titles = titles, .paragraphs = {}, .questions = {}};
  std::vector<std::int64_t> kept(paragraphs.size(), -1);
  for (std::size_t i = 0; i < paragraphs.size(); ++i) {
    if (std::ranges::find(numbers, paragraphs[i].article) == numbers.end()) continue;
    kept[i] = std::ssize(out.paragraphs);
    out.paragraphs.push_back(paragraphs[i]);
  }
  for (SquadQuestion q : questions) {
    q.paragraph = kept[static_cast<std::size_t>(q.paragraph)];
    if (q.paragraph >= 0) out.questions.push_back(std::move(q));
  }
  return out;
}

Squad read_squad(const std::string& path) {
  Squad out{.path = path, .titles = {}, .paragraphs = {}, .questions = {}};
  std::unordered_map<std::string, std::size_t> known;
  for (const Json& article : read_json(path)["data"].items()) {
    const auto title = article.find("title");
    std::int64_t paragraph_number = 0;
    for (const Json& paragraph : article["paragraphs"].items()) {
      out.paragraphs.push_back({.context = std::string(paragraph["context"].text()),
                                .article = static_cast<std::int64_t>(out.titles.size()),
                                .number = paragraph_number++});
      const auto length = static_cast<std::int64_t>(unicode::count_code_points(out.paragraphs.back().context));
      std::int64_t number = 0;
      for (const Json& entry : paragraph["qas"].items()) {
        SquadQuestion q = read_question(entry, length);
        q.paragraph = static_cast<std::int64_t>(out.paragraphs.size()) - 1;
        q.number = number++;
        const auto [first, added] = known.emplace(q.id, out.questions.size());
        require<DataError>(added, entry.place(), "/id: ids must differ, got ", json_string(q.id), ", which is that of ",
                           added ? "" : out.place(out.questions[first->second]));
        out.questions.push_back(std::move(q));
      }
    }
    out.titles.emplace_back(title ? title->text() : std::string_view());
  }
  require<DataError>(!out.questions.empty(), path, ": the file has no question");
  return out;
}

}  // namespace capstan::data
