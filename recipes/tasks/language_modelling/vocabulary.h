#pragma once
// Vocabulary: text <-> numbers of tokens, of any kind. A further kind is a class beside those in vocabulary.cpp, a value of TokenKind, a
// line in `make_vocabulary` (made from a training text) and one in `of_artifacts` (of a checkpoint). Those that tokenizers of other
// programs made are in tokenizer_vocabulary.h.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/tasks/language_modelling/options.h"

namespace capstan::language_modelling {

class Vocabulary {
 public:
  virtual ~Vocabulary() = default;

  virtual std::int64_t size() const = 0;
  /// "65 characters"
  virtual std::string description() const = 0;
  /// Any text: what has no token of its own is unknown().
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  /// What a person asks to go on with. Throws DataError naming the first byte that is not UTF-8, or a character without a token.
  std::vector<std::int64_t> encode_prompt(std::string_view prompt) const;
  /// Appends a token's text to that of the tokens before it, which may decide over blanks: bytes, UTF-8 perhaps only with what follows.
  virtual void append(std::int32_t token, std::string& text) const = 0;
  /// A name that no other token has.
  virtual std::string name(std::int32_t token) const = 0;
  /// -1: there is none.
  virtual std::int32_t unknown() const { return -1; }
  virtual std::int32_t line_end() const { return -1; }
  /// What every prompt begins with, though nobody wrote it, and what is not written; -1: there is none.
  virtual std::int32_t begin_of_text() const { return -1; }
  /// What ends a text, and is not written; -1: there is none.
  virtual std::int32_t end_of_text() const { return -1; }
  /// What a model begins with where there is no prompt. Throws DataError if there is no such token.
  std::int64_t start() const;
  std::string decode(std::span<const std::int32_t> tokens) const;

  /// Its name in a checkpoint, and what it is made of.
  virtual std::string_view kind() const = 0;
  virtual std::string content() const = 0;
};

using SharedVocabulary = std::shared_ptr<const Vocabulary>;

/// As configured, for a training text. Throws DataError if there is too little of it.
SharedVocabulary make_vocabulary(const DataOptions& data, std::string_view training_text);

/// Token 0 is [UNK], the others are these characters, which ascend. Throws CheckpointError.
SharedVocabulary character_vocabulary(std::u32string characters);

struct ChosenVocabulary {
  SharedVocabulary vocabulary;
  std::string origin;  ///< for people: "of the training text", "the checkpoint's"
};
/// Of the checkpoint that is used or that the run goes on from; else of the model in init.from; else of data.prepared, or made from the
/// training text. `key` stands for that text in data.prepared. Throws ConfigError, DataError or IoError.
ChosenVocabulary choose_vocabulary(const DataOptions& data, const engine::Setup& setup, std::string_view training_text,
                                   const std::string& key);
/// Of data.prepared alone: for `prepare`. Throws ConfigError if no directory is named, or nothing is learned.
ChosenVocabulary prepared_vocabulary(const DataOptions& data, std::string_view training_text, const std::string& key);

void store(const Vocabulary& vocabulary, engine::NamedTensors& artifacts);
/// Null: there is none. Throws CheckpointError for a kind that this program does not know.
SharedVocabulary of_artifacts(const engine::NamedTensors& artifacts);
/// Names of the tokens of a checkpoint in the order of their numbers; empty: it has none.
std::vector<std::string> token_names(const engine::NamedTensors& artifacts);

}  // namespace capstan::language_modelling
