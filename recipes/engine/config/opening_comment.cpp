#include "recipes/engine/config/opening_comment.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace capstan::engine {
namespace {

/// The next line of the comment, without its sign.
bool next_line(std::istream& file, std::string& line) {
  if (!std::getline(file, line) || !line.starts_with('#')) return false;
  line.erase(0, std::min(line.find_first_not_of("# "), line.size()));
  return true;
}

/// The command of a line for this configuration: words and settings up to what is neither.
ShownUse use_in(const std::string& line, const std::string& config) {
  std::istringstream words(line);
  std::string program, command, name;
  words >> program >> command >> name;
  if (program != "capstan" || command != "train" || name != config) return {};
  ShownUse use{.command = "capstan train " + config, .keys = {}};
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) break;
    use.command += " " + word;
    use.keys.push_back(word.substr(0, equals));
  }
  return use;
}

}  // namespace

std::string title_of_config(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!next_line(file, line)) return "";
  while (!line.empty() && std::string_view(",:; \r").find(line.back()) != std::string_view::npos) line.pop_back();
  return line;
}

ShownUse shown_use(const std::string& path) {
  const std::filesystem::path file_path(path);
  const std::string config = file_path.parent_path().filename().string() + "/" + file_path.stem().string();
  std::ifstream file(path);
  for (std::string line; next_line(file, line);)
    if (ShownUse use = use_in(line, config); !use.command.empty()) return use;
  return {};
}

}  // namespace capstan::engine
