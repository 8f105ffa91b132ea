#pragma once
// Dataset: the parts train, validation and test, encoded, with their labels.
//
// The labels are those of data.labels or of the training texts, sorted (by value where all are whole numbers); a checkpoint knows its own.
// A label of another part that is none of them is an error. A part is read when it is first asked for, so an evaluation needs only the file
// of its own part. What stands where:
//     validation   data.validation; else data.held_out of the training texts; else the test texts
//     test         data.test, with or without labels; else the texts of validation

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "data/data_report.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/text_classification/encoded_texts.h"
#include "recipes/tasks/text_classification/labels.h"
#include "recipes/tasks/text_classification/options.h"

namespace capstan::text_classification {

/// The texts of one file.
struct LabelledTexts {
  std::string path, form;
  EncodedTexts texts;
  bool labelled = true;
  std::vector<std::int64_t> labels;  ///< [texts] classes; empty without labels and of a regression
  std::vector<double> numbers;       ///< [texts] of a regression with labels
  data::NotUtf8 not_utf8;
  std::int64_t bad = 0, others = 0;  ///< records left out
  std::string first_bad;
};

/// A vocabulary of the words of the training texts, without those that are set aside for validation. Throws what Dataset does.
data::Vocabulary learned_words(const Options& options, const engine::Setup& setup, const WordKeys& keys);

/// What a label is that is not known yet.
enum class NewLabels { add, refuse };

class Dataset {
 public:
  /// `class_names` of a checkpoint; empty: they are to be found. Reads the training and validation texts where `setup` is for training.
  Dataset(const Options& options, const engine::Setup& setup, const Encoder& encoder, const std::vector<std::string>& class_names);

  std::int64_t size(engine::Split split) const { return static_cast<std::int64_t>(part(split).indices.size()); }
  bool labelled(engine::Split split) const { return part(split).texts->labelled; }
  text::TokenSequence tokens(engine::Split split, std::int64_t i) const {
    return part(split).texts->texts[part(split).indices[static_cast<std::size_t>(i)]];
  }
  std::int64_t label(engine::Split split, std::int64_t i) const;
  double number(engine::Split split, std::int64_t i) const;
  std::vector<std::int64_t> lengths(engine::Split split) const;

  /// The numbers of the texts, short texts first.
  const std::vector<std::int64_t>& short_first(engine::Split split) const { return part(split).short_first; }

  bool regression() const { return options_.regression(); }
  const data::Vocabulary& vocabulary() const { return encoder_.vocabulary(); }
  const Labels& labels() const { return labels_; }
  const LabelCounts& training_counts() const { return training_counts_; }
  /// "rte/dev.tsv", and why it serves.
  std::string source(engine::Split split) const;
  data::DataReport report() const;
  /// Of what is trained and validated on.
  std::string digest() const;

 private:
  enum class Source { training, validation, test, none };
  struct Part {
    std::shared_ptr<const LabelledTexts> texts;
    std::vector<std::int64_t> indices;      // of the texts that belong to the part
    std::vector<std::int64_t> short_first;  // places in indices
  };

  Source source_of(engine::Split split) const;
  const Part& part(engine::Split split) const;
  Part made(engine::Split split) const;
  std::shared_ptr<const LabelledTexts> file(Source source) const;
  LabelledTexts read(const std::string& path, const data::TextTableOptions& form, NewLabels policy) const;
  void report_part(engine::Split split, data::DataReport& report) const;
  std::string labels_text(engine::Split split, data::DataReport& report) const;

  Options options_;
  engine::Setup setup_;
  const Encoder& encoder_;
  mutable Labels labels_;  // completed by the training file
  LabelCounts training_counts_;
  mutable std::recursive_mutex mutex_;
  mutable std::map<Source, std::shared_ptr<const LabelledTexts>> files_;
  mutable std::array<std::optional<Part>, 3> parts_;  // by split
};

}  // namespace capstan::text_classification
