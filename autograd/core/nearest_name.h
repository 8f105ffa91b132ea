#pragma once
// What error messages propose for a misspelt name.

#include <span>
#include <string>
#include <string_view>

namespace capstan {

/// The known name nearest to a misspelt one, "" if none is near (at most 2 edits, or a third of the length; or the same last part, after a
/// dot or a slash).
std::string nearest_name(std::string_view wrong, std::span<const std::string> known);
/// "; did you mean 'learning_rate'?", or "" if none is near.
std::string suggestion(std::string_view wrong, std::span<const std::string> known);

}  // namespace capstan
