#include "recipes/engine/command/predict.h"

#include <cstdio>
#include <istream>
#include <ostream>

#include "autograd/core/error.h"
#include "autograd/tape/tape.h"
#include "recipes/engine/command/answer_lines.h"

namespace capstan::engine {

PredictFiles::PredictFiles(const std::string& input, const std::string& output, const Console& console) : console_(console) {
  if (input != "-") {
    input_ = std::make_unique<std::ifstream>(input, std::ios::binary);
    require<IoError>(input_->is_open(), input, ": cannot open for reading");
  }
  if (output != "-") {
    output_path_ = output;
    output_ = std::make_unique<std::ofstream>(output + ".tmp", std::ios::binary | std::ios::trunc);
    require<IoError>(output_->is_open(), output, ".tmp: cannot open for writing");
  }
}

PredictFiles::~PredictFiles() {
  if (output_) std::remove((output_path_ + ".tmp").c_str());
}

void PredictFiles::finish() {
  out().flush();
  if (!output_) return;
  output_->close();
  const bool ok = output_->good() && std::rename((output_path_ + ".tmp").c_str(), output_path_.c_str()) == 0;
  require<IoError>(ok, output_path_, ": could not be written completely");
  output_.reset();
}

std::istream& PredictFiles::in() { return input_ ? *input_ : console_.in; }
std::ostream& PredictFiles::out() { return output_ ? *output_ : console_.out; }

void predict(AnyRecipe& recipe, std::istream& in, std::ostream& out, std::int64_t batch_size) {
  const NoGrad paused;
  answer_lines(
      in, out, batch_size, [&](std::string line, std::int64_t number) { recipe.take(std::move(line), number); },
      [&] {
        for (const std::string& answer : recipe.answer()) out << answer << '\n';
      });
}

}  // namespace capstan::engine
