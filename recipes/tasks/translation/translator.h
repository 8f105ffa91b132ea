#pragma once
// Translator: texts in, texts out, by a network's decoder and the search of nn/generation. What a text becomes depends on no other text.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/generation/generator.h"
#include "recipes/tasks/translation/network.h"
#include "recipes/tasks/translation/options.h"
#include "recipes/tasks/translation/vocabulary.h"

namespace capstan::translation {

struct Translation {
  std::string text;
  double score = 0;                       ///< by which hypotheses are compared
  std::vector<std::int64_t> tokens = {};  ///< without [BOS] and [EOS]
};

class Translator {
 public:
  /// `options` with max_length cut to what the network has positions for. The weights are those of now.
  Translator(const Network& network, const Vocabularies& vocabularies, const GenerationOptions& options);

  /// Of each source, its tokens with [EOS], the best hypotheses, best first. `numbers` name the lines for draws.
  std::vector<std::vector<Translation>> operator()(std::span<const std::vector<std::int32_t>> sources,
                                                   std::span<const std::int64_t> numbers);

 private:
  Vocabularies vocabularies_;
  GenerationOptions options_;
  nn::GenerationOptions search_;
  std::unique_ptr<nn::Decoder> decoder_;
};

}  // namespace capstan::translation
