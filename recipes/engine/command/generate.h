#pragma once
// `capstan generate`: a prompt in, the text that a model goes on with out, token by token.

#include <iosfwd>
#include <string>

#include "recipes/engine/any_recipe.h"

namespace capstan::engine {

/// All that is left of it, as it is.
std::string whole_input(std::istream& in);

/// Writes what the recipe does, handing each piece on at once, and a line feed. Returns the exit code: on a signal, which ends the text
/// where it is, 128 + its number. Throws what makes writing fail.
int generate(AnyRecipe& recipe, const std::string& prompt, std::ostream& out);

}  // namespace capstan::engine
