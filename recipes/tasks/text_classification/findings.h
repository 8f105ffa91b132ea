#pragma once
// What an evaluation of texts shows beside its metrics: the classes that are confused, the texts with the worst mistakes, whether the model
// is right as often as it is sure, and the words that it looks at.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/engine/report/classification_findings.h"
#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/kept_cases.h"
#include "recipes/tasks/text_classification/dataset.h"

namespace capstan::text_classification {

class ShownTexts {
 public:
  /// What a model says of a text, and how much it looks at each of its tokens.
  struct Looked {
    std::string said;
    std::vector<double> weights;
  };
  using Look = std::function<Looked(std::int64_t place)>;

  /// `data` outlives this. `look`: of a model that has attention; may be missing.
  ShownTexts(const Dataset& data, engine::Split part, Look look) : data_(&data), part_(part), look_(std::move(look)) {}

  /// A text of the part with its class, the class that was said, and the probability of that.
  void add(std::int64_t place, std::int64_t truth, std::int64_t said, double probability);
  /// The same of a regression.
  void add(std::int64_t place, double truth, double said);
  engine::Accumulator& sums() { return reliability_.sums(); }
  void pack(data::Packer& to) const { mistakes_.pack(to); }
  void add_packed(data::Unpacker& from) { mistakes_.add_packed(from); }

  /// `confusion`: of a classification.
  std::vector<engine::Finding> findings(const engine::ConfusionMatrix* confusion) const;

 private:
  std::string text(std::int64_t place) const;
  std::string truth(std::int64_t place) const;
  engine::Finding worst() const;
  engine::Finding looked_at() const;

  const Dataset* data_;
  engine::Split part_;
  Look look_;
  engine::Reliability reliability_;
  engine::KeptCases mistakes_{24};
};

}  // namespace capstan::text_classification
