#pragma once
// What an evaluation of answers shows beside its metrics: questions with the given and the true answers, and the worst of them.

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/kept_cases.h"
#include "recipes/tasks/span_extraction/decode.h"
#include "recipes/tasks/span_extraction/questions.h"

namespace capstan::span_extraction {

class ShownAnswers {
 public:
  /// Both outlive this.
  ShownAnswers(const Questions& questions, const data::Vocabulary& vocabulary);
  /// What was answered, with its F1, 0 .. 1. That nothing could be found (kNothing) is no answer, and nobody is sure of it.
  void add(std::int64_t question, const Answer& answer, double f1);
  void pack(data::Packer& to) const;
  void add_packed(data::Unpacker& from);
  std::vector<engine::Finding> findings() const;

 private:
  engine::FindingTable table(const std::vector<engine::KeptCase>& cases) const;

  const Questions* questions_;
  const data::Vocabulary* vocabulary_;
  std::unordered_set<std::int64_t> chosen_;  // questions at equal distances
  engine::KeptCases some_, worst_;
};

}  // namespace capstan::span_extraction
