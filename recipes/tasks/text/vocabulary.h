#pragma once
// A vocabulary and how text is cut for it, as artifacts of a checkpoint and back: what every task on text keeps beside the parameters.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/text/tokenizer_keys.h"

namespace capstan::text {

engine::NamedTensors vocabulary_artifacts(const data::Vocabulary& vocabulary, const data::TokenizerOptions& tokenizer);
/// Null: there is none.
std::shared_ptr<const data::Vocabulary> vocabulary_of(const engine::NamedTensors& artifacts);
std::vector<std::string> tokens_of(const engine::NamedTensors& artifacts);  ///< in the order of their numbers
/// Throws CheckpointError for a tokenizer that is not known here.
data::TokenizerOptions tokenizer_of(const engine::NamedTensors& artifacts);

/// What a task reads text with, where it makes no vocabulary of its own.
struct TextReader {
  std::shared_ptr<const data::Vocabulary> vocabulary;
  data::TokenizerOptions tokenizer;
};
/// Of the checkpoint that is used, or that the run goes on from; or else the file data.vocabulary, cut as the keys say; or else of the
/// model in init.from; or else what `learn` makes of the training texts. Throws ConfigError if there is none of these.
TextReader text_reader(const VocabularyKeys& keys, const engine::Setup& setup, const std::function<data::Vocabulary()>& learn = {});

}  // namespace capstan::text
