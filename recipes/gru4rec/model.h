#pragma once
// The GRU4Rec network (Hidasi et al. 2016; Hidasi and Karatzoglou 2018):
//
//     x  = dropout_embed(row of the input item)       shared: of the output table; separate: of a table of its own;
//                                                     one_hot: the row is the first layer's share of all gates
//     h1 = dropout_hidden(GRU1(x, h1 before)), h2 = dropout_hidden(GRU2(h1, h2 before)), ...
//     score of item i = h . W[i] + b[i]
//
// What dropout leaves of a layer's output is also the state that it carries to the next step. The state that comes in is a constant: there
// is no backpropagation through time. Start: every matrix of a gate, and every table, Glorot uniform by its own fans; biases 0.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/dropout.h"
#include "nn/parameter_store.h"
#include "nn/recurrent.h"
#include "nn/run.h"
#include "recipes/gru4rec/options.h"

namespace capstan::gru4rec {

/// The state of every layer, [M, width of the layer]: row m belongs to slot m.
using Hidden = std::vector<Tensor>;

class Model {
 public:
  /// Throws ConfigError for options that do not go together.
  Model(const nn::Scope& scope, std::int64_t item_count, const ModelOptions& options);

  /// One event of each slot: inputs i64 [M]. Takes the state before and leaves the one after it (constants); returns the last layer's
  /// output.
  Tensor step(const Tensor& inputs, Hidden& hidden, const nn::Run& run) const;
  /// Zero states for M slots.
  Hidden start(std::int64_t slots) const;

  /// Scores of all items for outputs of the last layer: [M, width] -> [M, items].
  Tensor scores(const Tensor& output) const;

  const Parameter& table() const { return table_; }  ///< [items, width of the last layer]
  const Parameter& bias() const { return bias_; }    ///< [items]
  std::int64_t item_count() const { return table_.size(0); }

 private:
  struct Layer {
    nn::GruCell cell;
    nn::Dropout dropout;
  };
  Parameter table_, bias_;
  Parameter input_table_;  // shared: table_ itself
  Parameter input_bias_;   // one_hot: of the first layer's gates
  std::optional<nn::Dropout> embed_dropout_;
  std::vector<Layer> layers_;
};

/// Prepares the state of the last step for the next one: row m becomes row kept[m] (all rows as they are if `kept` is empty), then zero
/// where reset[m]. `hidden` may be empty: all rows zero.
Hidden continued(const Hidden& hidden, const Model& model, std::span<const std::int32_t> kept, std::span<const std::uint8_t> reset);

/// Multiply-adds of the matrix products of a step of `slots` slots with `candidates` scored items, forward.
double forward_multiply_adds(const ModelOptions& options, std::int64_t slots, std::int64_t candidates);

}  // namespace capstan::gru4rec
