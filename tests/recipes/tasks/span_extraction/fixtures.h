#pragma once
// What the tests of the task share: the goldens of make_spans.py.

#include <string>
#include <vector>

#include "data/json.h"
#include "data/text/squad.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace capstan::span_extraction {

inline const data::Json& goldens() {
  static const data::Json root = data::read_json(CAPSTAN_SOURCE_DIR "/tests/goldens/spans.json");
  return root;
}

inline const data::Squad& golden_squad() {
  static const data::Squad squad = data::read_squad(CAPSTAN_SOURCE_DIR "/tests/goldens/spans_squad.json");
  return squad;
}

inline std::vector<std::string> texts_of(const data::Json& list) {
  std::vector<std::string> out;
  for (const data::Json& item : list.items()) out.emplace_back(item.text());
  return out;
}

inline const data::Vocabulary& golden_vocabulary() {
  static const data::Vocabulary vocabulary(texts_of(goldens()["vocabulary"]));
  return vocabulary;
}

inline const data::Tokenizer& golden_tokenizer() {
  static const data::Tokenizer tokenizer(golden_vocabulary());
  return tokenizer;
}

}  // namespace capstan::span_extraction
