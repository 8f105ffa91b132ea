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
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/dropout.h"
#include "nn/parameter_store.h"
#include "nn/recurrent.h"
#include "nn/recurrent_state.h"
#include "nn/run.h"

namespace capstan::nn {

enum class Gru4RecInput {
  shared,    ///< the row of the output table (constrained embedding)
  separate,  ///< a row of an input table of its own
  one_hot,   ///< the first layer's input weights are looked up: a row of all gates an item
};

struct Gru4RecOptions {
  Gru4RecInput input = Gru4RecInput::shared;
  std::vector<std::int64_t> layers{100};
  std::int64_t embedding = 0;
  GruVariant gru = GruVariant::reset_after;
  double dropout_embed = 0, dropout_hidden = 0;

  template <class V>
  void visit(V& v) {
    v("input", input, "what the first layer sees of an item: its row in the output table, in a table of its own, or a one-hot vector",
      {{"shared", Gru4RecInput::shared}, {"separate", Gru4RecInput::separate}, {"one_hot", Gru4RecInput::one_hot}});
    v("layers", layers, "widths of the GRU layers", V::between(1, 65536));
    v("embedding", embedding, "width of the input table, for input = separate; 0: that of the first layer", V::between(0, 65536));
    v("gru", gru, "where the reset gate acts: before the recurrent product (Theano code), or after it (PyTorch code)",
      {{"reset_before", GruVariant::reset_before}, {"reset_after", GruVariant::reset_after}});
    v("dropout_embed", dropout_embed, "share of the looked-up input row set to zero in training; not for one_hot", V::fraction())
        .of_training();
    v("dropout_hidden", dropout_hidden, "share of each layer's output set to zero in training; what is left is also the state carried on",
      V::fraction())
        .of_training();
  }
};

class Gru4Rec {
 public:
  /// Throws ConfigError for options that do not go together.
  Gru4Rec(const Scope& scope, std::int64_t item_count, const Gru4RecOptions& options);

  /// One event of each slot: inputs i64 [M], 0 .. item_count - 1. Takes the state before and leaves the one after it (constants); returns
  /// the last layer's output, [M, width].
  Tensor step(const Tensor& inputs, Hidden& hidden, const Run& run) const;
  /// Zero states for M slots.
  Hidden start(std::int64_t slots) const;

  /// Scores of all items for outputs of the last layer: [M, width] -> [M, items].
  Tensor scores(const Tensor& output) const;

  const Parameter& table() const { return table_; }  ///< [items, width of the last layer]
  /// All parameters with a row for each item.
  std::vector<Parameter> item_parameters() const { return {table_, bias_, input_table_}; }
  const Parameter& bias() const { return bias_; }  ///< [items]
  std::int64_t item_count() const { return table_.size(0); }

 private:
  struct Layer {
    GruCell cell;
    Dropout dropout;
  };
  Parameter table_, bias_;
  Parameter input_table_;  // shared: table_ itself
  Parameter input_bias_;   // one_hot: of the first layer's gates
  std::optional<Dropout> embed_dropout_;
  std::vector<Layer> layers_;
};

}  // namespace capstan::nn
