// The program `capstan`: the list of recipes, and the process around recipes/engine/command_line.h.

#include <unistd.h>

#include <array>
#include <iostream>
#include <istream>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/process.h"
#include "recipes/bert/recipe.h"
#include "recipes/bert_classify/recipe.h"
#include "recipes/bert_spans/recipe.h"
#include "recipes/detr/recipe.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/streams.h"
#include "recipes/engine/system.h"
#include "recipes/gru4rec/recipe.h"
#include "recipes/kernel_regression/recipe.h"
#include "recipes/language_model/recipe.h"
#include "recipes/lstm_classify/recipe.h"
#include "recipes/lstm_translate/recipe.h"
#include "recipes/resnet/recipe.h"
#include "recipes/sasrec/recipe.h"
#include "recipes/swin/recipe.h"
#include "recipes/translate/recipe.h"
#include "recipes/vit/recipe.h"

namespace capstan {
namespace {

std::span<const engine::RecipeEntry> recipes() {
  static const std::array all{sasrec::recipe(),         gru4rec::recipe(),   bert::recipe(),           bert_classify::recipe(),
                              bert_spans::recipe(),     vit::recipe(),       swin::recipe(),           resnet::recipe(),
                              lstm_classify::recipe(),  translate::recipe(), lstm_translate::recipe(), kernel_regression::recipe(),
                              language_model::recipe(), detr::recipe()};
  return all;
}

}  // namespace
}  // namespace capstan

int main(int argc, char** argv) {
  namespace engine = capstan::engine;
  capstan::open_standard_descriptors();
  capstan::ignore_numeric_environment();
  capstan::limit_busy_waiting(argv);
  engine::ignore_write_signals();
  capstan::flush_denormals();

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string command = arguments.empty() ? "" : arguments[0];
  // What these leave is in files; all others only serve who reads them.
  const bool goes_on = command == "train" || command == "prepare" || command == "sweep";
  engine::InputBuffer input(STDIN_FILENO, "standard input",
                            command == "predict" ? engine::InputBuffer::Content::lines : engine::InputBuffer::Content::any);
  engine::OutputBuffer output =
      engine::output_to(STDOUT_FILENO, "standard output", goes_on ? engine::OnClosedPipe::go_on : engine::OnClosedPipe::end);
  std::istream in(&input);
  std::ostream out(&output);
  in.exceptions(std::ios::badbit);
  out.exceptions(std::ios::badbit);
  const std::array scorers{capstan::detr::file_scorer()};
  const int code = engine::run_program(
      capstan::recipes(), arguments,
      {.in = in, .out = out, .err = std::cerr, .progress_fd = STDERR_FILENO, .out_fd = STDOUT_FILENO, .world = engine::world}, scorers);
  out.exceptions(std::ios::goodbit);
  out.flush();
  return code;
}
