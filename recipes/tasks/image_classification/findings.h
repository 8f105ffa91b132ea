#pragma once
// What an evaluation of images shows beside its metrics: the classes that are confused, the mistakes that the model was surest of, whether
// it is right as often as it is sure, and what it looks at.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "recipes/engine/recipe.h"
#include "recipes/engine/report/classification_findings.h"
#include "recipes/engine/report/finding.h"
#include "recipes/engine/report/kept_cases.h"
#include "recipes/tasks/image_classification/dataset.h"

namespace capstan::image_classification {

class ShownImages {
 public:
  /// What the model makes of an image as the data has it.
  struct Looked {
    std::string said;  ///< class and probability
    data::Image page;  ///< what it looked at
  };
  using Look = std::function<Looked(const data::ImageView& image)>;

  /// `data` outlives this. `look`: of a model that has attention; may be missing.
  ShownImages(const Dataset& data, engine::Split part, Look look) : data_(&data), part_(part), look_(std::move(look)) {}

  /// An image of the part with the probabilities of the classes.
  void add(std::int64_t index, std::int64_t truth, std::int64_t said, double probability);
  engine::Accumulator& sums() { return reliability_.sums(); }
  void pack(data::Packer& to) const { mistakes_.pack(to); }
  void add_packed(data::Unpacker& from) { mistakes_.add_packed(from); }

  std::vector<engine::Finding> findings(const engine::ConfusionMatrix& confusion) const;

 private:
  engine::Finding worst(const std::vector<std::string>& names) const;
  engine::Finding looked_at(const std::vector<std::string>& names) const;

  const Dataset* data_;
  engine::Split part_;
  Look look_;
  engine::Reliability reliability_;
  engine::KeptCases mistakes_{24};
};

}  // namespace capstan::image_classification
