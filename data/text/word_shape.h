#pragma once
// The shape of a word that a vocabulary does not know: a token that says what can be seen of it, instead of [UNK] for all of them.
//
// "[UNK:" + A (capitals throughout) or C (a capital first) + 0 (a digit in it) + the longest of a few English endings behind "-" + "]":
// Goethe [UNK:C], NATO [UNK:A], 1967 [UNK:0], running [UNK:-ing]. A vocabulary has such tokens or not; the plain one, [UNK:], says that it
// has. Source: the unknown-word signatures of statistical parsers (Petrov, Barrett, Thibaux, Klein, 2006).

#include <string>
#include <string_view>

namespace capstan::data {

inline constexpr std::string_view kPlainShape = "[UNK:]";

/// Of a word of valid UTF-8.
std::string shape_token(std::string_view word);

}  // namespace capstan::data
