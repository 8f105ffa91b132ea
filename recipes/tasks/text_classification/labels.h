#pragma once
// Labels: the classes by name, and what the training texts say of them.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/engine/recipe.h"

namespace capstan::text_classification {

class Labels {
 public:
  /// `names` of the configuration or of a checkpoint, in their order; empty: to be found. `renames`: old=new. Throws ConfigError for a name
  /// that comes twice.
  Labels(std::vector<std::string> names, const std::vector<std::string>& renames);

  const std::vector<std::string>& names() const { return names_; }
  /// The number of a label; -1: there is none of this name.
  std::int64_t find(std::string_view label) const;
  /// The same, where a new label becomes a class. Numbers change when the names are sorted.
  std::int64_t add(std::string_view label);
  /// Sorts the names, by value where all are whole numbers; returns the new number of each.
  std::vector<std::int64_t> sort();
  /// "; did you mean 'x'?", or nothing.
  std::string suggestion(std::string_view label) const;

 private:
  std::string renamed(std::string_view label) const;

  std::vector<std::string> names_;
  std::map<std::string, std::int64_t, std::less<>> numbers_;
  std::map<std::string, std::string, std::less<>> renames_;
};

/// What the training texts say: enough for weights and for what can be guessed without looking at a text.
struct LabelCounts {
  std::vector<std::int64_t> counts;  ///< [classes] texts of each
  double mean = 0;                   ///< of the numbers of a regression

  void store(engine::NamedTensors& artifacts) const;
  static LabelCounts of(const engine::NamedTensors& artifacts);
};

/// The weight of each class in the loss by data.class_weights; empty: all the same. Throws ConfigError for a label that is none of the
/// classes, a weight that is no positive number, and for balanced weights of a class without texts.
std::vector<float> class_weights(const std::vector<std::string>& wanted, const Labels& labels, const std::vector<std::int64_t>& counts);

/// "a, b, c", cut after the first dozen.
std::string listed(const std::vector<std::string>& names);

}  // namespace capstan::text_classification
