#pragma once
// Questions: those of a split, as a model reads them: each with the windows of its document. Documents are kept as pieces, windows are
// made when they are asked for and are as long as their tokens; who pads them is batch.h.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/text/squad.h"
#include "data/text/tokenizer.h"
#include "recipes/tasks/span_extraction/decode.h"
#include "recipes/tasks/span_extraction/document.h"

namespace capstan::span_extraction {

struct WindowOptions {
  std::int64_t length = 384;          ///< positions: [CLS] question [SEP] pieces of the document [SEP]
  std::int64_t question_length = 64;  ///< pieces of a question; the rest is cut off
  std::int64_t stride = 128;          ///< pieces from the beginning of a window to that of the next
  /// Pieces of the document beside a question.
  std::int64_t capacity(std::int64_t question_pieces) const { return length - question_pieces - 3; }
};

/// What a model reads at once, and what it is to answer.
struct Window {
  std::vector<std::int32_t> ids;
  std::int64_t first = 0;           ///< position of the first piece of the document, with which segment 1 begins
  std::int64_t start = 0, end = 0;  ///< positions of the answer; 0, 0: it is not in here, or there is none
};

struct Question {
  std::string id;
  std::vector<std::int32_t> ids;
  std::int64_t document = 0;
  std::vector<std::string> answers;  ///< that people gave
  Span target;                       ///< pieces of the answer that trains; empty: none
};

class Questions {
 public:
  enum class Use {
    training,    ///< one answer each, or none where questions may be unanswerable; those whose answer is not found are left out
    evaluation,  ///< any number of answers, nothing is left out
  };
  Questions() = default;
  /// Keeps references to nothing. Throws DataError naming the question that does not fit `use`.
  Questions(const data::Squad& squad, const data::Tokenizer& tokenizer, const WindowOptions& options, Use use, bool unanswerable);

  std::int64_t questions() const { return static_cast<std::int64_t>(questions_.size()); }
  const Question& question(std::int64_t i) const { return questions_[static_cast<std::size_t>(i)]; }
  const Document& document(std::int64_t question) const { return documents_[static_cast<std::size_t>(this->question(question).document)]; }
  std::int64_t documents() const { return static_cast<std::int64_t>(documents_.size()); }
  /// Of each question, whether people answered it.
  std::vector<bool> has_answer() const;

  /// Windows of all questions, question after question.
  std::int64_t size() const { return first_.empty() ? 0 : first_.back(); }
  struct Place {
    std::int64_t question, window;
  };
  Place place(std::int64_t index) const;
  std::vector<Span> windows(std::int64_t i) const;  ///< of a question
  Window window(std::int64_t index, const data::Vocabulary& vocabulary) const;

  // What a report says.
  struct Counts {
    std::int64_t impossible = 0;       ///< questions without an answer
    std::int64_t not_found = 0;        ///< left out: the text of the answer is not where it claims to be
    std::int64_t cut = 0;              ///< questions longer than question_length
    std::int64_t with_answer = 0;      ///< windows that hold their answer
    std::string first_not_found = {};  ///< the place of one that was left out
  };
  const Counts& counts() const { return counts_; }

 private:
  WindowOptions options_;
  std::vector<Document> documents_;
  std::vector<Question> questions_;
  std::vector<std::int64_t> first_;  // [questions + 1] the first window of each
  Counts counts_;
};

/// A window of a document beside a question; `target` in pieces of the document.
Window make_window(std::span<const std::int32_t> question, const Document& document, Span pieces, Span target,
                   const data::Vocabulary& vocabulary);

}  // namespace capstan::span_extraction
