#include "recipes/tasks/detection/options.h"

#include "autograd/core/error.h"

namespace capstan::detection {

void Options::validate(std::int64_t channels) const {
  require<ConfigError>(channels == 1 || channels == 3, "detection: images have 1 or 3 channels, got ", channels);
  for (const auto* list : {&data.mean, &data.deviation})
    require<ConfigError>(list->size() == 1 || static_cast<std::int64_t>(list->size()) == channels,
                         "detection: data.mean and data.deviation need one number or one for each of ", channels, " channels, got ",
                         data.mean.size(), " and ", data.deviation.size());
  require<ConfigError>(shapes.least_extent <= shapes.most_extent,
                       "detection: shapes.least_extent must not be above shapes.most_extent: ", shapes.least_extent, ", ",
                       shapes.most_extent);
  require<ConfigError>(loss.classification + loss.l1 + loss.giou > 0, "detection: one of loss.classification, l1 and giou must be above 0");
  augment.boxes.check();
}

data::Normalization Options::normalization(std::int64_t channels) const {
  const auto each = [&](const std::vector<double>& values) {
    return values.size() == 1 ? std::vector<double>(static_cast<std::size_t>(channels), values[0]) : values;
  };
  return {.mean = each(data.mean), .deviation = each(data.deviation)};
}

data::BoxAugmentation Options::augmentation() const {
  data::BoxAugmentation out = augment.boxes;
  out.filter = evaluate.filter;
  return out;
}

}  // namespace capstan::detection
