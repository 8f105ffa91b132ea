#pragma once
// Tokens of a vocabulary as a person reads them: words with blanks between, pieces ("##ing") joined to what is before them.

#include <cstdint>
#include <span>
#include <string>

#include "data/text/vocabulary.h"

namespace capstan::text {

/// Without [CLS], [PAD] and a [SEP] at the end; one between two texts is " ||| ".
std::string readable(std::span<const std::int32_t> ids, const data::Vocabulary& vocabulary);

}  // namespace capstan::text
