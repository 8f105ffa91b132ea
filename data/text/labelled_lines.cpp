#include "data/text/labelled_lines.h"

#include "autograd/core/error.h"

namespace capstan::data {

LabelledTexts LabelledTexts::at(std::span<const std::int64_t> numbers) const {
  LabelledTexts out;
  for (const std::int64_t i : numbers) {
    out.texts.push_back(texts.at(static_cast<std::size_t>(i)));
    out.labels.push_back(labels.at(static_cast<std::size_t>(i)));
  }
  return out;
}

LabelledTexts read_labelled_lines(const std::string& path, IdMap& classes, NewLabels policy) {
  LabelledTexts out;
  LineReader lines(path);
  std::int64_t number = 0;
  for (std::string_view line; lines.next(line);) {
    ++number;
    if (line.empty()) continue;
    const std::size_t end = line.find_first_of(" \t");
    require<DataError>(end != std::string_view::npos && end > 0 && end + 1 < line.size(), path, ":", number,
                       ": expected a label, a blank or a tab, and a text, got '", line, "'");
    const std::string_view label = line.substr(0, end);
    const std::int64_t known = policy == NewLabels::add ? classes.add(label) : classes.find(label);
    require<DataError>(known >= 0, path, ":", number, ": the label '", label, "' is none of the ", classes.size(), " known ones");
    out.texts.emplace_back(line.substr(end + 1));
    out.labels.push_back(known);
  }
  out.not_utf8 = lines.not_utf8();
  require<DataError>(!out.texts.empty(), path, ": the file has no line");
  return out;
}

}  // namespace capstan::data
