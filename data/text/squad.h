#pragma once
// SQuAD: questions about paragraphs, answered by a span of the paragraph, or, from version 2.0 on, not at all. One JSON file:
//
//     {"version": "1.1", "data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ...,
//         "answers": [{"text": ..., "answer_start": 515}], "is_impossible": false}]}]}]}
//
// Nothing is interpreted here: what of it trains, and whether an answer stands where it claims to, is the task's business.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace capstan::data {

struct SquadAnswer {
  std::string text;        ///< not empty
  std::int64_t start = 0;  ///< in the context, in code points as Python counts; text has room from there on, but may be another one
};

struct SquadQuestion {
  std::string id, text;
  std::int64_t paragraph = 0, number = 0;  ///< which paragraph of the file, and which question of that
  std::vector<SquadAnswer> answers;        ///< all that people gave; none if and only if impossible
  bool impossible = false;                 ///< the context does not answer it
};

struct SquadParagraph {
  std::string context;
  std::int64_t article = 0, number = 0;  ///< which article of the file, and which paragraph of that
};

struct Squad {
  std::string path;
  std::vector<std::string> titles;  ///< of the articles; empty where there is none
  std::vector<SquadParagraph> paragraphs;
  std::vector<SquadQuestion> questions;

  /// Where a question stands: "train-v1.1.json: /data/0/paragraphs/3/qas/2".
  std::string place(const SquadQuestion& question) const;
  bool has_impossible() const;
  /// What belongs to articles with these numbers; they keep them.
  Squad of_articles(std::span<const std::int64_t> numbers) const;
};

/// Throws IoError, and DataError naming the file and the place in it: a key that is missing or of another kind, an id that stands twice, an
/// answer that reaches beyond its context, answers to an impossible question or none to another, a file without any question.
Squad read_squad(const std::string& path);

}  // namespace capstan::data
