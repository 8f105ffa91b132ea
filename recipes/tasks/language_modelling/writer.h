#pragma once
// Writer: prompts in, what a model writes behind them out. What a line becomes depends on no other line.
//
// A line that reaches the end of the model's window goes on: the last half of the window becomes the prompt of a new request, whose draws
// depend on (seed, line, number of the request). Penalties then see the tokens of that request alone. A beam search ends there.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/tasks/language_modelling/network.h"
#include "recipes/tasks/language_modelling/options.h"
#include "recipes/tasks/language_modelling/vocabulary.h"

namespace capstan::language_modelling {

struct Prompt {
  std::vector<std::int64_t> tokens;  ///< at least one
  std::int64_t number = 0;           ///< names the line for its draws
};

class Writer {
 public:
  /// The weights are those of now. `lines`: written side by side.
  Writer(const Network& network, SharedVocabulary vocabulary, const GenerationOptions& options, std::int64_t lines);

  /// The tokens of a text, or what stands for an empty one. Throws DataError for a text that has no tokens, and for one longer than the
  /// window, with both numbers.
  std::vector<std::int64_t> prompt(std::string_view text) const;

  /// Gets a line's new text after each of its tokens, often nothing; false ends the line. Not of a beam search.
  using OnText = std::function<bool(std::size_t line, std::string_view text)>;
  /// Of each prompt, what is written behind it: the best hypotheses, best first.
  std::vector<std::vector<text::Written>> operator()(std::span<const Prompt> prompts, const OnText& on_text = {});

 private:
  std::vector<std::vector<text::Written>> search(std::span<const Prompt> prompts);
  std::int64_t room_behind(std::int64_t prompt) const { return window_ - prompt + 1; }  // the last token written is not read
  std::vector<std::int64_t> stop_tokens() const;

  SharedVocabulary vocabulary_;
  GenerationOptions options_;
  std::int64_t window_;
  std::unique_ptr<nn::Decoder> decoder_;
};

}  // namespace capstan::language_modelling
