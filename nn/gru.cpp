#include "nn/gru.h"

#include <algorithm>
#include <utility>

#include "autograd/ops/shape_ops.h"
#include "nn/cast.h"

namespace capstan::nn {

GruCell::GruCell(const Scope& scope, const GruCellOptions& o) : variant_(o.variant) {
  require<ConfigError>(o.input >= 0 && o.hidden > 0, scope.path(), ": a GRU needs input >= 0 and hidden > 0, got ", o.input, " and ", o.hidden);
  const Initializer per_gate = by_parts(o.init, 3);
  if (o.input > 0) input_.emplace_back(scope / "input", LinearOptions{.in = o.input, .out = 3 * o.hidden, .bias = o.bias, .init = per_gate});
  weight_ = (scope / "state").parameter("weight", {3 * o.hidden, o.hidden}, per_gate);
  if (o.bias && (o.variant == GruVariant::reset_after || o.input == 0))
    bias_ = (scope / "state").parameter("bias", {3 * o.hidden}, zeros(), {.decay = false});
}

Tensor GruCell::step_from_gates(const Tensor& gates, const Tensor& state) const {
  return gru_cell(gates, state, cast_like(weight_, gates), cast_like(bias_, gates), variant_);
}

std::array<Tensor, 2> GruCell::walk(const Tensor& x, const Tensor& first, const Tensor& lengths, bool reverse) const {
  const Tensor share = gates(x);
  return gru(share, first, cast_like(weight_, share), cast_like(bias_, share), lengths, {.variant = variant_, .reverse = reverse});
}

Gru::Gru(const Scope& scope, const GruOptions& o) {
  require<ConfigError>(o.layers > 0, scope.path(), ": a GRU needs at least one layer, got ", o.layers);
  for (std::int64_t i = 0; i < o.layers; ++i) {
    Layer layer{{}, Dropout(scope / i, i + 1 < o.layers ? o.dropout : 0.0)};
    const GruCellOptions cell{.input = i == 0 ? o.input : o.hidden * (o.bidirectional ? 2 : 1), .hidden = o.hidden, .bias = o.bias,
                              .variant = o.variant, .init = o.init};
    for (const char* direction : {"forward", "backward"})
      if (o.bidirectional || layer.directions.empty()) layer.directions.emplace_back(scope / i / direction, cell);
    layers_.push_back(std::move(layer));
  }
}

Gru::Result Gru::operator()(const Tensor& x, const Tensor& lengths, const Run& run, std::span<const Tensor> first) const {
  const std::size_t states = layers_.size() * layers_.front().directions.size();
  require(first.empty() || first.size() == states, "gru: one first state per layer and direction: ", states, " needed, ", first.size(), " given");
  Result result{x, {}};
  for (const Layer& layer : layers_) {
    std::vector<Tensor> outputs;
    for (std::size_t d = 0; d < layer.directions.size(); ++d) {
      const std::size_t number = result.last.size();
      auto [y, last] = layer.directions[d].walk(result.output, first.empty() ? Tensor{} : first[number], lengths, d == 1);
      outputs.push_back(std::move(y));
      result.last.push_back(std::move(last));
    }
    result.output = layer.dropout(outputs.size() == 1 ? outputs.front() : concat(outputs, -1), run);
  }
  return result;
}

}  // namespace capstan::nn
