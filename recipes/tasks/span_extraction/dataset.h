#pragma once
// The questions of a run by split: which files they come from, and articles of one file set aside where only one is.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "data/data_report.h"
#include "data/text/tokenizer.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/span_extraction/options.h"
#include "recipes/tasks/span_extraction/questions.h"

namespace capstan::span_extraction {

/// Paths of SQuAD files; empty: there is none.
struct Files {
  std::string train, validation, test;
};
/// What the keys of data say, and where they say nothing what the names in run.data do (options.h). Throws ConfigError where that is not
/// clear.
Files find_files(const DataOptions& data, const engine::Setup& setup);

class Dataset {
 public:
  /// To train: all parts; to evaluate: those that validate and test. `stored`: what the checkpoint says where spans.unanswerable is
  /// auto. Throws ConfigError, DataError, IoError.
  Dataset(const DataOptions& data, const SpanOptions& spans, const engine::Setup& setup, const data::Tokenizer& tokenizer,
          std::optional<bool> stored);

  const Questions& part(engine::Split split) const;
  bool unanswerable() const { return unanswerable_; }
  /// Identity of the training data.
  const std::string& digest() const { return digest_; }
  data::DataReport report() const;

 private:
  Files files_;
  bool unanswerable_ = false, held_out_ = false, tests_on_validation_ = false;
  std::array<Questions, 3> parts_;  // by split; the last one is empty where validation tests
  std::string digest_;
};

}  // namespace capstan::span_extraction
