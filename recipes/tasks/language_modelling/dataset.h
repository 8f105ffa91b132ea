#pragma once
// The text of a run as tokens, part by part, and its vocabulary.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/data_report.h"
#include "data/line_reader.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/language_modelling/options.h"
#include "recipes/tasks/language_modelling/vocabulary.h"
#include "recipes/tasks/language_modelling/windows.h"

namespace capstan::language_modelling {

/// A text with \n as its line ends, the last line's too.
struct Text {
  std::string path;  ///< or what else it is
  std::string text;
  data::NotUtf8 not_utf8 = {};
};

/// The training text without what is held out of it, and that.
struct TrainingText {
  Text kept, held_out;
  std::string vocabulary_key;  ///< stands for the text, and for how subwords are learned from it
};
/// Throws ConfigError, DataError or IoError.
TrainingText read_training_text(const DataOptions& data, const engine::Setup& setup);

class Dataset {
 public:
  /// Reads the parts that the purpose needs. Throws ConfigError, DataError, IoError.
  Dataset(const Options& options, const engine::Setup& setup);

  struct Part {
    std::string path;
    std::vector<std::int32_t> tokens;
    std::int64_t bytes = 0;
    std::int64_t words = 0;  ///< between blanks, and line ends
    std::int64_t unknown = 0;
    data::NotUtf8 not_utf8 = {};
  };
  /// Null: there is no such part.
  const Part* part(engine::Split split) const { return parts_[static_cast<std::size_t>(split)].get(); }
  const SharedVocabulary& vocabulary() const { return vocabulary_.vocabulary; }

  data::DataReport report() const;
  const std::string& digest() const { return digest_; }

 private:
  void read(engine::Split split, Text text, const Options& options);

  std::array<std::shared_ptr<const Part>, 3> parts_;
  ChosenVocabulary vocabulary_;
  std::string digest_;
};

}  // namespace capstan::language_modelling
