#pragma once
// The subword models of both languages: learned, read from files, or of a checkpoint, and as artifacts of one.

#include <memory>
#include <string>
#include <vector>

#include "data/text/parallel_text.h"
#include "data/text/subword.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/translation/options.h"

namespace capstan::translation {

struct Vocabularies {
  std::shared_ptr<const data::SubwordModel> source, target;  ///< one and the same where the vocabulary is joint
  std::string origin;                                        ///< for people: "learned from 58,000 texts", "the checkpoint's"
  bool joint() const { return source == target; }
};

/// The generated pairs of a part.
data::ParallelText generated(const DataOptions& data, engine::Split split);

/// Of the checkpoint that is used or that the run goes on from; else of the files that are named; else of the model in init.from; else of
/// data.prepared, or learned from the training texts. Throws ConfigError, DataError or IoError.
Vocabularies vocabularies(const DataOptions& data, const engine::Setup& setup);
/// Learns, or reads, those of data.prepared alone: for `prepare`. Throws ConfigError if no directory is named.
Vocabularies prepared_vocabularies(const DataOptions& data, const engine::Setup& setup);

void store(const Vocabularies& vocabularies, engine::NamedTensors& artifacts);
/// The pieces of a language of a checkpoint in the order of their numbers; empty: it has none.
std::vector<std::string> source_pieces(const engine::NamedTensors& artifacts);
std::vector<std::string> target_pieces(const engine::NamedTensors& artifacts);

}  // namespace capstan::translation
