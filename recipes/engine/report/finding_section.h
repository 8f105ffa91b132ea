#pragma once
// Findings as parts of a page.

#include <string>

#include "recipes/engine/report/finding_file.h"

namespace capstan::engine {

/// Title, text and what is shown. `id` begins those of its charts; `heading`: the level of the title, 3 for <h3>.
std::string finding_section(const StoredFinding& finding, const std::string& id, int heading);

}  // namespace capstan::engine
