#include "nn/recurrent.h"

#include <utility>

#include "autograd/ops/shape_ops.h"
#include "nn/weight.h"

namespace capstan::nn {

RecurrentWeights::RecurrentWeights(const Scope& scope, std::int64_t in, std::int64_t hidden, std::int64_t gates, bool with_bias,
                                   bool state_bias, const Initializer& init) {
  require<ConfigError>(in >= 0 && hidden > 0, scope.path(), ": a recurrent cell needs input >= 0 and hidden > 0: input ", in, ", hidden ",
                       hidden);
  const Initializer per_gate = by_parts(init, gates);
  if (in > 0) input.emplace(scope / "input", LinearOptions{.in = in, .out = gates * hidden, .bias = with_bias, .init = per_gate});
  weight = (scope / "state").parameter("weight", {gates * hidden, hidden}, per_gate);
  if (with_bias && state_bias) bias = (scope / "state").parameter("bias", {gates * hidden}, zeros(), {.decay = false});
}

Tensor RecurrentWeights::projection(const Tensor& x) const {
  require(input.has_value(), "recurrent: a cell without an input width has its input projection from the caller: x ", x, ", state weight ",
          weight);
  return (*input)(x);
}

GruCell::GruCell(const Scope& scope, const GruCellOptions& o)
    : weights_(scope, o.input, o.hidden, 3, o.bias, o.variant == GruVariant::reset_after || o.input == 0, o.init), variant_(o.variant) {}

Tensor GruCell::step_from_projection(const Tensor& projection, const Tensor& state) const {
  return gru_cell(projection, state, weight_for(weights_.weight, projection), weight_for(weights_.bias, projection), variant_);
}

GruCell::Sequence GruCell::sequence(const Tensor& x, const Tensor& first, const Tensor& lengths, bool reverse) const {
  const Tensor projection = input_projection(x);  // [B, T, 3H]
  auto [output, last] = gru(projection, first, weight_for(weights_.weight, projection), weight_for(weights_.bias, projection), lengths,
                            {.variant = variant_, .reverse = reverse});
  return {std::move(output), std::move(last)};
}

LstmCell::LstmCell(const Scope& scope, const LstmCellOptions& o)
    : weights_(scope, o.input, o.hidden, 4, o.bias, /*state_bias=*/true, o.init) {}

LstmState LstmCell::step_from_projection(const Tensor& projection, const LstmState& state) const {
  auto [h, c] = lstm_cell(projection, state.h, state.c, weight_for(weights_.weight, projection), weight_for(weights_.bias, projection));
  return {std::move(h), std::move(c)};
}

LstmCell::Sequence LstmCell::sequence(const Tensor& x, const LstmState& first, const Tensor& lengths, bool reverse) const {
  const Tensor projection = input_projection(x);  // [B, T, 4H]
  auto [output, h, c] = lstm(projection, first.h, first.c, weight_for(weights_.weight, projection), weight_for(weights_.bias, projection),
                             lengths, {.reverse = reverse});
  return {std::move(output), {std::move(h), std::move(c)}};
}

template <class Cell>
Recurrent<Cell>::Recurrent(const Scope& scope, const RecurrentOptions<Cell>& o) {
  require<ConfigError>(o.layers > 0 && o.cell.input > 0, scope.path(), ": recurrent layers need layers > 0 and input > 0: layers ",
                       o.layers, ", input ", o.cell.input);
  typename Cell::Options cell = o.cell;
  for (std::int64_t i = 0; i < o.layers; ++i) {
    Layer layer{{}, Dropout(scope / i, i + 1 < o.layers ? o.dropout : 0.0)};
    layer.directions.emplace_back(scope / i / "forward", cell);
    if (o.bidirectional) layer.directions.emplace_back(scope / i / "backward", cell);
    layers_.push_back(std::move(layer));
    cell.input = o.cell.hidden * (o.bidirectional ? 2 : 1);
  }
}

template <class Cell>
typename Recurrent<Cell>::Result Recurrent<Cell>::operator()(const Tensor& x, const Tensor& lengths, const Run& run,
                                                             std::span<const State> first) const {
  const std::size_t states = layers_.size() * layers_.front().directions.size();
  require(first.empty() || first.size() == states, "recurrent: there must be a first state for each layer and direction or none: ", states,
          " needed, ", first.size(), " given");
  Result result{x, {}};
  for (const Layer& layer : layers_) {
    std::vector<Tensor> outputs;
    for (std::size_t d = 0; d < layer.directions.size(); ++d) {
      const State start = first.empty() ? State{} : first[result.last.size()];
      auto [output, last] = layer.directions[d].sequence(result.output, start, lengths, /*reverse=*/d == 1);
      outputs.push_back(std::move(output));
      result.last.push_back(std::move(last));
    }
    result.output = layer.dropout(outputs.size() == 1 ? outputs.front() : concat(outputs, -1), run);
  }
  return result;
}

template class Recurrent<GruCell>;
template class Recurrent<LstmCell>;

}  // namespace capstan::nn
