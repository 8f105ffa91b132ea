#pragma once
// An embedding table [rows, width]. Its gradient is row-sparse on demand: only rows that were looked up have one.

#include <cstdint>
#include <optional>

#include "autograd/ops/embedding.h"
#include "nn/init.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct EmbeddingOptions {
  std::int64_t rows = 0, width = 0;
  Initializer init = normal(0.02);
  std::optional<std::int64_t> padding = {};  ///< this id gives a zero vector and no gradient, whatever its row holds (it starts as zero)
  double scale = 1;                          ///< of the vectors that are looked up
  bool sparse_gradient = true;               ///< false for small tables of which most rows are used, such as positions
  bool decay = true;
};

class Embedding {
 public:
  Embedding(const Scope& scope, const EmbeddingOptions& options);

  /// ids i64 [...] -> scale * table[ids] [..., width]. Throws ShapeError for an id outside the table.
  Tensor operator()(const Tensor& ids) const;

  const Parameter& table() const { return table_; }

 private:
  Parameter table_;
  ops::Embedding::Args lookup_;
};

}  // namespace capstan::nn
