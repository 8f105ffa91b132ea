#pragma once
// Vocabularies that tokenizers of other programs made: GPT-2's byte-level BPE, and sentencepiece as Llama has it, whole texts with their
// line ends. `rows`: of the model's table, which may have more than the tokenizer has tokens, never fewer (DataError).

#include <cstdint>
#include <string>
#include <string_view>

#include "data/text/byte_bpe.h"
#include "data/text/subword.h"
#include "recipes/tasks/language_modelling/vocabulary.h"

namespace capstan::language_modelling {

inline constexpr std::string_view kByteBpe = "byte_bpe", kSentencepiece = "sentencepiece";  // Vocabulary::kind()

SharedVocabulary byte_bpe_vocabulary(data::ByteBpe tokenizer, std::int64_t rows = 0);
SharedVocabulary sentencepiece_vocabulary(data::SubwordModel model, std::int64_t rows = 0);

/// Of what a checkpoint keeps; null: it is of another kind. Throws CheckpointError or DataError.
SharedVocabulary tokenizer_vocabulary(std::string_view kind, std::string_view content);
/// The tokenizer's file in a content of these kinds: a tokenizer.json, a model of sentencepiece.
std::string tokenizer_file(std::string_view content);

}  // namespace capstan::language_modelling
