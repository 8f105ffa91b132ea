#pragma once
// Sentences of a small grammar, "the old cats see a dog.", a line each: text that a small language model learns in seconds, without a
// download. Number agrees between subject and verb, which takes looking back by some words.

#include <cstdint>
#include <string>

namespace capstan::data {

/// The same for the same arguments.
std::string grammar_text(std::int64_t sentences, std::uint64_t seed);

}  // namespace capstan::data
