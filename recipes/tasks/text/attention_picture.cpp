#include "recipes/tasks/text/attention_picture.h"

#include <filesystem>
#include <system_error>

#include "autograd/core/error.h"
#include "data/output_file.h"

namespace capstan::text {

void make_picture_directory(const std::string& directory) {
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require<IoError>(!error, directory, ": cannot create the directory: ", error.message());
}

void draw_attention(const std::string& directory, std::int64_t line, const data::MatrixFigure& figure) {
  std::string digits = std::to_string(line);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  data::write_output(join_text(directory, "/", digits, ".svg"), data::svg_of(figure));
}

}  // namespace capstan::text
