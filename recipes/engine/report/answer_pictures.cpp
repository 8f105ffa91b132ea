#include "recipes/engine/report/answer_pictures.h"

#include <filesystem>
#include <system_error>

#include "autograd/core/error.h"

namespace capstan::engine {

void make_picture_directory(const std::string& directory) {
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
}

std::string picture_stem(const std::string& directory, std::int64_t line) {
  std::string digits = std::to_string(line);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  return join_text(directory, "/", digits);
}

std::string picture_stem(const std::string& directory, std::int64_t line, const std::string& image) {
  return join_text(picture_stem(directory, line), "-", std::filesystem::path(image).stem().string());
}

}  // namespace capstan::engine
