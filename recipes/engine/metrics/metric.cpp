#include "recipes/engine/metrics/metric.h"

#include <limits>

#include "autograd/core/error.h"

namespace capstan::engine {

double value_of(const Metrics& metrics, std::string_view name) {
  std::string known;
  for (const Metric& m : metrics) {
    if (m.name == name) return m.value;
    known += (known.empty() ? "" : ", ") + m.name;
  }
  throw ConfigError(join_text("metrics: there is no '", name, "', known are ", known));
}

void Accumulator::merge(const Accumulator& part) {
  require<InternalError>(sums_.size() == part.sums_.size(), "metrics: only parts of the same kind merge, got ", sums_.size(), " and ",
                         part.sums_.size(), " sums");
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += part.sums_[i];
}

std::vector<MetricInfo> declared(std::span<Accumulator* const> accumulators) {
  std::vector<MetricInfo> all;
  for (const Accumulator* a : accumulators)
    for (MetricInfo& info : a->metrics()) all.push_back(std::move(info));
  return all;
}

Metrics reported(std::span<Accumulator* const> accumulators) {
  Metrics all;
  for (const Accumulator* a : accumulators) {
    const std::vector<MetricInfo> infos = a->metrics();
    const std::vector<double> values = a->values();
    require<InternalError>(infos.size() == values.size(), "metrics: ", infos.size(), " declared, ", values.size(), " computed");
    for (std::size_t i = 0; i < infos.size(); ++i) all.push_back({infos[i].name, values[i]});
  }
  return all;
}

double Mean::value() const { return sums_[1] == 0 ? std::numeric_limits<double>::quiet_NaN() : sums_[0] / sums_[1]; }

}  // namespace capstan::engine
