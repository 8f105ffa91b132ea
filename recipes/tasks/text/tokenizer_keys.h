#pragma once
// How text becomes tokens, as keys of the section data of every task on text. A model that comes with a tokenizer (init.from) sets them.

#include <string>

#include "data/text/tokenizer.h"

namespace capstan::text {

/// Whether accents are taken off.
enum class StripAccents {
  automatic,  ///< as lower_case
  yes,
  no,
};

struct TokenizerKeys {
  bool lower_case = true;
  StripAccents strip_accents = StripAccents::automatic;
  data::TokenizerVariant tokenizer = data::TokenizerVariant::google;

  template <class V>
  void visit(V& v) {
    v("lower_case", lower_case, "lower-case the text (uncased models)").input();
    v("strip_accents", strip_accents, "take accents off; auto: as lower_case",
      {{"auto", StripAccents::automatic}, {"yes", StripAccents::yes}, {"no", StripAccents::no}})
        .input();
    v("tokenizer", tokenizer,
      "whose pieces, where they differ. google: the original; hf_slow, hf_fast: BertTokenizer and BertTokenizerFast of HF transformers",
      {{"google", data::TokenizerVariant::google},
       {"hf_slow", data::TokenizerVariant::hf_slow},
       {"hf_fast", data::TokenizerVariant::hf_fast}})
        .input();
  }
  data::TokenizerOptions options() const {
    data::TokenizerOptions out{.lower_case = lower_case, .variant = tokenizer};
    if (strip_accents != StripAccents::automatic) out.strip_accents = strip_accents == StripAccents::yes;
    return out;
  }
};

/// The same for a task that does not make a vocabulary of its own.
struct VocabularyKeys : TokenizerKeys {
  std::string vocabulary;

  template <class V>
  void visit(V& v) {
    v("vocabulary", vocabulary,
      "vocab.txt, a token a line, or the tokenizer.json of HF transformers, relative to run.data; empty: the one of the model in init.from")
        .of_use();
    TokenizerKeys::visit(v);
  }
};

}  // namespace capstan::text
