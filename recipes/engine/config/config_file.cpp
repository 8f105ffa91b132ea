#include "recipes/engine/config/config_file.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdint>
#include <map>
#include <sstream>

#include "data/file.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

namespace po = boost::program_options;

/// Stands for a '#' inside quotes while Boost, which would cut the line there, reads it. Control characters are no part of a value.
constexpr char kHidden = '\x01';

std::string joined(const std::vector<std::string>& faults) {
  std::string all;
  for (const std::string& f : faults) all += (all.empty() ? "" : "\n") + f;
  return all;
}

bool starts_comment(std::string_view line, std::size_t at) {
  return line[at] == '#' && (at == 0 || kBlank.find(line[at - 1]) != std::string_view::npos);
}

/// Where the comment of a line begins, or its end. `quoted_end`: one past the closing quote of a value in quotes, else 0.
std::size_t find_comment(std::string_view line, std::size_t& quoted_end) {
  const auto is_blank = [&](std::size_t from, std::size_t to) { return trimmed(line.substr(from, to - from)).empty(); };
  quoted_end = 0;
  std::size_t comment = 0;
  while (comment < line.size() && !starts_comment(line, comment)) ++comment;
  const auto equals = line.substr(0, comment).find('=');
  if (equals == std::string_view::npos) return comment;
  const auto open = line.find_first_not_of(kBlank, equals + 1);
  if (open == std::string_view::npos || (line[open] != '"' && line[open] != '\'')) return comment;
  // The first closing quote behind which nothing follows but a comment.
  for (auto close = line.find(line[open], open + 1); close != std::string_view::npos; close = line.find(line[open], close + 1)) {
    std::size_t end = close + 1;
    while (end < line.size() && !starts_comment(line, end)) ++end;
    if (!is_blank(close + 1, end)) continue;
    quoted_end = close + 1;
    return end;
  }
  return comment;
}

struct Scanned {
  std::string text;                 ///< without comments, '#' in quotes hidden
  std::vector<std::int64_t> lines;  ///< of the keys
};

/// What Boost does not tell: the line of each key. Also refuses, with its line, everything that Boost would refuse without one or would
/// cut in silence.
Scanned scan(std::string_view text, const std::string& path, std::vector<std::string>& faults) {
  Scanned out;
  std::int64_t number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto fault = [&, where = path + ":" + std::to_string(++number) + ": "](const auto&... parts) {
      faults.push_back(where + join_text(parts...));
    };
    if (const auto control = whole.find_first_of(std::string_view("\0\x01", 2)); control != std::string_view::npos) {
      fault(whole[control] == '\0' ? "NUL character" : "control character of code 1");
      continue;
    }
    std::size_t quoted_end = 0;
    std::string line(whole.substr(0, find_comment(whole, quoted_end)));
    std::replace(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(quoted_end), '#', kHidden);
    if (line.find('#') != std::string::npos)
      fault("'#' starts a comment and would cut the value in '", trimmed(whole),
            "'; write a space before a comment, or the value in quotes");
    line = trimmed(line);
    out.text += line + "\n";
    if (line.empty() || (line.front() == '[' && line.back() == ']')) continue;
    const auto equals = line.find('=');
    if (equals == std::string::npos || trimmed(line.substr(0, equals)).empty()) {
      fault("expected 'key = value' or '[section]', found '", line, "'");
    } else {
      out.lines.push_back(number);
    }
  }
  return out;
}

}  // namespace

std::vector<Assignment> read_config_file(const std::string& path) { return parse_config(data::read_text(path), path); }

std::vector<Assignment> parse_config(std::string_view text, const std::string& path) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  std::vector<std::string> faults;
  const Scanned scanned = scan(text, path, faults);
  require<ConfigError>(faults.empty(), joined(faults));

  std::vector<Assignment> found;
  try {
    std::istringstream stream(scanned.text);
    const po::options_description none;
    const auto parsed = po::parse_config_file(stream, none, /*allow_unregistered=*/true);
    for (const auto& option : parsed.options) {
      require<InternalError>(found.size() < scanned.lines.size(), "config: more keys than lines in ", path);
      std::string value = option.value.empty() ? std::string() : option.value.front();
      std::ranges::replace(value, kHidden, '#');
      found.push_back({option.string_key, std::move(value), path + ":" + std::to_string(scanned.lines[found.size()])});
    }
  } catch (const po::error& e) {
    throw ConfigError(join_text(path, ": ", e.what()));
  }
  require<InternalError>(found.size() == scanned.lines.size(), "config: ", scanned.lines.size(), " lines but ", found.size(), " keys in ",
                         path);

  std::map<std::string_view, std::string_view> first;
  for (const Assignment& a : found) {
    const auto [seen, is_new] = first.emplace(a.key, a.origin);
    if (!is_new) faults.push_back(join_text(a.origin, ": key '", a.key, "' is set a second time; first at ", seen->second));
  }
  require<ConfigError>(faults.empty(), joined(faults));
  return found;
}

}  // namespace capstan::engine
