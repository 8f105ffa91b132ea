#include "recipes/engine/terminal/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace capstan::engine {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace

bool is_terminal(int fd) { return fd >= 0 && ::isatty(fd) == 1; }

std::size_t columns_of(int fd, std::size_t otherwise) {
  winsize size{};
  return fd >= 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : otherwise;
}

bool shows_colour(int fd) { return is_terminal(fd) && environment("NO_COLOR").empty() && environment("TERM") != "dumb"; }

bool shows_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})  // the first that is set counts
    if (const std::string_view value = environment(name); !value.empty()) {
      std::string lower(value);
      std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
      return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
    }
  return false;
}

std::string coloured(std::string_view text, Colour colour) {
  static constexpr std::string_view kStart[] = {"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"};
  return std::string(kStart[static_cast<std::size_t>(colour)]).append(text).append("\x1b[0m");
}

std::string highlighted(std::string_view message) {
  std::string out;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size() - 1) + 1;
    std::string_view line = message.substr(0, end);
    const bool ended = line.ends_with('\n');
    if (ended) line.remove_suffix(1);
    constexpr std::string_view kBest = "(best)";
    if (line.starts_with("warning:") || line.find(": warning:") != std::string_view::npos) {
      out += coloured(line, Colour::yellow);
    } else if (line.starts_with("error:") || line.starts_with("capstan: ")) {
      out += coloured(line, Colour::red);
    } else if (line.ends_with(kBest)) {
      out.append(line.substr(0, line.size() - kBest.size())).append(coloured(kBest, Colour::green));
    } else {
      out += line;
    }
    if (ended) out += '\n';
    message.remove_prefix(end);
  }
  return out;
}

std::size_t width_of(std::string_view text) { return static_cast<std::size_t>(std::ranges::count_if(text, starts_character)); }

std::string cut_to(std::string_view text, std::size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  const std::size_t kept = columns > 8 ? columns - 3 : columns;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end)
    if (starts_character(text[end]) && ++seen > kept) break;
  return std::string(text.substr(0, end)) + (columns > 8 ? "..." : "");
}

std::string padded(std::string_view text, std::size_t columns, bool right) {
  const std::size_t width = width_of(text);
  const std::string blanks(width < columns ? columns - width : 0, ' ');
  return right ? blanks + std::string(text) : std::string(text) + blanks;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char text[48];
  const double size = std::abs(value);
  const bool whole = value == std::round(value) && size < 1e15;
  const char* pattern = whole || (size >= 9999.5 && size < 1e15) ? "%.0f" : "%#.4g";
  std::snprintf(text, sizeof text, pattern, value);
  std::string out = text;
  if (out.ends_with('.')) out.pop_back();  // of 1234.5
  return out == "-0" ? "0" : out;
}

}  // namespace capstan::engine
