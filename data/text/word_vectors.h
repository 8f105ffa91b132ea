#pragma once
// Vectors of words that others trained, from a text file, plain or gzip, in either of the usual forms:
//
//     GloVe       a line a word: the word and its numbers, blanks between
//     word2vec    the same behind a first line of two whole numbers: how many words, how many numbers
//
// A word is taken as the file spells it; it may contain blanks, the numbers are the last ones of a line. Of a word that comes twice the
// first line counts. Binary files are not read.

#include <cstdint>
#include <string>
#include <vector>

#include "data/text/vocabulary.h"

namespace capstan::data {

struct WordVectors {
  std::int64_t width = 0;
  std::int64_t lines = 0;            ///< words of the file
  std::vector<std::int32_t> tokens;  ///< ids in the vocabulary of the words that were found
  std::vector<float> values;         ///< [found, width]
};

/// The vectors of the words of a vocabulary. Throws IoError, or DataError "path:line: ..." for vectors that are not of `width` numbers, and
/// for a vector that is taken and has something else than finite numbers.
WordVectors load_word_vectors(const std::string& path, const Vocabulary& vocabulary, std::int64_t width);

}  // namespace capstan::data
