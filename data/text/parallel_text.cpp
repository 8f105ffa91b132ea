#include "data/text/parallel_text.h"

#include <filesystem>
#include <string_view>

#include "autograd/core/error.h"
#include "data/text/unicode.h"

namespace capstan::data {
namespace {

/// The lines that are left, counted.
std::int64_t count_rest(LineReader& reader) {
  std::int64_t count = 0;
  for (std::string_view line; reader.next(line);) ++count;
  return count;
}

}  // namespace

ParallelText read_parallel_text(const std::string& source, const std::string& target) {
  ParallelText out{.source_path = source, .target_path = target, .source = {}, .target = {}, .lines = {}};
  LineReader from(source), to(target);
  std::string_view a, b;
  for (std::int64_t line = 1;; ++line) {
    const bool has_a = from.next(a), has_b = to.next(b);
    if (has_a != has_b) {
      const std::int64_t more = 1 + count_rest(has_a ? from : to);
      throw DataError(join_text(source, " has ", line - 1 + (has_a ? more : 0), " lines and ", target, " has ",
                                line - 1 + (has_b ? more : 0), " lines: line n of one must translate line n of the other"));
    }
    if (!has_a) break;
    const std::string_view text = unicode::strip(a), translation = unicode::strip(b);
    if (text.empty() || translation.empty()) {
      if (out.empty++ == 0) out.first_empty = line;
      continue;
    }
    out.source.emplace_back(text);
    out.target.emplace_back(translation);
    out.lines.push_back(line);
  }
  require<DataError>(out.size() > 0, source, " and ", target, ": there is no line with a text on both sides");
  out.source_not_utf8 = from.not_utf8();
  out.target_not_utf8 = to.not_utf8();
  return out;
}

std::string language_file(const std::string& prefix, const std::string& language) {
  const std::string plain = prefix + "." + language, packed = plain + ".gz";
  if (std::filesystem::exists(plain)) return plain;
  require<IoError>(std::filesystem::exists(packed), plain, ": no such file, nor ", packed);
  return packed;
}

}  // namespace capstan::data
