#pragma once
// Pictures of attention for `predict --attention DIR`: an SVG file a line of input, what was read along the columns, what was written, or
// decided, along the rows (data/figure.h).

#include <cstdint>
#include <string>

#include "data/figure.h"

namespace capstan::text {

/// Writes `directory`/0012.svg for line 12.
void draw_attention(const std::string& directory, std::int64_t line, const data::MatrixFigure& figure);

}  // namespace capstan::text
