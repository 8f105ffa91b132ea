#include "recipes/engine/command/predict.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <istream>
#include <ostream>
#include <string_view>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"
#include "data/output_file.h"
#include "recipes/engine/command/answer_lines.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/streams.h"

namespace capstan::engine {

namespace {

/// Any text as a column of an answer.
std::string in_a_column(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return out;
}

/// False if no line was answered.
bool report(const Refused& refused, std::string_view instead, std::ostream& err) {
  if (refused.count > 0)
    err << "capstan: predict: " << refused.count << " of " << refused.lines << " lines could not be answered" << instead
        << ", the first: " << refused.first << "\n";
  return refused.lines == 0 || refused.count < refused.lines;
}

int open_input(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require<IoError>(fd >= 0, path, ": cannot open for reading: ", std::strerror(errno));
  struct stat info {
  }, standard{};
  const bool known = ::fstat(fd, &info) == 0, is_standard = ::fstat(STDIN_FILENO, &standard) == 0 && standard.st_rdev == info.st_rdev;
  const bool device = S_ISBLK(info.st_mode) || (S_ISCHR(info.st_mode) && !is_standard);  // /dev/stdin may be a terminal
  if (known && !device && !S_ISDIR(info.st_mode)) return fd;
  ::close(fd);
  throw IoError(
      join_text(path, ": is a ", device ? "device" : "directory", "; the input must be a file of lines, a FIFO, or - for standard input"));
}

}  // namespace

struct PredictFiles::Input {
  explicit Input(const std::string& path) : fd(open_input(path)), buffer(fd, path, InputBuffer::Content::lines), stream(&buffer) {
    stream.exceptions(std::ios::badbit);
  }
  ~Input() { ::close(fd); }
  int fd;
  InputBuffer buffer;
  std::istream stream;
};

struct PredictFiles::Output {
  explicit Output(const std::string& path) : file(path), buffer([this](std::string_view text) { file.append(text); }), stream(&buffer) {
    stream.exceptions(std::ios::badbit);
  }
  data::OutputFile file;
  OutputBuffer buffer;
  std::ostream stream;
};

PredictFiles::PredictFiles(const std::string& input, const std::string& output, const Console& console) : console_(console) {
  if (input != "-") input_ = std::make_unique<Input>(input);
  if (output != "-") output_ = std::make_unique<Output>(output);
}

PredictFiles::~PredictFiles() = default;

void PredictFiles::finish() {
  require<IoError>(!in().bad(), "predict: the input could not be read to its end");
  out().flush();
  if (output_) output_->file.commit();
}

std::istream& PredictFiles::in() { return input_ ? input_->stream : console_.in; }
std::ostream& PredictFiles::out() { return output_ ? output_->stream : console_.out; }

bool predict(AnyRecipe& recipe, std::istream& in, std::ostream& out, std::int64_t batch_size, std::ostream& err) {
  const NoGrad paused;
  const bool json = recipe.setup().json_answers;
  const Refused refused =
      answer_lines(in, out, batch_size,
                   {.take = [&](std::string line, std::int64_t number) { recipe.take(std::move(line), number); },
                    .answer = [&] { return recipe.answer(); },
                    .refusal =
                        [&](std::string_view line, std::int64_t number, std::string_view fault) {
                          return json ? to_json({{"line", number}, {"input", std::string(line)}, {"error", std::string(fault)}})
                                      : join_text(in_a_column(line), "\t-\t", in_a_column(fault));
                        }});
  return report(refused, "", err);
}

bool predict_rows(AnyRecipe& recipe, std::istream& in, RowFile& out, std::int64_t batch_size, std::ostream& err) {
  const NoGrad paused;
  const Refused refused = answer_rows(in, batch_size,
                                      {.take = [&](std::string line, std::int64_t number) { recipe.take(std::move(line), number); },
                                       .answer = [&] { return recipe.answer_rows(); },
                                       .width = recipe.row_width(),
                                       .write = [&](std::span<const float> row) { out.append(row); }});
  return report(refused, " (a row of NaN each)", err);
}

}  // namespace capstan::engine
