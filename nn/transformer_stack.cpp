#include "nn/transformer_stack.h"

#include <span>
#include <utility>

#include "autograd/ops/shape_ops.h"
#include "autograd/tape/checkpoint.h"
#include "autograd/tape/tape.h"

namespace capstan::nn {
namespace {

/// What the first query alone attends to.
AttentionMask first_query(AttentionMask mask) {
  for (Tensor* const t : {&mask.mask, &mask.bias})
    if (t->defined() && t->rank() > 1 && t->size(-2) > 1) *t = slice(*t, -2, 0, 1);
  return mask;
}

// A decision about a row of the last layer must be the one that would be made among all rows.
Run run_of_first(const Tensor& x, const Run& run) {
  const std::int64_t samples = x.size(0), tokens = x.size(1);
  if (!run.token_ids.defined() || run.token_ids.numel() != samples * tokens) return run;
  const Tensor given = run.token_ids.contiguous(), ids(Shape{samples}, DType::i64);
  for (std::int64_t b = 0; b < samples; ++b) ids.data<std::int64_t>()[b] = given.data<const std::int64_t>()[b * tokens];
  Run first = run;
  first.token_ids = ids;
  return first;
}

/// layer(state, keys, inputs), computed again in backward. Everything that may have a gradient goes through the checkpoint.
template <class Layer, class Inputs>
Residual::State checkpointed(const Layer& layer, Residual::State state, Tensor keys, Inputs inputs) {
  const auto variables = [](Residual::State& s, Tensor& k, Inputs& in) {
    std::vector<Tensor*> found{&s.input, &s.sum, &k};
    for (Tensor* const t : differentiable(in)) found.push_back(t);
    std::erase_if(found, [](const Tensor* t) { return !t->defined(); });
    return found;
  };
  std::vector<Tensor> given;
  for (const Tensor* const t : variables(state, keys, inputs)) given.push_back(*t);
  const std::vector<Tensor> out = checkpoint(
      [=](std::span<const Tensor> values) mutable {
        auto value = values.begin();
        for (Tensor* const t : variables(state, keys, inputs)) *t = *value++;
        const Residual::State y = layer(state, keys, inputs);
        return y.sum.defined() ? std::vector{y.input, y.sum} : std::vector{y.input};
      },
      given);
  return {out[0], out.size() > 1 ? out[1] : Tensor{}};
}

}  // namespace

template <class Layer>
std::vector<Layer> TransformerStack<Layer>::make_layers(const Scope& scope, const TransformerStackOptions& o) {
  std::vector<Layer> layers;
  TransformerLayerOptions layer = o.layer;
  for (std::int64_t i = 0; i < o.layers; ++i) {
    layer.stochastic_depth = stochastic_depth_rate(i, o.layers, o.layer.stochastic_depth);
    layers.emplace_back((scope / (o.layer_name + std::to_string(i))).at_depth(i + 1), layer);
  }
  return layers;
}

template <class Layer>
TransformerStack<Layer>::TransformerStack(const Scope& scope, const TransformerStackOptions& o)
    : layers_(make_layers(scope, o)),
      norm_follows_(o.layer.pre_norm && o.final_norm && o.layers > 0),
      splits_first_token_(o.layer.relative == RelativePositions::none && o.layer.rotary_base == 0 && o.layers > 0) {
  if (o.final_norm)
    norm_.emplace(scope / "norm", LayerNormOptions{.width = o.layer.width,
                                                   .epsilon = o.layer.epsilon,
                                                   .bias = o.layer.bias && o.layer.norm == NormKind::layer,
                                                   .kind = o.layer.norm});
}

template <class Layer>
Residual::State TransformerStack<Layer>::begin(const Tensor& x) const {
  return layers_.empty() ? Residual::State{x, {}} : layers_.front().residual().begin(x);
}

template <class Layer>
Tensor TransformerStack<Layer>::finish(const Residual::State& state) const {
  return norm_ && !norm_follows_ ? (*norm_)(state.input) : state.input;
}

template <class Layer>
const LayerNorm* TransformerStack<Layer>::norm_after(std::size_t index) const {
  return index + 1 < layers_.size() ? &layers_[index + 1].residual().norm() : norm_follows_ ? &*norm_ : nullptr;
}

template <class Layer>
Residual::State TransformerStack<Layer>::layer(std::size_t index, const Residual::State& state, const Tensor& keys, const Inputs& inputs,
                                               const Run& run, AttentionWeights* weights) const {
  const auto step = [=, this](const Residual::State& s, const Tensor& k, const Inputs& in) {
    return layers_[index].step(s, k, in, norm_after(index), run, weights);
  };
  return run.checkpoint_activations && weights == nullptr ? checkpointed(step, state, keys, inputs) : step(state, keys, inputs);
}

template <class Layer>
Residual::State TransformerStack<Layer>::through(std::size_t end, Residual::State state, const Inputs& inputs, const Run& run,
                                                 const Observed& observed) const {
  for (std::size_t i = 0; i < end; ++i) {
    state = layer(i, state, {}, inputs, run, observed.weights);
    if (observed.results != nullptr) observed.results->push_back(state.residual());
  }
  return state;
}

template <class Layer>
Tensor TransformerStack<Layer>::operator()(const Tensor& x, const Inputs& inputs, const Run& run) const {
  return finish(through(layers_.size(), begin(x), inputs, run, {}));
}

template <class Layer>
template <std::same_as<EncoderLayer> Encoder>
Tensor TransformerStack<Layer>::first_token(const Tensor& x, const AttentionMask& mask, const Run& run) const {
  require(x.rank() == 3 && !mask.cu_seqlens.defined(), "transformer: the first token is that of a padded batch [B, T, width]: x ", x);
  if (!splits_first_token_) return select((*this)(x, mask, run), 1, 0);
  const std::size_t last = layers_.size() - 1;
  const Residual::State state = through(last, begin(x), mask, run, {});
  const auto first = [](const Tensor& t) { return t.defined() ? slice(t, 1, 0, 1) : t; };
  const Residual::State row{first(state.input), first(state.sum)};  // [B, 1, C]
  AttentionMask of_first = first_query(mask);
  if (!of_first.key_ids.defined()) of_first.key_ids = run.token_ids;
  return select(finish(layer(last, row, state.input, of_first, run_of_first(x, run), nullptr)), 1, 0);
}

template <class Layer>
typename TransformerStack<Layer>::WithWeights TransformerStack<Layer>::with_weights(const Tensor& x, const Inputs& inputs,
                                                                                    const Run& run) const {
  WithWeights result;
  result.output = finish(through(layers_.size(), begin(x), inputs, run, {.weights = &result.weights}));
  return result;
}

template <class Layer>
template <std::same_as<EncoderLayer> Encoder>
DecodingState TransformerStack<Layer>::begin_decoding(std::int64_t batch, std::int64_t capacity) const {
  return {batch, std::vector<LayerCache>(layers_.size(), LayerCache{.self_attention = KeyValueCache(capacity)})};
}

template <class Layer>
template <std::same_as<DecoderLayer> Decoder>
DecodingState TransformerStack<Layer>::begin_decoding(const Tensor& memory, const Tensor& real, std::int64_t capacity) const {
  require<GraphError>(Tape::recording() == nullptr, "decode: passes no gradient: decode in the scope of a NoGrad: memory ", memory);
  require(memory.rank() == 3, "transformer: the memory must be [B, S, width]: memory ", memory);
  std::vector<LayerCache> caches;
  for (const Layer& layer : layers_) caches.push_back(layer.begin_decoding(memory, real, capacity));
  return {memory.size(0), std::move(caches)};
}

template <class Layer>
Tensor TransformerStack<Layer>::decode(const Tensor& x, DecodingState& state, const AttentionMask& mask, const Run& run) const {
  require<GraphError>(Tape::recording() == nullptr, "decode: passes no gradient: decode in the scope of a NoGrad: x ", x);
  require(state.layers_.size() == layers_.size(), "transformer: the decoding state must be of a stack like this: layers ", layers_.size(),
          ", of the state ", state.layers_.size());
  require(x.rank() == 3 && x.size(0) == state.batch(), "transformer: decodes the next tokens [B, n, width] of the state's sequences: x ", x,
          ", sequences ", state.batch());
  const std::int64_t before = state.position();
  try {
    Residual::State y = begin(x);
    for (std::size_t i = 0; i < layers_.size(); ++i) y = layers_[i].decode_step(y, state.layers_[i], mask, norm_after(i), run);
    state.position_ += x.size(1);
    return finish(y);
  } catch (...) {
    state.truncate(before);
    throw;
  }
}

template <class Layer>
std::vector<Tensor> TransformerStack<Layer>::all_layers(const Tensor& x, const Inputs& inputs, const Run& run) const {
  std::vector<Tensor> results;
  through(layers_.size(), begin(x), inputs, run, {.results = &results});
  return results;
}

template class TransformerStack<EncoderLayer>;
template class TransformerStack<DecoderLayer>;
template Tensor TransformerStack<EncoderLayer>::first_token<EncoderLayer>(const Tensor&, const AttentionMask&, const Run&) const;
template DecodingState TransformerStack<EncoderLayer>::begin_decoding<EncoderLayer>(std::int64_t, std::int64_t) const;
template DecodingState TransformerStack<DecoderLayer>::begin_decoding<DecoderLayer>(const Tensor&, const Tensor&, std::int64_t) const;

}  // namespace capstan::nn
