#pragma once
// Prediction: a line 'question ||| context' (or with a tab between, or {"question": ..., "context": ...}) is answered from the context.
//
//     {"line":1,"answer":"Steve
//     Smith","probability":0.93,"start":12,"end":23,"n_best":[{"answer":...,"probability":...,"start":...,"end":...}]}
// start and end count code points of the context as given, from 0, end behind the last one; null where there is no answer. null_odds is
// there where questions may be unanswerable. As columns: answer, probability, start, end.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/text/tokenizer.h"
#include "recipes/tasks/span_extraction/evaluation.h"
#include "recipes/tasks/span_extraction/network.h"
#include "recipes/tasks/span_extraction/options.h"

namespace capstan::span_extraction {

struct Query {
  std::int64_t number = 0;
  std::vector<std::int32_t> question;
  Document context;
};

class Predictor {
 public:
  struct Form {
    WindowOptions windows;
    std::int64_t top = 5;          ///< answers listed
    std::int64_t batch_size = 32;  ///< windows of one forward pass
    bool json = true;
  };
  /// Network, tokenizer and decoder outlive this.
  Predictor(const Network& network, const data::Tokenizer& tokenizer, const Decoder& decoder, const Form& form);

  /// Throws DataError naming the line if it cannot be answered.
  Query read(std::string line, std::int64_t number) const;
  /// A line without its end for each.
  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const;

 private:
  std::string line(const Query& query, const Answers& answers) const;

  const Network& network_;
  const data::Tokenizer& tokenizer_;
  Decoder decoder_;
  Form form_;
};

}  // namespace capstan::span_extraction
