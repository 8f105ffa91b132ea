#pragma once
// `capstan predict`: lines in, an answer for each out.

#include <iosfwd>
#include <memory>
#include <string>

#include "recipes/engine/any_recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/row_file.h"

namespace capstan::engine {

/// The files that predict reads and writes, "-" being the console's streams. The input is lines of text: a directory, a device and a
/// picture are refused. The output appears when it is complete, or goes into a device or FIFO as it comes (data/output_file.h). The streams
/// throw what makes reading or writing fail: IoError, DataError, data::ClosedPipe.
class PredictFiles {
 public:
  PredictFiles(const std::string& input, const std::string& output, const Console& console);
  ~PredictFiles();  ///< without finish() an output file stays as it was
  PredictFiles(const PredictFiles&) = delete;
  PredictFiles& operator=(const PredictFiles&) = delete;
  std::istream& in();
  std::ostream& out();
  void finish();

 private:
  const Console& console_;
  struct Input;
  struct Output;
  std::unique_ptr<Input> input_;
  std::unique_ptr<Output> output_;
};

/// Answers each line, `batch_size` at a time or as many as wait (answer_lines.h). A line that makes no sense is answered by
/// `line <tab> - <tab> what is wrong`, or {"line":3,"input":"...","error":"what is wrong"}, and how many did not is said on `err` in the
/// end. False if there was none that did.
bool predict(AnyRecipe& recipe, std::istream& in, std::ostream& out, std::int64_t batch_size, std::ostream& err);

/// The same in numbers, a row for each line; that of a line that makes no sense is NaN.
bool predict_rows(AnyRecipe& recipe, std::istream& in, RowFile& out, std::int64_t batch_size, std::ostream& err);

}  // namespace capstan::engine
