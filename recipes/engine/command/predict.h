#pragma once
// `capstan predict`: lines in, an answer for each out.

#include <fstream>
#include <iosfwd>
#include <memory>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"

namespace capstan::engine {

/// The files that predict reads and writes, "-" being the console's streams. The output appears when it is complete.
class PredictFiles {
 public:
  PredictFiles(const std::string& input, const std::string& output, const Console& console);
  ~PredictFiles();  ///< removes an output that was not finished
  PredictFiles(const PredictFiles&) = delete;
  PredictFiles& operator=(const PredictFiles&) = delete;
  std::istream& in();
  std::ostream& out();
  void finish();

 private:
  const Console& console_;
  std::string output_path_;
  std::unique_ptr<std::ifstream> input_;
  std::unique_ptr<std::ofstream> output_;
};

/// Answers each line, `batch_size` at a time or as many as wait (answer_lines.h). The error of a bad line comes after the answers to those
/// before it.
void predict(AnyRecipe& recipe, std::istream& in, std::ostream& out, std::int64_t batch_size);

}  // namespace capstan::engine
