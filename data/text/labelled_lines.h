#pragma once
// Texts with a label each: a line is a label, a blank or a tab, and the text behind it. Plain or gzip (data/line_reader.h).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/id_map.h"
#include "data/line_reader.h"

namespace capstan::data {

struct LabelledTexts {
  std::vector<std::string> texts;
  std::vector<std::int64_t> labels;  ///< numbers of the classes
  NotUtf8 not_utf8 = {};             ///< lines of the file, for a report
  std::int64_t size() const { return static_cast<std::int64_t>(texts.size()); }
  /// Those with these numbers.
  LabelledTexts at(std::span<const std::int64_t> numbers) const;
};

enum class NewLabels {
  add,     ///< a label that `classes` does not know becomes a class
  refuse,  ///< ... is a DataError
};

/// Reads a file; empty lines are left out. Throws IoError, and DataError naming the line: without a text, with an unknown label, or a file
/// without any line.
LabelledTexts read_labelled_lines(const std::string& path, IdMap& classes, NewLabels policy);

}  // namespace capstan::data
