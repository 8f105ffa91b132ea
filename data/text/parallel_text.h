#pragma once
// ParallelText: texts in two languages that translate each other: line n of one file is line n of the other. Plain or gzip.
//
// Files without the same number of lines are refused, for nothing says which lines belong together. A pair with an empty side is
// left out and counted; which pairs are too long is for the caller to say, who knows what a token is.

#include <cstdint>
#include <string>
#include <vector>

#include "data/line_reader.h"

namespace capstan::data {

struct ParallelText {
  std::string source_path, target_path;
  std::vector<std::string> source, target;  ///< aligned; without blanks at their ends
  std::vector<std::int64_t> lines;          ///< number of each pair's line, from 1
  std::int64_t empty = 0;                   ///< pairs left out because a side is blank
  std::int64_t first_empty = 0;             ///< the line of the first; 0: there is none
  NotUtf8 source_not_utf8 = {}, target_not_utf8 = {};

  std::int64_t size() const { return static_cast<std::int64_t>(source.size()); }
};

/// Reads both files. Throws IoError; DataError naming both and their numbers of lines if these differ, or if there is no pair.
ParallelText read_parallel_text(const std::string& source, const std::string& target);

/// The file `<prefix>.<language>`, or that with `.gz` behind it where only this one is there. Throws IoError naming both if neither is.
std::string language_file(const std::string& prefix, const std::string& language);

}  // namespace capstan::data
