#pragma once
// Pretraining instances: what is trained on and what held-out text is evaluated on, from prepared data (prepare.h).
//
// With instances.kind = dynamic the pair and the masks of a training instance depend on (instances.seed, epoch, number). Held-out
// instances are dynamic ones of epoch 0 whatever the kind, so they are the same in all epochs and for all models.
// Memory does not grow with the text but for eight bytes an instance: corpora are mapped, original instances read by rows.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/data_report.h"
#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "data/text/pretraining.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/masked_lm/options.h"
#include "recipes/tasks/masked_lm/prepare.h"

namespace capstan::masked_lm {

class Dataset {
 public:
  /// Prepares the data if need be. `held_out`: at most so many instances of held-out text, spread evenly over it; 0: all. Throws
  /// ConfigError, DataError, IoError.
  Dataset(const DataOptions& data, const InstanceOptions& instances, std::int64_t held_out, const engine::Setup& setup);

  const data::Vocabulary& vocabulary() const { return *vocabulary_; }
  std::shared_ptr<const data::Vocabulary> shared_vocabulary() const { return vocabulary_; }
  /// How the text was cut into the vocabulary's tokens.
  const data::TokenizerOptions& tokenizer() const { return prepared_.tokenizer; }

  /// Instances of a split; 0: there is no such text.
  std::int64_t size(engine::Split split) const;
  /// One of them. `epoch` counts for training alone. Thread-safe.
  data::Instance instance(engine::Split split, std::int64_t epoch, std::int64_t index) const;
  /// How often each token occurs among the first tokens of the training text, some ten million.
  std::vector<std::int64_t> token_counts() const;

  const std::string& digest() const { return prepared_.digest; }
  /// What was read, counted over all of the text ([UNK]: over the tokens of token_counts()).
  data::DataReport report(const DataOptions& data, const InstanceOptions& instances) const;
  /// One line for people.
  std::string summary() const;

 private:
  struct HeldOut {
    data::Corpus corpus;
    data::DynamicPretraining instances;
    HeldOut(const std::string& path, const data::Vocabulary& vocabulary, const data::PretrainingOptions& options);
  };
  const std::unique_ptr<const HeldOut>& held_out(engine::Split split) const {
    return split == engine::Split::validation ? validation_ : test_;
  }

  std::int64_t limit_;  // of held-out instances, 0: none
  PreparedData prepared_;
  std::shared_ptr<const data::Vocabulary> vocabulary_;
  data::Corpus train_;
  std::unique_ptr<const HeldOut> validation_, test_;
  std::optional<data::DynamicPretraining> dynamic_;
  std::optional<data::InstanceFiles> original_;
};

}  // namespace capstan::masked_lm
