#include "recipes/tasks/detection/options.h"

#include "autograd/core/error.h"

namespace capstan::detection {

void Options::validate(std::int64_t channels) const {
  require<ConfigError>(channels == 1 || channels == 3, "detection: images have 1 or 3 channels, got ", channels);
  normalization(channels);  // throws unless it can be made
  require<ConfigError>(shapes.least_extent <= shapes.most_extent,
                       "detection: shapes.least_extent must not be above shapes.most_extent: ", shapes.least_extent, ", ",
                       shapes.most_extent);
  require<ConfigError>(loss.classification + loss.l1 + loss.giou > 0, "detection: one of loss.classification, l1 and giou must be above 0");
  augment.boxes.check();
}

data::Normalization Options::normalization(std::int64_t channels) const { return data::normalization(data.mean, data.deviation, channels); }

data::BoxAugmentation Options::augmentation() const {
  data::BoxAugmentation out = augment.boxes;
  out.filter = evaluate.filter;
  return out;
}

}  // namespace capstan::detection
