#include "recipes/tasks/translation/options.h"

#include "autograd/core/error.h"

namespace capstan::translation {

void Options::validate(std::int64_t max_positions) const {
  require<ConfigError>(data.max_length <= max_positions, "translation: data.max_length must not exceed model.max_positions, got ",
                       data.max_length, " and ", max_positions);
  require<ConfigError>(data.source != data.target, "translation: data.source and data.target must differ, got ", data.source);
  require<ConfigError>(!data.train.empty(), "translation: data.train must not be empty");
  require<ConfigError>(data.target_model.empty() || data.vocabulary == VocabularyKind::separate,
                       "translation: data.target_model is of separate vocabularies, but data.vocabulary is joint");
  require<ConfigError>(data.vocabulary == VocabularyKind::joint || data.source_model.empty() == data.target_model.empty(),
                       "translation: data.source_model and data.target_model are given together or not at all");
  require<ConfigError>(data.bpe_dropout == 0 || (data.subwords.kind == data::SubwordKind::bpe && data.source_model.empty()),
                       "translation: data.bpe_dropout is of vocabularies that are learned with data.subwords = bpe");
  generation.validate("translation");
  require<ConfigError>(bench.source_length <= max_positions && bench.target_length <= max_positions && bench.written < max_positions,
                       "translation: the lengths of bench must not exceed model.max_positions, got ", bench.source_length, ", ",
                       bench.target_length, ", ", bench.written, " and ", max_positions);
}

}  // namespace capstan::translation
