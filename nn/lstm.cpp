#include "nn/lstm.h"

#include <utility>

#include "autograd/ops/shape_ops.h"
#include "nn/cast.h"

namespace capstan::nn {

LstmCell::LstmCell(const Scope& scope, const LstmCellOptions& o)
    : input_(scope / "input", {.in = o.input, .out = 4 * o.hidden, .bias = o.bias, .init = by_parts(o.init, 4)}) {
  weight_ = (scope / "state").parameter("weight", {4 * o.hidden, o.hidden}, by_parts(o.init, 4));
  if (o.bias) bias_ = (scope / "state").parameter("bias", {4 * o.hidden}, zeros(), {.decay = false});
}

LstmState LstmCell::step(const Tensor& x, const LstmState& state) const {
  const Tensor share = input_(x);
  auto [h, c] = lstm_cell(share, state.h, state.c, cast_like(weight_, share), cast_like(bias_, share));
  return {std::move(h), std::move(c)};
}

LstmCell::Walk LstmCell::walk(const Tensor& x, const LstmState& first, const Tensor& lengths, bool reverse) const {
  const Tensor share = input_(x);
  auto [y, h, c] = lstm(share, first.h, first.c, cast_like(weight_, share), cast_like(bias_, share), lengths, {.reverse = reverse});
  return {std::move(y), {std::move(h), std::move(c)}};
}

Lstm::Lstm(const Scope& scope, const LstmOptions& o) {
  require<ConfigError>(o.layers > 0, scope.path(), ": an LSTM needs at least one layer, got ", o.layers);
  for (std::int64_t i = 0; i < o.layers; ++i) {
    Layer layer{{}, Dropout(scope / i, i + 1 < o.layers ? o.dropout : 0.0)};
    const LstmCellOptions cell{.input = i == 0 ? o.input : o.hidden * (o.bidirectional ? 2 : 1), .hidden = o.hidden, .bias = o.bias, .init = o.init};
    for (const char* direction : {"forward", "backward"})
      if (o.bidirectional || layer.directions.empty()) layer.directions.emplace_back(scope / i / direction, cell);
    layers_.push_back(std::move(layer));
  }
}

Lstm::Result Lstm::operator()(const Tensor& x, const Tensor& lengths, const Run& run, std::span<const LstmState> first) const {
  const std::size_t states = layers_.size() * layers_.front().directions.size();
  require(first.empty() || first.size() == states, "lstm: one first state per layer and direction: ", states, " needed, ", first.size(), " given");
  Result result{x, {}};
  for (const Layer& layer : layers_) {
    std::vector<Tensor> outputs;
    for (std::size_t d = 0; d < layer.directions.size(); ++d) {
      const std::size_t number = result.last.size();
      LstmCell::Walk walk = layer.directions[d].walk(result.output, first.empty() ? LstmState{} : first[number], lengths, d == 1);
      outputs.push_back(std::move(walk.output));
      result.last.push_back(std::move(walk.last));
    }
    result.output = layer.dropout(outputs.size() == 1 ? outputs.front() : concat(outputs, -1), run);
  }
  return result;
}

}  // namespace capstan::nn
