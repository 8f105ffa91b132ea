#pragma once
// The pairs of a run, as text and as tokens, part by part, with what was left out and why.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/data_report.h"
#include "data/text/parallel_text.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/translation/batch.h"
#include "recipes/tasks/translation/options.h"
#include "recipes/tasks/translation/vocabulary.h"

namespace capstan::translation {

/// A text as the encoder reads it: its pieces and [EOS], cut to `max_length` tokens.
std::vector<std::int32_t> encode_source(const data::SubwordModel& model, std::string_view text, std::int64_t max_length);

/// The pair cut anew (data::SubwordModel::merged_anew); a side that would be longer than `max_length` tokens stays as it is.
EncodedPair merged_anew(const EncodedPair& pair, const Vocabularies& vocabularies, double rate, std::int64_t max_length, Rng& rng);

class Dataset {
 public:
  /// Reads the parts that the purpose needs. Throws ConfigError, DataError, IoError.
  Dataset(const DataOptions& data, const engine::Setup& setup, const Vocabularies& vocabularies);

  struct Part {
    data::ParallelText texts;
    std::vector<EncodedPair> pairs;  ///< aligned with the texts
    std::int64_t too_long = 0, unlike = 0, unknown = 0, tokens = 0;
  };
  /// Null: there is no such part.
  const Part* part(engine::Split split) const;
  /// The training text that stands most often as a translation.
  const std::string& most_frequent_target() const { return most_frequent_; }

  data::DataReport report() const;
  const std::string& digest() const { return digest_; }

 private:
  void read(engine::Split split, const std::string& prefix, const DataOptions& data, const engine::Setup& setup, const Vocabularies& v);

  std::array<std::optional<Part>, 3> parts_;
  std::string most_frequent_, digest_, vocabularies_;
};

}  // namespace capstan::translation
