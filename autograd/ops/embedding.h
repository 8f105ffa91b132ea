#pragma once
// Embedding: rows of a table by index.
//
// The gradient of the table is row-sparse on demand (Gradient::rows, one row an index, an index named as often as it occurs) or dense.
// Rows of the padding index read as zeros and get no gradient, whatever the table holds there.

#include <cstdint>
#include <string_view>

#include "autograd/tape/op.h"

namespace capstan {
namespace ops {

struct Embedding {
  static constexpr std::string_view name = "embedding";
  static constexpr bool picks_rows = true;
  struct Args {
    std::int64_t padding_index = -1;  ///< -1: none
    double scale = 1.0;               ///< what every row is multiplied by
    bool sparse = false;              ///< the gradient of the table is row-sparse
  };
  struct Saved {
    Tensor indices;
    Spec weight;
  };
  static Spec spec(const Args& args, const Spec& weight, const Spec& indices);
  static Tensor forward(const Args& args, const Tensor& weight, const Tensor& indices, const Call<2>& call, Saved& saved);
  static Grads<2> backward(const Args& args, const Saved& saved, const Tensor& dy, Needs<2> needs);
};

using EmbeddingOps = TypeList<Embedding>;

}  // namespace ops

/// scale * weight[indices]: weight [V, D], indices i64 of any shape [...] in [0, V); the result is [..., D].
Tensor embedding(const Tensor& weight, const Tensor& indices, const ops::Embedding::Args& options = {});

}  // namespace capstan
