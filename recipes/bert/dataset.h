#pragma once
// The instances of BERT: what an epoch trains on and what held-out text is evaluated on, from prepared data (prepare.h).
//
// Training instances of an epoch are a permutation that depends on (run.seed, epoch); with instances.kind = dynamic their pairs and
// masks too. Held-out instances are drawn once, dynamically whatever the kind, and stay the same in all epochs and for all models.
// Memory does not grow with the text but for eight bytes a training instance: corpora are mapped, original instances read by rows.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "data/text/pretraining.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/bert/options.h"
#include "recipes/bert/prepare.h"
#include "recipes/engine/recipe.h"

namespace capstan::bert {

class Dataset {
 public:
  /// Prepares the data if need be. Throws ConfigError, DataError, IoError.
  Dataset(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup);

  const data::Vocabulary& vocabulary() const { return *vocabulary_; }
  std::shared_ptr<const data::Vocabulary> shared_vocabulary() const { return vocabulary_; }
  /// How the text was cut into the vocabulary's tokens.
  const data::TokenizerOptions& tokenizer() const { return prepared_.tokenizer; }
  /// Training instances of an epoch.
  std::int64_t size() const;
  /// Those at the places [first, first + count) of an epoch, fewer at its end. Thread-safe.
  std::vector<data::Instance> training(std::int64_t epoch, std::int64_t first, std::int64_t count) const;

  /// Whether there is held-out text for a split.
  bool has(engine::Split split) const { return held_out(split).has_value(); }
  /// At most `limit` instances of held-out text (0: all), spread evenly over it; empty without text.
  std::vector<data::Instance> evaluation(engine::Split split, std::int64_t limit) const;
  /// How often each token occurs among the first tokens of the training text, some ten million.
  std::vector<std::int64_t> token_counts() const;

  const std::string& digest() const { return prepared_.digest; }
  /// One line for people.
  std::string summary() const;

 private:
  struct Order {
    std::int64_t epoch;
    std::vector<std::int64_t> places;
  };
  std::shared_ptr<const Order> order_of(std::int64_t epoch) const;
  const std::optional<data::Corpus>& held_out(engine::Split split) const {
    return split == engine::Split::validation ? validation_ : test_;
  }

  InstanceOptions options_;
  std::uint64_t seed_;
  PreparedData prepared_;
  std::shared_ptr<const data::Vocabulary> vocabulary_;
  data::Corpus train_;
  std::optional<data::Corpus> validation_, test_;
  std::optional<data::DynamicPretraining> dynamic_;
  std::optional<data::InstanceFiles> original_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Order> order_;  // of the epoch asked for last
};

/// A vocabulary and how text is cut for it, as artifacts of a checkpoint, and back; null: there is none.
engine::NamedTensors vocabulary_artifacts(const data::Vocabulary& vocabulary, const data::TokenizerOptions& tokenizer);
std::shared_ptr<const data::Vocabulary> vocabulary_of(const engine::NamedTensors& artifacts);
data::TokenizerOptions tokenizer_of(const engine::NamedTensors& artifacts);

}  // namespace capstan::bert
